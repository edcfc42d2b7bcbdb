package resiliencetest

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// SweepTransport fails every I/O event once. It makes four calls over a connection that is
// kept alive — GET, PUT, POST and a GET whose answer comes in chunks — and notes each attempt to
// connect and each Read and Write, at the client and at the server, under which something
// passed. Then it makes them again for every one of these, which this time resets the connection
// instead: a Write before its bytes leave, a Read after they have arrived. What [TestTransport]
// asks of a client holds for each call, and the workload must go through, for what is
// idempotent. Each event is a sub-test, and how many there are is logged.
//
// wrap and opts are those of [TestTransport].
func SweepTransport(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper, opts ...TransportOption) {
	t.Helper()
	cfg := configure(t, opts)
	cfg.leavesBodies = leavesBodies(t, cfg, wrap)
	events, dry := sweepEvents(t, cfg, wrap)
	if dry.Verdict != Pass {
		t.Fatalf("resiliencetest: the workload fails without any fault: %v\n%v", dry, dry.Reasons)
	}
	t.Logf("resiliencetest: %d events, each of which fails once", len(events))
	var names []string
	for _, e := range events {
		names = append(names, e.String()+"/workload")
	}
	reasons := acceptedReasons(t, names, cfg.accepted)
	for i, e := range events {
		t.Run(e.String(), func(t *testing.T) {
			t.Helper()
			reason, accepted := reasons[names[i]]
			report(t, runSweep(t, &sweep{event: e}, cfg, wrap), accepted, reason)
		})
	}
}

// sweepEvent is something that happens to a connection.
type sweepEvent struct {
	conn int    // which, from 0
	side string // client or server
	op   string // dial, read or write
	n    int    // which of its kind, from 0
}

func (e sweepEvent) String() string {
	return fmt.Sprintf("connection-%d-%s-%s-%d", e.conn, e.side, e.op, e.n)
}

// sweep notes events, and lets one of them fail.
type sweep struct {
	event sweepEvent // the zero one is none

	mu    sync.Mutex // never held while anything waits
	seen  []sweepEvent
	conns map[string]int // by side
	fired int64
}

// happens notes an event and reports whether it is to fail.
func (s *sweep) happens(e sweepEvent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, e)
	if e != s.event {
		return false
	}
	s.fired++
	return true
}

// next returns the number of a new connection.
func (s *sweep) next(side string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[string]int{}
	}
	s.conns[side]++
	return s.conns[side] - 1
}

// dialed returns a connection at which events are noted, or the error of one that failed. A
// nil sweep leaves it as it is.
func (s *sweep) dialed(c net.Conn) (net.Conn, error) {
	if s == nil {
		return c, nil
	}
	conn := &sweepConn{Conn: c, sweep: s, side: "client", number: s.next("client")}
	if s.happens(sweepEvent{conn.number, "client", "dial", 0}) {
		return nil, conn.reset("dial")
	}
	return conn, nil
}

// listen returns a listener at whose connections events are noted.
func (s *sweep) listen(l net.Listener) net.Listener {
	if s == nil {
		return l
	}
	return &sweepListener{l, s}
}

type sweepListener struct {
	net.Listener
	sweep *sweep
}

func (l *sweepListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sweepConn{Conn: c, sweep: l.sweep, side: "server", number: l.sweep.next("server")}, nil
}

// sweepConn is a connection at which events are noted. It is read by one goroutine at a time
// and written by one, as net/http does.
type sweepConn struct {
	net.Conn
	sweep         *sweep
	side          string
	number        int
	reads, writes int
}

func (c *sweepConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	c.reads++
	if c.sweep.happens(sweepEvent{c.number, c.side, "read", c.reads - 1}) {
		return 0, c.reset("read")
	}
	return n, err
}

func (c *sweepConn) Write(p []byte) (int, error) {
	c.writes++
	if c.sweep.happens(sweepEvent{c.number, c.side, "write", c.writes - 1}) {
		return 0, c.reset("write")
	}
	return c.Conn.Write(p)
}

