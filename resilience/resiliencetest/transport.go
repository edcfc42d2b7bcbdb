package resiliencetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TransportOption changes what [TestTransport], [CheckTransport] and [SweepTransport]
// expect.
type TransportOption func(*transportConfig)

type transportConfig struct {
	attempts int
	retries  bool
	deadline time.Duration
	limit    time.Duration
	accepted []Deviation
	faults   []string // nil is all

	leavesBodies bool // of requests, even when all is well
}

// MaxAttempts sets how many attempts a call may make at most, 1 or more, the first and
// those of net/http included; the default is 4. A hundred clients may make a hundred times
// as many. Redirects that the fault itself asks for are not counted.
func MaxAttempts(n int) TransportOption { return func(c *transportConfig) { c.attempts = n } }

// WithoutRetry says that no retries are promised, as of a plain [http.Transport]: where
// another client must recover, an error that says what happened is enough.
func WithoutRetry() TransportOption { return func(c *transportConfig) { c.retries = false } }

// CallDeadline sets the deadline of every call, above 0; the default is 1 minute. It is
// that of the request's context, as a careful caller sets one.
func CallDeadline(d time.Duration) TransportOption {
	return func(c *transportConfig) { c.deadline = d }
}

// TimeLimit sets after how long in virtual time, above the deadline, a call counts as one
// that never returns; the default is 5 minutes.
func TimeLimit(d time.Duration) TransportOption { return func(c *transportConfig) { c.limit = d } }

// Accept names cells, as in "response-lost/POST", that are known to fail, with the reason
// that this is accepted; see [Deviation]. A cell whose fault did not fire fails all the
// same.
func Accept(deviations ...Deviation) TransportOption {
	return func(c *transportConfig) { c.accepted = append(c.accepted, deviations...) }
}

// Faults keeps the matrix to the lines of these names, in its own order; the default is all.
// [SweepTransport] has none.
func Faults(names ...string) TransportOption {
	return func(c *transportConfig) { c.faults = append(c.faults, names...) }
}

// TestTransport puts an HTTP client through the fault matrix: every fault that servers and
// networks are known for, times GET, PUT and POST with a body, and a GET or PUT whose
// caller cancels it while it connects, uploads, waits, backs off or reads. Each is a
// sub-test, named fault/shape. There are also storms, of a hundred clients.
//
// wrap returns the client under test, around base, a plain *http.Transport whose
// connections come from a [fixtures.Network]; a wrap that returns base is what Go has by
// itself. It is called in each cell's bubble, and must build everything there. It may change
// base, but for its DialContext. The contexts of its requests must be those of the caller's,
// or derived from them: by an [httptrace.ClientTrace] in them attempts are counted.
//
//	resiliencetest.TestTransport(t, func(base http.RoundTripper) http.RoundTripper {
//		return mine.NewTransport(base)
//	})
//
// Whatever the fault and the options, a client fails a cell in which
//   - a POST without Idempotency-Key is executed twice,
//   - a request is executed whose body is not what the caller sent,
//   - an answer that HTTP can tell is cut short or broken is handed over as complete,
//   - Authorization goes to another host with a redirect,
//   - an attempt comes before the Retry-After of the one before has passed,
//   - a canceled call goes on, is tried again, or does not say [context.Canceled],
//   - a call never returns, or makes more attempts than [MaxAttempts],
//   - the next call, when all is well again, gets a wrong answer, or fails even a minute
//     later,
//   - something is left: a connection, a goroutine, a request's body that is not closed. A
//     client that never closes those fails the cells of "calm", which have no fault, alone.
//
// It must recover from a fault that passes if the request is idempotent, or cannot have been
// executed, unless the answer's header was in the caller's hands by then; if it cannot
// recover, its error must say what happened. A cell whose fault did not fire is INVALID and
// fails, since it has proved nothing.
func TestTransport(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper, opts ...TransportOption) {
	t.Helper()
	testCells(t, transportCells(), prepare(t, wrap, opts), wrap)
}

