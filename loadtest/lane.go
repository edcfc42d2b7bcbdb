package loadtest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
)

// In a closed loop each worker needs one connection at a time, and the same one
// again. http.Transport does not know that: it looks for a connection in a
// locked pool before each request, and puts it back and resets its idle timer
// after. So where nothing speaks against it, a session keeps the connection it
// has, as an http.ClientConn, and the pool is only asked when a worker begins,
// ends or turns to another host. That saves a tenth of the CPU of a request.

// lane is one HTTP/1.1 connection of ours.
type lane struct {
	key       string // scheme and authority it leads to
	cc        *http.ClientConn
	conn      *trackedConn
	used      bool // has carried a request
	idleSince time.Time
}

func (l *lane) close() {
	if l != nil {
		_ = l.cc.Close() // it reports nothing
	}
}

// lanesFit says whether requests to u can travel by lanes: HTTP/1.1 over kept
// connections without a limit on their number. All else is for http.Transport.
func (c *httpClient) lanesFit(u *url.URL) bool {
	cfg := &c.cfg
	if cfg.Transport != nil || cfg.Pooling != PoolOptimized || cfg.Proxy != nil || cfg.Jar != nil || cfg.MaxRedirects > 0 ||
		cfg.MaxConnections > 0 || cfg.MaxKeepaliveConnections > 0 {
		return false
	}
	p := cfg.Protocols
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r > 127 }) {
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

// lanePool keeps the lanes that no session uses.
type lanePool struct {
	expiry time.Duration

	mu     sync.Mutex
	idle   map[string][]*lane
	timer  *time.Timer // pending while lanes are idle
	closed bool
}

func (p *lanePool) get(key string) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	lanes := p.idle[key]
	for len(lanes) > 0 {
		l := lanes[len(lanes)-1] // the one used last is the likeliest to be open
		lanes = lanes[:len(lanes)-1]
		p.idle[key] = lanes
		if l.cc.Err() == nil && time.Since(l.idleSince) < p.expiry {
			return l
		}
		l.close()
	}
	return nil
}

func (p *lanePool) put(l *lane) {
	if l == nil {
		return
	}
	l.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || l.cc.Err() != nil {
		l.close()
		return
	}
	if p.idle == nil {
		p.idle = make(map[string][]*lane)
	}
	p.idle[l.key] = append(p.idle[l.key], l)
	if p.timer == nil {
		// Its goroutine ends with expire; close stops the timer.
		p.timer = time.AfterFunc(p.expiry, p.expire)
	}
}

// expire closes what has been idle for too long, and looks again when the next
// can be.
func (p *lanePool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	var next time.Duration
	for key, lanes := range p.idle {
		keep := lanes[:0]
		for _, l := range lanes {
			left := p.expiry - time.Since(l.idleSince)
			if left <= 0 || l.cc.Err() != nil {
				l.close()
				continue
			}
			keep = append(keep, l)
			if next == 0 || left < next {
				next = left
			}
		}
		clear(lanes[len(keep):])
		p.idle[key] = keep
	}
	if next > 0 && !p.closed {
		p.timer = time.AfterFunc(next, p.expire)
	}
}

func (p *lanePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, lanes := range p.idle {
		for _, l := range lanes {
			l.close()
		}
	}
	p.idle = nil
}

// laneSlot is how a dial tells its lane which connection it has opened.
type laneSlot struct{}

// ride sends hr over the session's lane. A kept connection may have been closed
// by the server while it was idle; then the request is sent once more over a new
// one, if it cannot have been acted upon: nothing of it was written, or it is
// idempotent and nothing came back. net/http's transport has the same rules.
func (s *httpSession) ride(ctx context.Context, hr *http.Request, key string) (*http.Response, error) {
	for {
		l, err := s.board(ctx, hr.URL, key)
		if err != nil {
			closeBody(hr)
			return nil, err
		}
		used, wrote, read := l.used, l.conn.wrote.Load(), l.conn.read.Load()
		l.used = true
		s.phase.Store(uint32(PhaseHeaders))
		resp, err := l.cc.RoundTrip(hr)
		if err == nil {
			return resp, nil
		}
		s.lane = nil
		l.close()
		untouched := l.conn.wrote.Load() == wrote
		if !used || ctx.Err() != nil || !untouched && (l.conn.read.Load() != read || !idempotent(hr)) {
			return nil, err
		}
		if hr.GetBody != nil {
			again := *hr
			again.Body, _ = hr.GetBody()
			hr = &again
		}
	}
}

func closeBody(hr *http.Request) {
	if hr.Body != nil {
		hr.Body.Close()
	}
}

// idempotent is net/http's rule for what it sends again by itself.
func idempotent(hr *http.Request) bool {
	switch hr.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return len(hr.Header["Idempotency-Key"]) > 0 || len(hr.Header["X-Idempotency-Key"]) > 0
}

// board returns a lane to u: the one at hand, one from the pool, or a new one.
func (s *httpSession) board(ctx context.Context, u *url.URL, key string) (*lane, error) {
	if l := s.lane; l != nil {
		if l.key == key && l.cc.Err() == nil {
			return l, nil
		}
		s.park()
	}
	l := s.lanes.get(key)
	if l == nil {
		l = &lane{key: key}
		dialing := context.WithValue(httptrace.WithClientTrace(ctx, s.trace()), laneSlot{}, l)
		cc, err := s.transport.NewClientConn(dialing, u.Scheme, authority(u))
		if err != nil {
			return nil, err
		}
		l.cc = cc
	}
	s.lane = l
	return l, nil
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

// park gives the lane back while the session waits for the next run, so that
// its connection can expire.
func (s *httpSession) park() {
	s.lanes.put(s.lane)
	s.lane = nil
}
