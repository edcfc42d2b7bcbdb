package loadtest

import (
	"context"
	"errors"
	"io"
	"time"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/ring"
)

// wireSession is one worker's connections. What a request needs is at hand when
// it begins: no lock is taken for it and no clock is read. A context is watched
// for as long as it serves, not for each request.
type wireSession struct {
	client *wireClient
	parser http1.Parser
	in     ring.Buffer

	lastReq  *Request // what last was made from
	last     *wireRequest
	requests map[*Request]*wireRequest

	fresh bool // nothing was sent since the session began to serve ctx

	contextWatch
	others []*wireConn // to other hosts, the one used last at the end; as conn under mu
	expiry *time.Timer // closes the connections of a parked session; under mu
}

// maxHosts is how many connections a session keeps, each to another host.
const maxHosts = 16

func (s *wireSession) Do(ctx context.Context, req *Request) (Response, error) {
	if s.ctx != ctx {
		s.serve(ctx)
	}
	if ctx.Err() != nil {
		return Response{}, &PhaseError{PhasePool, context.Cause(ctx)}
	}
	r, err := s.request(req)
	if err != nil {
		return Response{}, err
	}
	p := &s.parser
	for again := true; again; {
		p.Reset(r.head, req.Check != nil, s.client.limit)
		again, err = s.attempt(ctx, r)
	}
	if !p.InBody() {
		return Response{}, err
	}
	status, minor, header, body, n := p.Response()
	out := Response{StatusCode: status, Proto: wireProtos[minor], Bytes: n}
	if req.Check != nil {
		out.Header, out.Body = header, body
	}
	return out, err
}

var wireProtos = [10]string{
	"HTTP/1.0", "HTTP/1.1", "HTTP/1.2", "HTTP/1.3", "HTTP/1.4", "HTTP/1.5", "HTTP/1.6", "HTTP/1.7", "HTTP/1.8", "HTTP/1.9",
}

// attempt sends r once. It says whether r may be sent again: its kept connection
// turned out to be closed, and the server cannot have acted upon it.
func (s *wireSession) attempt(ctx context.Context, r *wireRequest) (again bool, err error) {
	c := s.conn
	if c == nil || c.key != r.key {
		if c, err = s.turn(ctx, r); err != nil {
			return false, s.explain(ctx, err, PhasePool)
		}
	}
	used, fresh := c.used, s.fresh
	c.used, s.fresh = true, false
	t := s.roundTrip(c, r, used && (fresh || !r.idempotent))
	if t.err == nil {
		if !t.reusable || r.closes || s.parser.Closes() {
			s.drop(true)
		}
		return false, nil
	}
	s.drop(false)
	t.err = ownError(t.err)
	if used && !t.answered && (!t.sent || r.idempotent) && !s.client.closed() && ctx.Err() == nil {
		return true, nil
	}
	phase := PhaseHeaders
	if s.parser.InBody() {
		phase = PhaseBody
	}
	return false, s.explain(ctx, t.err, phase)
}

// trip is how a request and its response went.
type trip struct {
	sent     bool // some of the request was written
	answered bool // something came back
	reusable bool // both sides are done with each other
	err      error
}

// roundTrip sends r over c and reads the response to its end.
func (s *wireSession) roundTrip(c *wireConn, r *wireRequest, wary bool) (t trip) {
	in, p := &s.in, &s.parser
	defer in.Free()
	var (
		n  int
		up *upload
	)
	if r.bare || r.body == nil && c.buffered {
		var wrote int
		wrote, n, t.err = c.exchange(r.bytes, in, wary)
		t.sent = wrote > 0
	} else {
		if wary {
			if t.err = c.peek(); t.err != nil {
				return t
			}
		}
		up = startUpload(c, r)
		n, t.err = c.Read(in.Room(p.Expected()))
	}
	t.answered = n > 0
	for {
		in.Filled(n)
		took, err := p.Feed(in.Bytes())
		in.Consume(took)
		if err != nil {
			t.err = err
			break
		}
		if p.Done() {
			t.reusable, t.err = in.Empty() && t.err == nil, nil
			break
		}
		if t.err != nil {
			if errors.Is(t.err, io.EOF) {
				t.err = p.End()
			}
			break
		}
		n, t.err = c.Read(in.Room(p.Expected()))
		t.answered = t.answered || n > 0
	}
	if up != nil {
		if t.err != nil || !up.finish() {
			s.drop(false)
			<-up.done
			t.reusable = false
		}
		t.sent = up.wrote > 0
	}
	return t
}

// explain says of an error how far the request had come, and of one that
// cancellation or Close caused, that it did.
func (s *wireSession) explain(ctx context.Context, err error, phase Phase) error {
	var at *PhaseError
	if errors.As(err, &at) {
		phase, err = at.Phase, at.Err
	}
	var classed *classError
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.client.closed():
		err = ErrClosed
	case errors.Is(err, ErrProtocol), errors.As(err, &classed):
		return err
	}
	return &PhaseError{phase, err}
}
