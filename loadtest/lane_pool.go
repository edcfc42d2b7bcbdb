package loadtest

import (
	"sync"
	"time"
)

// lanePool keeps the lanes that no session uses.
type lanePool struct {
	expiry time.Duration

	mu     sync.Mutex
	idle   map[string][]idleLane // by key, the one used last at the end
	timer  *time.Timer           // pending while lanes are idle
	closed bool
}

type idleLane struct {
	*wireConn
	since time.Time
}

func (p *lanePool) get(key string) *wireConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	lanes := p.idle[key]
	for len(lanes) > 0 {
		l := lanes[len(lanes)-1] // the one used last is the likeliest to be open
		lanes[len(lanes)-1] = idleLane{}
		lanes = lanes[:len(lanes)-1]
		p.idle[key] = lanes
		if time.Since(l.since) < p.expiry {
			return l.wireConn
		}
		l.close(true)
	}
	return nil
}

func (p *lanePool) put(c *wireConn) {
	if c == nil {
		return
	}
	l := idleLane{c, time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.close(true)
		return
	}
	if p.idle == nil {
		p.idle = make(map[string][]idleLane)
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
			left := p.expiry - time.Since(l.since)
			if left <= 0 {
				l.close(true)
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
			l.close(true)
		}
	}
	p.idle = nil
}
