package http1

import (
	"sync"
	"time"
)

// pool keeps the connections that no session uses. Connections are closed outside its
// lock: the end of TLS may take seconds, and user code may be in the way.
type pool struct {
	expiry time.Duration

	mu     sync.Mutex
	idle   map[string][]idleConn // by key, the one used last at the end
	timer  *time.Timer           // pending while connections are idle
	closed bool
}

type idleConn struct {
	*conn
	since time.Time
}

// get returns the idle connection to a host that was used last, as it is the
// likeliest to be open, or nil. Those that are too old are left to expire.
func (p *pool) get(key string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle[key]
	last := len(idle) - 1
	if last < 0 || time.Since(idle[last].since) >= p.expiry {
		return nil
	}
	c := idle[last].conn
	idle[last] = idleConn{}
	p.idle[key] = idle[:last]
	return c
}

// put keeps c for others, or closes it if the pool is closed.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		if p.idle == nil {
			p.idle = make(map[string][]idleConn)
		}
		p.idle[c.key] = append(p.idle[c.key], idleConn{c, time.Now()})
		if p.timer == nil {
			// Its goroutine ends with expire; close stops the timer.
			p.timer = time.AfterFunc(p.expiry, p.expire)
		}
	}
	p.mu.Unlock()
	if closed {
		c.close(true)
	}
}

// expire closes what has been idle for too long, and looks again when the next
// can be.
func (p *pool) expire() {
	closeAll(p.expired())
}

// expired takes out the connections that expire closes.
func (p *pool) expired() (old []idleConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	var next time.Duration
	for key, idle := range p.idle {
		n := 0
		for n < len(idle) && time.Since(idle[n].since) >= p.expiry {
			n++
		}
		old = append(old, idle[:n]...)
		if n == len(idle) {
			delete(p.idle, key)
			continue
		}
		p.idle[key] = append([]idleConn(nil), idle[n:]...)
		if left := p.expiry - time.Since(idle[n].since); next == 0 || left < next {
			next = left
		}
	}
	if next > 0 && !p.closed {
		p.timer = time.AfterFunc(next, p.expire)
	}
	return old
}

// close closes all connections, and has put close what comes later.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, conns := range idle {
		closeAll(conns)
	}
}

func closeAll(conns []idleConn) {
	for _, c := range conns {
		c.close(true)
	}
}
