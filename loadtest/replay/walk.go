package replay

import (
	"errors"
	"io"
	"math"
	"time"

	"example.com/brunt/loadtest"
)

// walk goes through a log once, and returns its entries in order of time as far as its
// window reaches.
type walk struct {
	lines  *logLines
	parser parser
	config *Config
	maxBad int64
	onBad  func(*loadtest.LineError)

	pending []*Entry // sorted from head on
	head    int
	latest  time.Time // of those returned
	err     error     // why there are no more lines

	left               int64 // entries that there must be at least
	bad, leftOut, late int64
}

func newWalk(r io.Reader, c *Config) *walk {
	w := &walk{config: c, maxBad: c.MaxBad, onBad: c.OnBad, parser: parser{fields: c.Fields, layout: c.TimeLayout}}
	if w.maxBad < 0 {
		w.maxBad = math.MaxInt64
	}
	w.lines, w.err = newLines(r, maxLogLine)
	return w
}

// next returns the next entry, and [io.EOF] if there is none.
func (w *walk) next() (*Entry, error) {
	for w.err == nil && len(w.pending)-w.head <= w.config.window() {
		e, err := w.read()
		if err != nil {
			w.err = err
			break
		}
		w.insert(e)
	}
	if w.err != nil && !errors.Is(w.err, io.EOF) {
		return nil, w.err
	}
	if w.head == len(w.pending) {
		if w.left > 0 {
			w.err = ErrChanged
		}
		return nil, w.err
	}
	w.left--
	e := w.pending[w.head]
	w.pending[w.head] = nil
	w.head++
	e.due = e.Time
	if e.Time.Before(w.latest) {
		e.due = w.latest
		w.late++
	}
	w.latest = e.due
	return e, nil
}

// read returns the entry of the next line that has one.
func (w *walk) read() (*Entry, error) {
	for {
		text, err := w.lines.next()
		if errors.Is(err, io.EOF) {
			return nil, err
		}
		var bad *loadtest.LineError
		if err != nil && !errors.As(err, &bad) {
			return nil, err
		}
		if err == nil {
			if text == "" {
				continue
			}
			e, err := w.parser.entry(text)
			if err == nil {
				if e.Line = w.lines.Number(); w.config.Keep == nil || w.config.Keep(e) {
					return e, nil
				}
				w.leftOut++
				continue
			}
			bad = lineError(w.lines.Number(), text, err)
		}
		w.bad++
		if w.onBad != nil {
			w.onBad(bad)
		}
		if w.bad > w.maxBad {
			return nil, bad
		}
	}
}

// insert puts e behind all that are not later. Logs are nearly sorted: that is near the end.
func (w *walk) insert(e *Entry) {
	if w.head > len(w.pending)/2 { // at most half of the slice is unused
		n := copy(w.pending, w.pending[w.head:])
		clear(w.pending[n:])
		w.pending, w.head = w.pending[:n], 0
	}
	w.pending = append(w.pending, e)
	for i := len(w.pending) - 1; i > w.head && w.pending[i-1].Time.After(e.Time); i-- {
		w.pending[i], w.pending[i-1] = w.pending[i-1], e
	}
}

// readAhead is how many entries of the next second are read for one that is handed out.
const readAhead = 8

// instants says when the entries of a log are due, since the first.
type instants struct {
	walk     *walk
	together bool

	start      time.Time
	run, ahead second
	held       *Entry // behind ahead
	latest     time.Duration
	err        error // why there are no more, if the log is not at its end
	told       bool
}

// second is entries that have one instant: those of a second that has no fraction are
// spread over it.
type second struct {
	at     time.Duration
	whole  bool
	n      int64 // that have been read
	k      int64 // that have been handed out
	closed bool  // there are no more of them
}

// next returns when the next entry is due. Where the log cannot be read there is one more,
// for which its source will say so.
func (i *instants) next() (time.Duration, bool) {
	for i.run.k == i.run.n {
		for !i.ahead.closed {
			i.readAhead()
		}
		i.run, i.ahead = i.ahead, second{}
		if i.run.n == 0 {
			more := i.err != nil && !i.told
			i.told = true
			return i.latest, more
		}
		i.hold(i.held)
	}
	// When a second begins it has been counted, and nothing is late for that, unless it has
	// as many times the entries of the one before it.
	for range readAhead {
		i.readAhead()
	}
	at := i.run.at
	if i.run.whole {
		at += time.Second * time.Duration(i.run.k) / time.Duration(i.run.n)
	}
	i.run.k++
	i.latest = max(i.latest, at)
	return i.latest, true
}

// readAhead reads an entry, unless ahead is closed.
func (i *instants) readAhead() {
	if i.ahead.closed {
		return
	}
	e, err := i.walk.next()
	switch {
	case err != nil:
		if !errors.Is(err, io.EOF) {
			i.err = err
		}
		i.ahead.closed, i.held = true, nil
	case i.ahead.n == 0 && i.start.IsZero():
		i.start = e.due
		i.hold(e)
	case i.ahead.whole && i.isWhole(e) && i.since(e) == i.ahead.at:
		i.ahead.n++
	default:
		i.ahead.closed, i.held = true, e
	}
}

// hold makes e the first of ahead.
func (i *instants) hold(e *Entry) {
	if e == nil {
		i.ahead.closed = true
		return
	}
	i.ahead = second{at: i.since(e), whole: i.isWhole(e), n: 1}
}

func (i *instants) since(e *Entry) time.Duration { return e.due.Sub(i.start) }

func (i *instants) isWhole(e *Entry) bool {
	return !i.together && e.whole && e.due.Nanosecond() == 0
}
