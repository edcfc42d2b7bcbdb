package pace

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String returns the text of which [Parse] makes the same schedule; for one with faults
// it returns those.
func (s Schedule) String() string {
	switch {
	case s.err != nil:
		return s.err.Error()
	case s.root == nil:
		return "none"
	default:
		return s.root.text()
	}
}

func (f *flow) text() string {
	items := make([]string, 0, len(f.pieces)+2)
	before := -1.0 // no rate
	for _, p := range f.pieces {
		items = append(items, p.text(before))
		before = p.lastRate()
	}
	switch f.process {
	case poisson:
		items = append(items, fmt.Sprint("poisson seed ", f.seed))
	case exactly:
		items = append(items, fmt.Sprintf("exactly %d seed %d", f.n, f.seed))
	}
	return strings.Join(items, ", ")
}

// text returns the text of a piece that follows a rate.
func (p *piece) text(before float64) string {
	text := rateText(p.from)
	switch {
	case p.wave:
		text = fmt.Sprintf("sine %s by %s every %v", text, rateText(p.to), p.over)
	case p.over > 0:
		if text = " from " + text; p.from == before {
			text = ""
		}
		text = fmt.Sprintf("ramp%s to %s over %v", text, rateText(p.to), p.over)
		if p.d == p.over {
			return text
		}
	}
	return text + lengthText(p.d, p.end)
}

func rateText(rate float64) string { return strconv.FormatFloat(rate, 'f', -1, 64) + "/s" }

func lengthText(d, end time.Duration) string {
	if end == forever {
		return ""
	}
	return fmt.Sprint(" for ", d)
}

func (b *bursts) text() string {
	return fmt.Sprintf("burst %d every %v", b.n, b.every) + lengthText(b.d, b.d)
}

func (r *recorded) text() string {
	return "at " + strings.Trim(fmt.Sprint(r.at), "[]")
}

func (q *sequence) text() string {
	text := q.parts[0].text()
	for _, part := range q.parts[1:] {
		text += ", " + operand(part)
	}
	return text
}

// operand returns the text of a node that stands behind another: in parentheses if
// it ends with a word that would speak of all before it.
func operand(n node) string {
	switch n := n.(type) {
	case *flow:
		if n.process == uniform {
			return n.text()
		}
	case *bursts, *recorded:
		return n.text()
	}
	return "(" + n.text() + ")"
}

func (m *merged) text() string  { return m.a.text() + ", merge (" + m.b.text() + ")" }
func (c *cut) text() string     { return c.node.text() + ", until " + c.d.String() }
func (t *taken) text() string   { return t.node.text() + ", take " + strconv.FormatInt(t.n, 10) }
func (d *sharded) text() string { return fmt.Sprintf("%s, shard %d of %d", d.node.text(), d.i, d.n) }
