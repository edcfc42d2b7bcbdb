package http1

import (
	"context"
	"errors"
	"io"
	"time"

	"example.com/brunt/loadtest/internal/ring"
)

// In a closed loop each worker needs one connection at a time, and the same one
// again. http.Transport does not know that: it has two goroutines for each
// connection, to which a request and its response are handed over channels, and a
// locked pool to look for connections in. A Session has a connection of its own, and
// its worker writes to it and reads from it. Only when a worker begins, ends or sends
// to another host is the pool of idle connections asked.

// Session sends requests, one at a time, for one goroutine.
type Session struct {
	client *Client
	pool   *pool

	contextWatch      // and the connection in use
	fresh        bool // nothing was sent since the session began to serve ctx, or got its connection
	exchanging   bool // a request is under way; so it stays after a panic or Goexit in a user's connection

	reader *responseReader // nil with Parse
	clock  *PhaseClock     // nil without Config.Phases

	// With Parse.
	parser parser
	in     ring.Buffer
}

// Do sends r and returns when the response has been read to its end, or with an
// [*Error] soon after ctx is done. With keep, the response has its header and body.
//
// A kept connection may have been closed by the server while it was idle. Then r is
// sent once more over another, if the server cannot have acted upon it: nothing of it
// was written, or it is idempotent and nothing came back.
func (s *Session) Do(ctx context.Context, r *Request, keep bool) (Response, error) {
	s.clock.Begin()
	if s.ctx != ctx {
		s.serve(ctx)
	}
	if ctx.Err() != nil {
		return Response{}, &Error{PhasePool, context.Cause(ctx)}
	}
	if s.exchanging {
		s.exchanging = false
		s.drop(false)
	}
	for {
		c := s.conn
		if c == nil || c.key != r.key {
			var err error
			s.clock.Enter(PhasePool)
			if c, err = s.getConn(ctx, r); err != nil {
				return Response{}, s.explain(ctx, err, PhasePool)
			}
		}
		s.clock.Enter(PhaseHeaders)
		used, fresh := c.used, s.fresh
		c.used, s.fresh = true, false
		s.exchanging = true
		out, t := s.roundTrip(c, r, keep, used && (fresh || !r.Idempotent))
		s.exchanging = false
		if t.err == nil {
			if !t.reusable {
				s.drop(true)
			}
			return out, nil
		}
		s.drop(false)
		again := used && !t.answered && (!t.sent || r.Idempotent)
		if !again || s.client.Conns.Closed() || ctx.Err() != nil {
			return out, s.explain(ctx, t.err, t.phase)
		}
	}
}

// Clock returns what Do has measured the phases with, whose End is left to the caller; nil
// without Config.Phases.
func (s *Session) Clock() *PhaseClock { return s.clock }

// trip is how a request and its response went.
type trip struct {
	phase    Phase
	sent     bool // some of the request was written
	answered bool // something came back
	reusable bool // both sides are done with each other
	err      error
	clock    *PhaseClock // of the session
}

// readsBody begins the last phase.
func (t *trip) readsBody() {
	t.phase = PhaseBody
	t.clock.Enter(PhaseBody)
}

// roundTrip sends r over c and reads the response to its end. If it is wary and can
// find out, it sends nothing over a connection that the server has given up.
func (s *Session) roundTrip(c *conn, r *Request, keep, wary bool) (out Response, t trip) {
	defer s.in.Free()
	t.phase, t.clock = PhaseHeaders, s.clock
	parse := s.reader == nil
	var (
		up          *upload
		wrote, read int
	)
	switch {
	case !r.inline || !r.bare && !c.buffered:
		if wary {
			if t.err = c.peek(); t.err != nil {
				return out, t
			}
		}
		up = startUpload(c, r)
		if parse {
			read, t.err = c.Read(s.in.Room(0))
		}
	case parse:
		wrote, read, t.err = c.exchange(r.bytes, &s.in, wary)
		t.sent = wrote > 0
	default:
		wrote, t.err = c.send(r.bytes, wary)
		if t.sent = wrote > 0; t.err != nil {
			return out, t
		}
	}
	if parse {
		out = s.parse(c, r, keep, read, &t)
	} else {
		out = s.reader.readResponse(c, r.head, keep, &t)
	}
	if up != nil {
		if t.err != nil || !up.finish() {
			s.drop(false)
			<-up.done
			t.reusable = false
		}
		if t.sent = up.wrote > 0; up.panicked != nil {
			panic(up.panicked)
		}
	}
	return out, t
}

