package loadtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// In a closed loop each worker needs one connection at a time, and the same one
// again. http.Transport does not know that: it has two goroutines for each
// connection, to which a request and its response are handed over channels, and
// a locked pool to look for connections in. So where nothing speaks against it a
// session has a connection of its own, a lane, and the worker writes to it and
// reads from it by itself. What it writes and how it understands what it reads
// are net/http's: Request.Write and ReadResponse. A request takes about 0.6 of the
// CPU time.
//
// Only when a worker begins, ends or turns to another host is the pool of lanes
// asked that sessions share.

// lanesFit says whether requests to u can travel by lanes: HTTP/1.1 over kept
// connections without a limit on their number. All else is for http.Transport.
func (c *httpClient) lanesFit(u *url.URL) bool {
	cfg := &c.cfg
	if cfg.Transport != nil || cfg.Pooling != PoolOptimized || cfg.Proxy != nil || cfg.Jar != nil || cfg.MaxRedirects > 0 ||
		cfg.MaxConnections > 0 || cfg.MaxKeepaliveConnections > 0 || cfg.Decompress {
		return false
	}
	p := cfg.Protocols
	if !isASCII(u.Host) {
		return false // an international name, which http.Transport translates
	}
	switch u.Scheme {
	case "http":
		return p == nil || p.HTTP1() && !p.UnencryptedHTTP2()
	case "https":
		return p != nil && p.HTTP1() && !p.HTTP2() // otherwise the handshake decides
	}
	return false
}

// lane returns what hr, with body, is on a lane; nil if it is for http.Transport.
func (c *httpClient) lane(hr *http.Request, body []byte) (*wireRequest, error) {
	switch {
	case !c.lanesFit(hr.URL):
		return nil, nil
	case len(body) > 0 && len(hr.Header["Expect"]) > 0:
		return nil, nil // it waits for leave to send the body
	case !canPeek && !idempotent(hr):
		return nil, nil // net/http's reading goroutine sees the server close a kept connection
	}
	return serialize(hr, body, false)
}

// idempotent is net/http's rule for what it sends again by itself.
func idempotent(hr *http.Request) bool {
	switch hr.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return len(hr.Header["Idempotency-Key"]) > 0 || len(hr.Header["X-Idempotency-Key"]) > 0
}

// authority is u's host and port, the port being the scheme's if u has none.
func authority(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// ride sends r over the session's lane. A kept connection may have been closed
// by the server while it was idle; then the request is sent once more over
// another, if it cannot have been acted upon: nothing of it was written, or it is
// idempotent and nothing came back. net/http's transport has the same rules.
func (s *httpSession) ride(ctx context.Context, r *wireRequest, keep bool) (Response, error) {
	for {
		s.phase.Store(uint32(PhasePool))
		if ctx.Err() != nil {
			return Response{}, s.explainRide(ctx, ctx.Err())
		}
		c, err := s.board(ctx, r)
		if err != nil {
			return Response{}, s.explainRide(ctx, err)
		}
		used, fresh := c.used, s.fresh
		c.used, s.fresh = true, false
		out, t := s.travel(c, r, keep, used && (fresh || !r.idempotent))
		if t.err == nil {
			if !t.reusable {
				s.drop(true)
			}
			return out, nil
		}
		s.drop(false)
		if !used || t.answered || t.sent && !r.idempotent || s.client.conns.closed() || ctx.Err() != nil {
			return out, s.explainRide(ctx, t.err)
		}
	}
}

// explainRide says of an error that cancellation or Close caused that it did, and
// else what explain does.
func (s *httpSession) explainRide(ctx context.Context, err error) error {
	var at *PhaseError
	if errors.As(err, &at) {
		s.phase.Store(uint32(at.Phase))
		err = at.Err
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.client.conns.closed():
		return &PhaseError{Phase(s.phase.Load()), ErrClosed}
	}
	return s.explain(ctx, err)
}

// board returns a lane for r: the one at hand, one from the pool, or a new one.
func (s *httpSession) board(ctx context.Context, r *wireRequest) (*wireConn, error) {
	if s.conn != nil {
		if s.conn.key == r.key {
			return s.conn, nil
		}
		s.leave()
	}
	c := s.lanes.get(r.key)
	s.fresh = true
	if c == nil {
		var err error
		if c, err = s.client.connect(ctx, r); err != nil {
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

// leave gives the lane back to the pool.
func (s *httpSession) leave() {
	c := s.take()
	if c == nil {
		return
	}
	s.mu.Lock()
	aborted := s.aborted
	s.mu.Unlock()
	if aborted && c.SetDeadline(time.Time{}) != nil { // between two requests it is as good as before
		c.close(true)
		return
	}
	s.lanes.put(c)
}
