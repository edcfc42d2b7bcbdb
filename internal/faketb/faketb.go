// Package faketb has tests that may fail, for the tests of what fails them.
package faketb

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TB stands in for a test and keeps what it is told. Whatever it does not know it asks the
// TB in it, which may be nil. It is safe for concurrent use by multiple goroutines.
type TB struct {
	testing.TB
	TestName string // empty means TestFake

	mu       sync.Mutex
	said     []entry
	cleanups []func()
	ctx      context.Context // canceled before the cleanups
	cancel   context.CancelFunc
}

type entry struct{ kind, text string }

// Run runs body as a test of its own, with its cleanups, and returns how it went. What is
// not kept goes to tb, which may be nil.
func Run(tb testing.TB, body func(*TB)) *TB { //nolint:thelper // nil has no Helper
	t := &TB{TB: tb}
	done := make(chan struct{})
	go func() { // ends with body or its FailNow; Run waits for it
		defer close(done)
		defer t.End()
		body(t)
	}()
	<-done
	return t
}

// End ends the test: its context is canceled, and its cleanups are called, last in first
// out.
func (t *TB) End() {
	_ = t.Context()
	t.cancel()
	for f := t.last(); f != nil; f = t.last() {
		f()
	}
}

// last takes the last cleanup, if there is one.
func (t *TB) last() (f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.cleanups); n > 0 {
		f, t.cleanups = t.cleanups[n-1], t.cleanups[:n-1]
	}
	return f
}

// Cleanups returns how many cleanups were asked for.
func (t *TB) Cleanups() int { return len(t.of("cleanup")) }

// Logs returns what was logged.
func (t *TB) Logs() []string { return t.of("log") }

// Errors returns what failed the test, at once or not.
func (t *TB) Errors() []string { return t.of("error", "fatal") }

// Fatals returns what failed the test at once.
func (t *TB) Fatals() []string { return t.of("fatal") }

// FailedNow reports whether the test failed at once, with words or without.
func (t *TB) FailedNow() bool { return len(t.of("end")) > 0 }

// Skips returns why the test was skipped.
func (t *TB) Skips() []string { return t.of("skip") }

// Text returns all that the test was told, a line for each.
func (t *TB) Text() string { return strings.Join(t.of("log", "error", "fatal", "skip"), "\n") }

func (t *TB) of(kinds ...string) (texts []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.said {
		if slices.Contains(kinds, e.kind) {
			texts = append(texts, e.text)
		}
	}
	return texts
}

func (t *TB) say(kind, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, entry{kind, text})
}

// The methods of testing.TB that it knows do what theirs do.

func (t *TB) Helper()                           {}
func (t *TB) Log(args ...any)                   { t.say("log", fmt.Sprint(args...)) }
func (t *TB) Logf(format string, args ...any)   { t.say("log", fmt.Sprintf(format, args...)) }
func (t *TB) Error(args ...any)                 { t.say("error", fmt.Sprint(args...)) }
func (t *TB) Errorf(format string, args ...any) { t.say("error", fmt.Sprintf(format, args...)) }
func (t *TB) Fatal(args ...any)                 { t.say("fatal", fmt.Sprint(args...)); t.FailNow() }
func (t *TB) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }
func (t *TB) FailNow()                          { t.say("end", ""); runtime.Goexit() }
func (t *TB) Failed() bool                      { return len(t.of("error", "end")) > 0 }
func (t *TB) Skip(args ...any)                  { t.say("skip", fmt.Sprint(args...)); runtime.Goexit() }
func (t *TB) Skipf(format string, args ...any)  { t.Skip(fmt.Sprintf(format, args...)) }

func (t *TB) Cleanup(f func()) {
	t.say("cleanup", "")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *TB) Context() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil {
		t.ctx, t.cancel = context.WithCancel(context.Background())
	}
	return t.ctx
}

func (t *TB) Name() string { return cmp.Or(t.TestName, "TestFake") }