// parse has the parser read a response from c, of which s.in has room for read bytes
// that have been read.
func (s *Session) parse(c *conn, r *Request, keep bool, read int, t *trip) (out Response) {
	in, p := &s.in, &s.parser
	p.reset(r.head, keep, s.client.cfg.BodyLimit)
	if r.Wants != "" {
		p.asked = r
	}
	t.answered = read > 0
	for {
		in.Filled(read)
		took, err := p.feed(in.Bytes())
		in.Consume(took)
		if err != nil {
			t.err = err
			break
		}
		if p.inBody() && (p.bytes > 0 || p.state != stateDone) {
			t.clock.Enter(PhaseBody)
		}
		if p.state == stateDone {
			t.reusable, t.err = in.Empty() && t.err == nil && !r.closes && !p.closes, nil
			break
		}
		if t.err != nil {
			if errors.Is(t.err, io.EOF) {
				t.err = p.end()
			}
			break
		}
		read, t.err = c.Read(in.Room(p.expected()))
		t.answered = t.answered || read > 0
	}
	if !p.inBody() {
		return out
	}
	t.phase = PhaseBody
	out = Response{StatusCode: p.status, Proto: protos[p.minor], Bytes: p.bytes}
	if keep {
		out.Header, out.Body = p.header, p.body
	} else if r.Wants != "" {
		out.Header = p.header
	}
	return out
}

var protos = [10]string{
	"HTTP/1.0", "HTTP/1.1", "HTTP/1.2", "HTTP/1.3", "HTTP/1.4", "HTTP/1.5", "HTTP/1.6", "HTTP/1.7", "HTTP/1.8", "HTTP/1.9",
}

// explain returns the error of a request that failed in phase with err. If ctx or
// Close has caused that, it says so.
func (s *Session) explain(ctx context.Context, err error, phase Phase) error {
	var at *Error
	if errors.As(err, &at) {
		phase, err = at.Phase, at.Err
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.client.Conns.Closed():
		err = s.client.cfg.ErrClosed
	}
	return &Error{phase, err}
}

// getConn returns a connection for r, from the pool or a new one, and makes it the
// one in use.
func (s *Session) getConn(ctx context.Context, r *Request) (*conn, error) {
	s.putIdleConn()
	s.fresh = true
	c := s.pool.get(r.key)
	if c == nil {
		var err error
		if c, err = s.client.connect(ctx, r, s.clock); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = c
	if s.aborted {
		c.expire()
	}
	return c, nil
}

// putIdleConn gives the connection in use to the pool, unless it is in the middle of an
// exchange: its response would answer another request.
func (s *Session) putIdleConn() {
	c := s.take()
	if c == nil {
		return
	}
	s.mu.Lock()
	aborted := s.aborted
	s.mu.Unlock()
	switch {
	case s.exchanging:
		s.exchanging = false
		c.close(false)
	case aborted && c.SetDeadline(time.Time{}) != nil: // between two requests it is as good as before
		c.close(true)
	default:
		s.pool.put(c)
	}
}

// serve begins to send requests under ctx, and to watch it.
func (s *Session) serve(ctx context.Context) {
	s.unwatch()
	s.fresh = true
	s.begin(ctx)
}

// unwatch ends the watching of a context.
func (s *Session) unwatch() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted {
		s.aborted = false
		if s.conn != nil { // between two requests it is as good as before
			_ = s.conn.SetDeadline(time.Time{}) // if that fails, so does the next request
		}
	}
}

// Park gives the connection to the pool, and memory back, until the next request.
func (s *Session) Park() {
	s.putIdleConn()
	s.unwatch()
	s.parser.reset(false, false, 0)
	s.parser.body = nil
	if s.reader != nil {
		s.reader.body.Free()
	}
}

// Close parks the session. The connections of a private one are closed.
func (s *Session) Close() {
	s.Park()
	if s.pool != &s.client.shared {
		s.pool.close()
	}
}