// reset ends the connection by RST, and returns the error of op.
func (c *sweepConn) reset(op string) error {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = c.Close()
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, syscall.ECONNRESET)}
}

// sweepEvents returns the events of a workload without any fault, in order, and how it went.
func sweepEvents(t *testing.T, cfg transportConfig, wrap wrapFunc) ([]sweepEvent, Cell) {
	t.Helper()
	s := &sweep{}
	dry := runSweep(t, s, cfg, wrap)
	slices.SortFunc(s.seen, func(a, b sweepEvent) int {
		return cmp.Or(cmp.Compare(a.conn, b.conn), cmp.Compare(a.side, b.side), cmp.Compare(a.op, b.op), cmp.Compare(a.n, b.n))
	})
	return s.seen, dry
}

// sweepWorkload is what a sweep does, one call after another.
var sweepWorkload = []struct {
	shape shape
	path  string
}{
	{shapeGet, "/work"},
	{shapePut, "/work"},
	{shapePost, "/work"},
	{shapeGet, "/stream"},
}

// runSweep runs the workload, with the event of s failing, in a bubble of its own.
func runSweep(t *testing.T, s *sweep, cfg transportConfig, wrap wrapFunc) Cell {
	t.Helper()
	out := Cell{
		Fault: s.event.String(), Shape: "workload", Outcome: "succeeded",
		Reproduction: fmt.Sprintf("GET, PUT, POST and a GET of chunks, one after another; of the %s's connection %d, %s number %d fails with ECONNRESET, all counted from 0", s.event.side, s.event.conn, s.event.op, s.event.n),
	}
	var fault transportFault
	var reasons []string
	bad := func(yes bool, format string, args ...any) {
		if yes {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	res := run(t, property[wrapFunc]{name: out.Fault, check: func(ch *checker, wrap wrapFunc) {
		w := newWorld(ch, "", wrap, s)
		defer w.tb.cleanUp()
		var calls []*call
		for i, work := range sweepWorkload {
			c := &call{id: fmt.Sprintf("call-%d", i), method: work.shape.method(), path: work.path, deadline: cfg.deadline, limit: cfg.limit}
			calls = append(calls, c)
			w.run(c)
		}
		open, left := w.leave()
		w.account(calls)
		for i, c := range calls {
			was := len(reasons)
			judgeCall(cell{&fault, sweepWorkload[i].shape}, cfg, c, bad)
			for j := was; j < len(reasons); j++ {
				reasons[j] = fmt.Sprintf("call %d, %s %s: %s", i+1, c.method, c.path, reasons[j])
			}
			bad(len(c.attempts) > cfg.attempts, "call %d, %s %s: %d attempts, where %d are the most", i+1, c.method, c.path, len(c.attempts), cfg.attempts)
			out.Attempts += len(c.attempts)
			out.Executions += c.executions
			if c.err != nil && out.Error == "" {
				out.Error, out.Outcome = c.err.Error(), fmt.Sprintf("call %d %s", i+1, c.outcome())
			}
		}
		bad(open > 0, "%d connections are still open when all is over", open)
		bad(len(left) > 0, "goroutines are left: %v", left)
		bad(w.unclosed > 0 && !cfg.leavesBodies, "%d bodies of requests were never closed", w.unclosed)
		out.Dials, out.Connections = w.connected()
		out.LeftOpen, out.Time = open, calls[len(calls)-1].ended
	}}, wrap, cellLimit)
	if res.Status == Hung { // the check may still be writing
		return Cell{Fault: out.Fault, Shape: out.Shape, Verdict: Fail, Outcome: "never returned", Reasons: []string{res.Details}, Reproduction: out.Reproduction}
	}
	bad(!res.Status.OK(), "%s", res.Details)
	out.Fired = s.fired
	switch {
	case s.fired == 0 && s.event != sweepEvent{}:
		out.Verdict, out.Reasons = Invalid, []string{"the event did not come about this time, so that nothing was proved"}
	case reasons != nil:
		out.Verdict, out.Reasons = Fail, reasons
	default:
		out.Verdict = Pass
	}
	return out
}
