package http1

import (
	"slices"
	"sync"
	"time"
)

// pool keeps the connections that no session uses. Connections are closed outside its
// lock: the end of TLS may take seconds, and user code may be in the way.
type pool struct {
	expiry time.Duration

	mu     sync.Mutex
	idle   map[string][]*conn // by key, the one used last at the end
	closed bool
}

// get returns the idle connection to a host that was used last, as it is the
// likeliest to be open, or nil. One whose time is up is left to expire.
func (p *pool) get(key string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.idle[key]
	last := len(idle) - 1
	if last < 0 || !idle[last].expiry.Stop() {
		return nil
	}
	c := idle[last]
	p.idle[key] = slices.Delete(idle, last, last+1)
	return c
}

// put keeps c for others, or closes it if the pool is closed. c comes to no other pool.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		if p.idle == nil {
			p.idle = make(map[string][]*conn)
		}
		p.idle[c.key] = append(p.idle[c.key], c)
		if c.expiry == nil {
			// Its goroutine ends with expire; get and close stop the timer.
			c.expiry = time.AfterFunc(p.expiry, func() { p.expire(c) })
		} else {
			c.expiry.Reset(p.expiry)
		}
	}
	p.mu.Unlock()
	if closed {
		c.close(true)
	}
}

// expire closes c, which has been idle for too long.
func (p *pool) expire(c *conn) {
	p.mu.Lock()
	idle := p.idle[c.key]
	i := slices.Index(idle, c)
	if i >= 0 {
		p.idle[c.key] = slices.Delete(idle, i, i+1)
		if len(idle) == 1 {
			delete(p.idle, c.key)
		}
	}
	p.mu.Unlock()
	if i >= 0 { // else the pool has been closed
		c.close(true)
	}
}

// close closes all connections, and has put close what comes later.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, conns := range idle {
		for _, c := range conns {
			c.expiry.Stop()
			c.close(true)
		}
	}
}
