package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/brunt/peers/internal/markdown"
	"example.com/brunt/peers/internal/stats"
)

// writeNoise writes what identical implementations differ by: a difference of
// others that is not larger says nothing.
func (r *results) writeNoise(w io.Writer) error {
	t := markdown.Table{Left: 2, Head: []string{"measured twice", "by", "difference, ns", "min–max", "ratio", "min–max"}}
	for _, g := range r.groups() {
		for _, v := range r.order {
			name, ok := strings.CutSuffix(v.impl, twin)
			if !ok || v.group != g.group || v.by != g.by {
				continue
			}
			first := variant{v.group, name, v.by}
			d, ok := r.pairs(v, first, minus)
			q, _ := r.pairs(v, first, over)
			t.Rows = append(t.Rows, []string{
				v.group + ", " + name, v.by,
				known(ok, signed(d.Median)), known(ok, fmt.Sprintf("%s to %s", signed(d.Min), signed(d.Max))),
				known(ok, fmt.Sprintf("%.2f", q.Median)), known(ok, extremes(q, "%.2f")),
			})
		}
	}
	if _, err := fmt.Fprintf(w, "Noise: what the same code differs by when it is measured twice in a round.\n\n"); err != nil {
		return fmt.Errorf("write the noise: %w", err)
	}
	return t.Write(w)
}

// writeTables writes a table for each pattern, by rising time.
func (r *results) writeTables(w io.Writer) error {
	for _, g := range r.groups() {
		_, err := fmt.Fprintf(w, "\n%s, by=%s\n\n", g.group, g.by)
		if err != nil {
			return fmt.Errorf("write a table: %w", err)
		}
		if err := r.table(g).Write(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *results) table(g variant) markdown.Table {
	t := markdown.Table{Left: 1, Head: []string{"impl", "ns/op", "min–max", "− C, ns", "× C", "× brunt", "min–max", "B/op", "allocs/op"}}
	var members []variant
	for _, v := range r.order {
		if v.group == g.group && v.by == g.by {
			members = append(members, v)
		}
	}
	median := func(v variant) float64 { s, _ := r.of(v, ns); return s.Median }
	slices.SortStableFunc(members, func(a, b variant) int { return cmp.Compare(median(a), median(b)) })
	for _, v := range members {
		c := variant{v.group, clock, v.by}
		time, _ := r.of(v, ns)
		extra, okC := r.pairs(v, c, minus)
		byC, _ := r.pairs(v, c, over)
		byOwn, okOwn := r.pairs(v, variant{v.group, counterpart(v.impl), v.by}, over)
		if !okOwn { // it has no counterpart of its own kind here
			byOwn, okOwn = r.pairs(v, variant{v.group, own, v.by}, over)
		}
		memory, _ := r.of(v, bytes)
		objects, _ := r.of(v, allocs)
		t.Rows = append(t.Rows, []string{
			v.impl, fmt.Sprintf("%.1f", time.Median), extremes(time, "%.0f"),
			known(okC, signed(extra.Median)), known(okC, fmt.Sprintf("%.2f", byC.Median)),
			known(okOwn, fmt.Sprintf("%.2f", byOwn.Median)), known(okOwn, extremes(byOwn, "%.2f")),
			fmt.Sprintf("%.0f", memory.Median), fmt.Sprintf("%.0f", objects.Median),
		})
	}
	return t
}

// writeVerdicts holds the bounds against the results.
func (r *results) writeVerdicts(w io.Writer) (met bool, err error) {
	met = true
	t := markdown.Table{Left: 1, Head: []string{"bound", "measured", "95 % interval", "rounds that keep it", "verdict"}}
	for _, b := range bounds(r.order) {
		v := r.judge(b)
		met = met && v.met
		row := []string{b.String()}
		switch {
		case !v.known:
			row = append(row, "–", "–", "–")
		case b.kind == noAllocs:
			row = append(row, fmt.Sprintf("%.0f at most", v.value.Max), "–", fmt.Sprintf("%d of %d", v.rounds, len(v.value.Values)))
		default:
			measured := b.unit(v.value.Median)
			if b.kind == atMost {
				measured += fmt.Sprintf(" (raw %s)", b.unit(v.raw.Median))
			}
			row = append(row, measured, b.unit(v.value.Lo)+" to "+b.unit(v.value.Hi),
				fmt.Sprintf("%d of %d", v.rounds, len(v.value.Values)))
		}
		t.Rows = append(t.Rows, append(row, v.word()))
	}
	return met, t.Write(w)
}

// writeFloors says how much of brunt's time is what the processor takes for the
// clock and the counting, which no code can save without counting less.
func (r *results) writeFloors(w io.Writer) error {
	t := markdown.Table{Left: 2, Head: []string{"pattern, by=one", "impl", "floor, ns", "floor − C, ns", "beyond the floor, ns", "95 % interval"}}
	for _, v := range r.order {
		floor := variant{v.group, "floor", v.by}
		least, ok := r.of(floor, ns)
		if !ok || v.by != "one" || !isOwn(v.impl) {
			continue
		}
		extra, okC := r.pairs(floor, variant{v.group, clock, v.by}, minus)
		beyond, _ := r.pairs(v, floor, minus)
		t.Rows = append(t.Rows, []string{
			v.group, v.impl, fmt.Sprintf("%.1f", least.Median), known(okC, signed(extra.Median)),
			signed(beyond.Median), signed(beyond.Lo) + " to " + signed(beyond.Hi),
		})
	}
	return t.Write(w)
}

// unit renders a value that a bound of this kind is about.
func (b bound) unit(value float64) string {
	switch b.kind {
	case above:
		return "C " + signed(value)
	case faster:
		return fmt.Sprintf("%.2f ×", value)
	}
	return fmt.Sprintf("%.1f ns", value)
}

// signed has a sign in either case, except for what rounds to zero.
func signed(value float64) string {
	text := strings.Replace(fmt.Sprintf("%+.1f", value), "-", "−", 1)
	if text == "−0.0" || text == "+0.0" {
		return "0.0"
	}
	return text
}

func extremes(s stats.Spread, format string) string {
	return fmt.Sprintf(format, s.Min) + "–" + fmt.Sprintf(format, s.Max)
}

func known(ok bool, text string) string {
	if !ok {
		return "–"
	}
	return text
}
