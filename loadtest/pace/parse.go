package pace

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseError says where a text is not a schedule. It matches [ErrSchedule].
type ParseError struct {
	Text   string
	Offset int    // of Word in Text, in bytes
	Word   string // at which it went wrong; empty at the end of Text
	Want   string // such as "a duration such as 10s"
	Err    error  // instead of Want, the fault of a schedule that was understood
}

func (e *ParseError) Error() string {
	problem := "want " + e.Want
	if e.Err != nil {
		problem = strings.ReplaceAll(e.Err.Error(), ErrSchedule.Error()+": ", "")
	}
	if e.Word == "" {
		return fmt.Sprintf("%v: at the end of %q: %s", ErrSchedule, e.Text, problem)
	}
	return fmt.Sprintf("%v: %q at offset %d of %q: %s", ErrSchedule, e.Word, e.Offset, e.Text, problem)
}

// Is matches [ErrSchedule].
func (e *ParseError) Is(target error) bool { return target == ErrSchedule }

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// Parse returns the schedule that a text describes, in the words of the package
// comment, or a [*ParseError].
func Parse(text string) (s Schedule, err error) {
	defer func() {
		if e := recover(); e != nil {
			wrong, ok := e.(*ParseError)
			if !ok {
				panic(e)
			}
			s, err = Schedule{}, wrong
		}
	}()
	p := &parser{text: text}
	p.read()
	s = p.schedule(0)
	if p.word != "" {
		p.fail("for, a comma, or the end")
	}
	return s, nil
}

// maxDepth bounds how deep parentheses are nested.
const maxDepth = 100

// parser reads one word after another. Its methods panic with a *ParseError.
type parser struct {
	text   string
	offset int    // of word
	word   string // the next one; empty at the end
}

// read goes on to the next word: a parenthesis, a comma, or what stands between those
// and spaces.
func (p *parser) read() {
	at := p.offset + len(p.word)
	at += len(p.text[at:]) - len(strings.TrimLeft(p.text[at:], " \t\r\n"))
	rest := p.text[at:]
	n := strings.IndexAny(rest, " \t\r\n,()")
	switch {
	case n < 0:
		n = len(rest)
	case n == 0:
		n = 1
	}
	p.offset, p.word = at, rest[:n]
}

func (p *parser) fail(want string) {
	panic(&ParseError{Text: p.text, Offset: p.offset, Word: p.word, Want: want})
}

// accept reads the word if it is next.
func (p *parser) accept(word string) bool {
	if p.word != word {
		return false
	}
	p.read()
	return true
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.fail(strconv.Quote(word))
	}
}

// schedule reads items with commas between them. Each follows what is before it, or changes it.
func (p *parser) schedule(depth int) Schedule {
	if depth > maxDepth {
		p.fail(fmt.Sprintf("at most %d parentheses in each other", maxDepth))
	}
	var s Schedule
	for first := true; first || p.accept(","); first = false {
		offset, word := p.offset, p.word
		if s = p.item(s, first, depth); s.err != nil {
			panic(&ParseError{Text: p.text, Offset: offset, Word: word, Err: s.err})
		}
	}
	return s
}

// item reads one item behind s.
func (p *parser) item(s Schedule, first bool, depth int) Schedule {
	switch {
	case p.accept("none"):
		return s
	case p.accept("("):
		return s.Then(p.group(depth))
	case p.accept("ramp"):
		return s.Then(p.ramp(lastRate(s)))
	case p.accept("sine"):
		mean := p.rate()
		p.expect("by")
		amplitude := p.rate()
		p.expect("every")
		return s.Then(p.length(Sine(mean, amplitude, p.duration())))
	case p.accept("burst"):
		n := p.integer()
		p.expect("every")
		return s.Then(p.length(Burst(n, p.duration())))
	case p.accept("at"):
		return s.Then(p.length(p.recorded()))
	case strings.Contains(p.word, "/"):
		return s.Then(p.length(Constant(p.rate())))
	case first:
		p.fail("a rate such as 100/s, or ramp, sine, burst, at or (")
	}
	return p.change(s, depth)
}

