// Package progress shows a load test while it runs: as a live line with a bar on
// a terminal, elsewhere as plain lines in the test's log.
//
//	e := loadtest.Start(b, loadtest.AsyncConfig{OnProgress: progress.Auto(b)})
//
// The functions it returns are for the OnProgress field of an engine's configuration.
// Each follows one run at a time, and may follow another afterwards.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// Option adjusts a display.
type Option func(*settings)

type settings struct {
	sink  *loadtest.Sink
	every time.Duration
}

// WithSink adds to each line what s has written and how much waits in its queue.
func WithSink(s *loadtest.Sink) Option { return func(c *settings) { c.sink = s } }

// Every sets how often [Log] writes; 0 means 5 s. [Terminal] redraws its line about
// once a second, whenever the engine reports.
func Every(d time.Duration) Option { return func(c *settings) { c.every = d } }

const defaultEvery = 5 * time.Second

func newSettings(opts []Option) settings {
	c := settings{}
	for _, o := range opts {
		o(&c)
	}
	if c.every <= 0 {
		c.every = defaultEvery
	}
	return c
}

// Auto returns [Terminal] on standard error if that is a terminal, else [Log]. It
// never writes to standard output, where a line in the middle of a benchmark's own
// would destroy the result. For the same reason a terminal that is standard output as
// well gets no live line.
func Auto(tb testing.TB, opts ...Option) func(loadtest.Progress) {
	tb.Helper()
	if ownTerminal(os.Stderr, os.Stdout) {
		return Terminal(os.Stderr, opts...)
	}
	return Log(tb, opts...)
}

// ownTerminal reports whether f is a terminal, and another one than other.
func ownTerminal(f, other *os.File) bool {
	if !term.IsTerminal(int(f.Fd())) {
		return false
	}
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := other.Stat()
	return err != nil || !os.SameFile(a, b)
}

// Log writes a line to the test's log every few seconds, and one at the end of the
// run. go test shows the log of a benchmark when the benchmark has ended.
func Log(tb testing.TB, opts ...Option) func(loadtest.Progress) {
	tb.Helper()
	c := newSettings(opts)
	next := c.every
	return func(p loadtest.Progress) {
		tb.Helper()
		switch {
		case p.Done:
			next = c.every
		case p.Elapsed < next:
			return
		default:
			// Not from the line that is late, so that lateness does not add up.
			next += max(c.every, (p.Elapsed-next).Truncate(c.every)+c.every)
		}
		// Not tb.Log, which would name a line of the engine: it calls this function.
		fmt.Fprintln(tb.Output(), c.line(p))
	}
}

const (
	barWidth = 12
	// beside is what the bar's brackets, percentage and spaces take.
	beside       = 12
	defaultWidth = 80
)

// Terminal draws one line on w and redraws it in place; the last one stays when the
// run has ended. Lines are cut to the width of w if it is a terminal, else to 80
// columns.
func Terminal(w io.Writer, opts ...Option) func(loadtest.Progress) {
	c := newSettings(opts)
	var bar *progressbar.ProgressBar
	return func(p loadtest.Progress) {
		if bar == nil {
			bar = progressbar.NewOptions64(-1,
				progressbar.OptionSetWriter(w),
				progressbar.OptionSetWidth(barWidth),
				progressbar.OptionSetElapsedTime(false),
				progressbar.OptionSetPredictTime(false),
				progressbar.OptionShowDescriptionAtLineEnd(),
				progressbar.OptionUseANSICodes(true),
				progressbar.OptionSetSpinnerChangeInterval(0), // else it starts a goroutine
				progressbar.OptionSetRenderBlankState(false),
			)
		}
		done, total := extent(p)
		if total > 0 {
			bar.ChangeMax64(total)
		}
		// A bar that is full ends itself: it is kept one short until the run says so.
		if bar.Set64(min(done, max(total, 1)-1)) != nil {
			return // nowhere to draw: the load goes on
		}
		// The line holds no characters of other widths than one.
		bar.Describe(text.Cut(c.line(p), columns(w)-barWidth-beside))
		if p.Done {
			_ = bar.Exit()
			_, _ = io.WriteString(w, "\n")
			bar = nil
		}
	}
}

// extent returns how far a run has come, in requests and users or in time; total is 0 if the
// source has no known end.
func extent(p loadtest.Progress) (done, total int64) {
	switch {
	case p.Size > 0:
		return p.Ended(), p.Size
	case p.Planned > 0:
		return int64(min(p.Elapsed, p.Planned)), int64(p.Planned)
	}
	return 0, 0
}

func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return defaultWidth
}

// line starts with what matters most: narrow terminals cut off its end.
func (c *settings) line(p loadtest.Progress) string {
	var b strings.Builder
	open := p.Engine == "arrival"
	fmt.Fprintf(&b, "%v  ", p.Elapsed.Round(time.Second))
	switch {
	case p.Last.Excluded && p.Requests == 0:
		b.WriteString("warm-up  ")
	case p.Last.Excluded:
		b.WriteString("not counted  ")
	}
	fmt.Fprintf(&b, "%s req/s", text.Rate(p.Last.RPS()))
	if open {
		fmt.Fprintf(&b, " of %s due", text.Rate(text.PerSecond(p.Last.Scheduled, p.Last.To-p.Last.From)))
		for _, lost := range []struct {
			n    int64
			what string
		}{{p.Missed, "missed"}, {p.Dropped, "dropped"}, {p.Canceled, "canceled"}} {
			if lost.n > 0 {
				fmt.Fprintf(&b, "  %s %s", text.Count(lost.n), lost.what)
			}
		}
	} else if p.Requests > 0 || !p.Last.Excluded {
		fmt.Fprintf(&b, " (%s overall)", text.Rate(p.RPS))
	}
	if p.Last.Requests > 0 {
		fmt.Fprintf(&b, "  p50 %v p99 %v", text.Duration(p.Last.P50), text.Duration(p.Last.P99))
		if open {
			fmt.Fprintf(&b, " lag %v", text.Duration(p.Last.Lag))
		}
	}
	fmt.Fprintf(&b, "  %s in flight  %s errors", text.Count(int64(p.InFlight)), text.Count(p.ErrorCount))
	if p.RejectedCount > 0 {
		fmt.Fprintf(&b, "  %s rejected", text.Count(p.RejectedCount))
	}
	if c.sink != nil {
		s := c.sink.Stats()
		fmt.Fprintf(&b, "  %s written  %s queued", text.Count(s.Written), text.Count(int64(s.QueueDepth)))
		if s.Dropped > 0 {
			fmt.Fprintf(&b, "  %s dropped", text.Count(s.Dropped))
		}
	}
	return b.String()
}

// Line returns what the displays show of p, without the sink.
func Line(p loadtest.Progress) string { return (&settings{}).line(p) }
