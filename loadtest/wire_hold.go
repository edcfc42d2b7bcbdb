package loadtest

import (
	"context"
	"slices"
	"time"
)

// serve begins to send requests under ctx, and to watch it.
func (s *wireSession) serve(ctx context.Context) {
	s.rest()
	s.mu.Lock()
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	s.mu.Unlock()
	s.fresh = true
	s.begin(ctx)
}

// rest ends serving a context. Requests may differ under the next one.
func (s *wireSession) rest() {
	s.end()
	s.lastReq, s.last, s.requests = nil, nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted { // between two requests: the connections are as good as before
		s.aborted = false
		for _, c := range s.held() {
			_ = c.SetDeadline(time.Time{}) // if that fails, so does the next request
		}
	}
}

// held lists the connections. The caller holds mu.
func (s *wireSession) held() []*wireConn {
	if s.conn == nil {
		return s.others
	}
	return append(s.others[:len(s.others):len(s.others)], s.conn)
}

// turn makes the connection to r's host, kept or new, the one in use.
func (s *wireSession) turn(ctx context.Context, r *wireRequest) (*wireConn, error) {
	at := slices.IndexFunc(s.others, func(c *wireConn) bool { return c.key == r.key })
	var c *wireConn
	if at < 0 {
		var err error
		if c, err = s.client.connect(ctx, r); err != nil {
			return nil, err
		}
	} else {
		c = s.others[at]
		s.fresh = true
	}
	var surplus *wireConn
	s.mu.Lock()
	if at >= 0 {
		s.others = slices.Delete(s.others, at, at+1)
	}
	if s.conn != nil {
		s.others = append(s.others, s.conn)
	}
	if len(s.others) == maxHosts {
		surplus = s.others[0]
		s.others = slices.Delete(s.others, 0, 1)
	}
	s.conn = c
	if s.aborted {
		c.expire()
	}
	s.mu.Unlock()
	if surplus != nil {
		surplus.close(true)
	}
	return c, nil
}

// park waits for the next run, so that the connections can expire.
func (s *wireSession) park() {
	s.rest()
	s.parser.Free()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held()) > 0 {
		s.expiry = time.AfterFunc(s.client.expiry, s.expire)
	}
}

// expire closes the connections of a session that is parked.
func (s *wireSession) expire() {
	s.mu.Lock()
	var left []*wireConn
	if s.ctx == nil {
		left = s.held()
		s.conn, s.others = nil, nil
	}
	s.mu.Unlock()
	for _, c := range left {
		c.close(true)
	}
}

// Close closes the session's connections.
func (s *wireSession) Close() error {
	s.rest()
	s.expire()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry != nil {
		s.expiry.Stop()
	}
	return nil
}