// lastRate returns the rate at which s ends, if it ends with a shape.
func lastRate(s Schedule) float64 {
	if s.root == nil {
		return 0
	}
	parts := partsOf(s.root)
	if f, ok := parts[len(parts)-1].(*flow); ok {
		return f.last().lastRate()
	}
	return 0
}

// change reads an item that changes s.
func (p *parser) change(s Schedule, depth int) Schedule {
	switch {
	case p.accept("poisson"):
		return s.Poisson(p.seed())
	case p.accept("exactly"):
		n := p.integer()
		return s.Exactly(n, p.seed())
	case p.accept("take"):
		return s.Take(p.integer())
	case p.accept("until"):
		return s.Until(p.duration())
	case p.accept("scale"):
		return s.Scale(p.number())
	case p.accept("shard"):
		i := p.shard()
		p.expect("of")
		return s.Shard(i, p.shard())
	case p.accept("merge"):
		p.expect("(")
		return s.Merge(p.group(depth))
	}
	p.fail("a rate such as 100/s, or ramp, sine, burst, at, ( or poisson, exactly, take, until, scale, shard, merge")
	return s
}

// group reads a schedule and the parenthesis behind it.
func (p *parser) group(depth int) Schedule {
	s := p.schedule(depth + 1)
	p.expect(")")
	return s
}

func (p *parser) ramp(from float64) Schedule {
	if p.accept("from") {
		from = p.rate()
	}
	p.expect("to")
	to := p.rate()
	p.expect("over")
	over := p.duration()
	s := Ramp(from, to, over)
	if s.err == nil && p.accept("for") {
		offset, word := p.offset, p.word
		if d := p.duration(); d > over {
			p.offset, p.word = offset, word
			p.fail(fmt.Sprintf("at most %v, in which the ramp ends", over))
		} else {
			s = s.Until(d)
		}
	}
	return s
}

func (p *parser) recorded() Schedule {
	at := []time.Duration{p.duration()}
	for p.word != "" && strings.IndexByte("0123456789.+-", p.word[0]) >= 0 {
		at = append(at, p.duration())
	}
	return Recorded(at...)
}

// length reads how long s lasts, if that is next.
func (p *parser) length(s Schedule) Schedule {
	if p.accept("for") {
		return s.Until(p.duration())
	}
	return s
}

// seed reads a seed if one is next; 1 is the one of those who do not care.
func (p *parser) seed() uint64 {
	if !p.accept("seed") {
		return 1
	}
	return value(p, "a seed: a whole number from 0", func(word string) (uint64, error) { return strconv.ParseUint(word, 10, 64) })
}

func (p *parser) rate() float64 {
	return value(p, "a rate such as 100/s, 6/m or 6/h", func(word string) (float64, error) {
		number, unit, _ := strings.Cut(word, "/")
		rate, err := strconv.ParseFloat(number, 64)
		switch unit {
		case "s":
		case "m", "min":
			rate /= time.Minute.Seconds()
		case "h":
			rate /= time.Hour.Seconds()
		default:
			err = strconv.ErrSyntax
		}
		return rate, err
	})
}

func (p *parser) duration() time.Duration {
	return value(p, "a duration such as 10s or 1h30m", time.ParseDuration)
}

func (p *parser) integer() int64 {
	return value(p, "a whole number", func(word string) (int64, error) { return strconv.ParseInt(word, 10, 64) })
}

func (p *parser) shard() int { return value(p, "a whole number", strconv.Atoi) }

func (p *parser) number() float64 {
	return value(p, "a number such as 1.5", func(word string) (float64, error) { return strconv.ParseFloat(word, 64) })
}

// value reads the next word as what parse makes of it.
func value[T any](p *parser, want string, parse func(word string) (T, error)) T {
	x, err := parse(p.word)
	if err != nil {
		p.fail(want)
	}
	p.read()
	return x
}