// CheckTransport runs the matrix of [TestTransport], fails nothing, and returns what was
// seen, for instance to put several clients side by side. It uses t only to make bubbles,
// and for options that are not legal.
func CheckTransport(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper, opts ...TransportOption) Matrix {
	t.Helper()
	cfg := prepare(t, wrap, opts)
	var m Matrix
	for _, c := range cfg.of(transportCells()) {
		m.Cells = append(m.Cells, runCell(t, c, cfg, wrap))
	}
	return m
}

// cell is one square of the matrix, not yet run.
type cell struct {
	fault *transportFault
	shape shape
}

func (c cell) name() string { return c.fault.name + "/" + c.shape.name(c.fault) }

// transportCells returns the matrix.
func transportCells() []cell {
	var out []cell
	for i := range transportFaults {
		f := &transportFaults[i]
		for _, s := range f.shapes() {
			out = append(out, cell{f, s})
		}
	}
	return out
}

func configure(tb testing.TB, opts []TransportOption) transportConfig {
	tb.Helper()
	c := transportConfig{attempts: 4, retries: true, deadline: time.Minute, limit: 5 * time.Minute}
	for _, opt := range opts {
		opt(&c)
	}
	var bad []string
	if c.attempts < 1 {
		bad = append(bad, fmt.Sprintf("MaxAttempts is %d, want 1 or more", c.attempts))
	}
	if c.deadline <= 0 {
		bad = append(bad, fmt.Sprintf("CallDeadline is %v, want more than 0", c.deadline))
	}
	if c.limit <= c.deadline {
		bad = append(bad, fmt.Sprintf("TimeLimit is %v, want more than the CallDeadline, %v", c.limit, c.deadline))
	}
	for _, name := range c.faults {
		if !slices.ContainsFunc(transportFaults, func(f transportFault) bool { return f.name == name }) {
			bad = append(bad, fmt.Sprintf("Faults has %q, which is no line of the matrix", name))
		}
	}
	if bad != nil {
		tb.Fatalf("resiliencetest: options: %s", strings.Join(bad, "; "))
	}
	return c
}

// of returns the cells that are wanted.
func (c transportConfig) of(cells []cell) []cell {
	if c.faults == nil {
		return cells
	}
	return slices.DeleteFunc(cells, func(x cell) bool { return !slices.Contains(c.faults, x.fault.name) })
}

// prepare is configure, and looks whether the client leaves the body of a request open when
// all is well.
func prepare(t *testing.T, wrap wrapFunc, opts []TransportOption) transportConfig {
	t.Helper()
	c := configure(t, opts)
	c.leavesBodies = runCell(t, cell{&transportFaults[calm], shapePut}, c, wrap).unclosed > 0
	return c
}

func testCells(t *testing.T, cells []cell, cfg transportConfig, wrap wrapFunc) {
	t.Helper()
	var names []string
	for _, c := range cells {
		names = append(names, c.name())
	}
	reasons := acceptedReasons(t, names, cfg.accepted)
	for _, c := range cfg.of(cells) {
		t.Run(c.name(), func(t *testing.T) {
			t.Helper()
			reason, accepted := reasons[c.name()]
			report(t, runCell(t, c, cfg, wrap), accepted, reason)
		})
	}
}

// report tells tb of a cell. accepted says that it is expected to fail, for a reason.
func report(tb testing.TB, c Cell, accepted bool, reason string) {
	tb.Helper()
	name := c.Fault + "/" + c.Shape
	switch {
	case c.Verdict == Invalid:
		tb.Errorf("%s: INVALID, which is not passed: %s\nreproduce: %s", name, strings.Join(c.Reasons, "\n"), c.Reproduction)
	case c.Verdict == Known:
		tb.Skipf("%s: %s", name, strings.Join(c.Reasons, "\n"))
	case accepted && c.Verdict == Pass:
		tb.Errorf("%s passes: take it off the accepted deviations, where its reason is %q", name, reason)
	case accepted:
		tb.Skipf("accepted deviation: %s\n%s: %s", reason, name, strings.Join(c.Reasons, "\n"))
	case c.Verdict == Fail:
		tb.Errorf("%s: %s\nseen: %v\nreproduce: %s\nto accept it: resiliencetest.Deviation{Property: %q, Reason: \"…\"}",
			name, strings.Join(c.Reasons, "\n"), c, c.Reproduction, name)
	}
}
