package resiliencetest

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
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
	cfg := prepare(t, wrap, opts)
	cfg.faults = nil // of the matrix, which this is not
	events, dry := sweepEvents(t, cfg, wrap)
	if dry.Verdict != Pass {
		t.Fatalf("resiliencetest: the workload fails without any fault: %v\n%v", dry, dry.Reasons)
	}
	t.Logf("resiliencetest: %d events, each of which fails once", len(events))
	var cells []cell
	for _, e := range events {
		cells = append(cells, (&sweep{event: e}).cell())
	}
	testCells(t, cells, cfg, wrap)
}

// sweepEvent is something that happens to a connection.
type sweepEvent struct {
	conn int64  // which, from 0
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

	dials, accepts atomic.Int64 // which number their connections

	mu    sync.Mutex // never held while anything waits
	seen  []sweepEvent
	ended bool
}

// happens notes an event and reports whether it is to fail.
func (s *sweep) happens(e sweepEvent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.seen = append(s.seen, e)
	return e == s.event
}

// end has nothing noted any more, and nothing fail.
func (s *sweep) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// fired returns 1 if the event has come about, which it can once.
func (s *sweep) fired() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.seen, s.event) {
		return 1
	}
	return 0
}

// dialed returns a connection at which events are noted, or the error of one that failed. A
// nil sweep leaves it as it is.
func (s *sweep) dialed(c net.Conn) (net.Conn, error) {
	if s == nil {
		return c, nil
	}
	conn := &sweepConn{Conn: c, sweep: s, side: "client", number: s.dials.Add(1) - 1}
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
	return &sweepConn{Conn: c, sweep: l.sweep, side: "server", number: l.sweep.accepts.Add(1) - 1}, nil
}

// sweepConn is a connection at which events are noted. It is read by one goroutine at a time
// and written by one, as net/http does.
type sweepConn struct {
	net.Conn
	sweep         *sweep
	side          string
	number        int64
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

// cell returns the workload as a cell, whose fault is the event of s.
func (s *sweep) cell() cell {
	return cell{&transportFault{
		name:  s.event.String(),
		says:  fmt.Sprintf("all is well, but of the %s's connection %d, %s number %d fails with ECONNRESET, counted from 0", s.event.side, s.event.conn, s.event.op, s.event.n),
		sweep: s,
		heal:  func(*world) { s.end() },
		fired: func(*world) int64 { return s.fired() },
	}, shapeWorkload}
}

// sweepEvents returns the events of a workload without any fault, in order, and how it went.
func sweepEvents(t *testing.T, cfg transportConfig, wrap wrapFunc) ([]sweepEvent, Cell) {
	t.Helper()
	s := &sweep{}
	c := s.cell()
	c.fault.fired = (*world).hits
	dry := runCell(t, c, cfg, wrap)
	slices.SortFunc(s.seen, func(a, b sweepEvent) int {
		return cmp.Or(cmp.Compare(a.conn, b.conn), cmp.Compare(a.side, b.side), cmp.Compare(a.op, b.op), cmp.Compare(a.n, b.n))
	})
	return s.seen, dry
}
