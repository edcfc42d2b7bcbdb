package transport

import (
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/http1"
)

// Trace follows requests, one at a time, through the phases of a round trip. The zero
// Trace is ready for use.
type Trace struct {
	Clock *http1.PhaseClock // measures the phases; nil if nothing does

	phase atomic.Uint32 // an http1.Phase; the transport's dialing goroutine sets it too
	since atomic.Int64  // when the wait for a connection began, plus one; 0 if there is none
	sum   atomic.Int64  // of the waits before it
}

// Begin begins a request, which waits for a connection.
func (t *Trace) Begin() {
	t.since.Store(0)
	t.sum.Store(0)
	t.Clock.Begin()
	t.Enter(http1.PhasePool)
}

// Enter has the request come to p, whatever phase it was in.
func (t *Trace) Enter(p http1.Phase) {
	t.phase.Store(uint32(p))
	t.Clock.Enter(p)
}

// Phase returns how far the request has come.
func (t *Trace) Phase() http1.Phase { return http1.Phase(t.phase.Load()) }

// Waited returns how long the request, which has ended, waited for connections in all.
func (t *Trace) Waited() time.Duration {
	t.stop()
	return time.Duration(t.sum.Load())
}

// waitClock is the beginning of the clock of waits: any instant does.
var waitClock = time.Now()

func (t *Trace) start() { t.since.CompareAndSwap(0, int64(time.Since(waitClock))+1) }

func (t *Trace) stop() {
	if since := t.since.Swap(0); since != 0 {
		t.sum.Add(int64(time.Since(waitClock)) - since + 1)
	}
}

// Hooks returns what tells t of its requests' phases. It calls opened for each new
// connection that a request gets.
func (t *Trace) Hooks(opened func()) *httptrace.ClientTrace {
	leave := func(to http1.Phase) {
		t.advance(to)
		t.stop()
	}
	return &httptrace.ClientTrace{
		// Whatever happened before: a redirect, or a connection that broke.
		GetConn: func(string) {
			t.Enter(http1.PhasePool)
			t.start()
		},
		DNSStart:          func(httptrace.DNSStartInfo) { leave(http1.PhaseDNS) },
		ConnectStart:      func(_, _ string) { leave(http1.PhaseConnect) },
		TLSHandshakeStart: func() { t.advance(http1.PhaseTLS) },
		GotConn: func(info httptrace.GotConnInfo) {
			t.Enter(http1.PhaseHeaders)
			t.stop()
			if !info.Reused {
				opened()
			}
		},
		// A Pool does not tell of a stream, which may have to wait still.
		WroteHeaders: func() {
			if t.phase.CompareAndSwap(uint32(http1.PhasePool), uint32(http1.PhaseHeaders)) {
				t.Clock.Enter(http1.PhaseHeaders)
			}
			t.stop()
		},
	}
}

// advance is Enter for the hooks of dialing. They run on the transport's own goroutine,
// at times for a request that has meanwhile got another connection: they may only
// advance a request that still waits for one.
func (t *Trace) advance(to http1.Phase) {
	for {
		now := t.phase.Load()
		if now == uint32(http1.PhaseUnknown) || now >= uint32(http1.PhaseHeaders) || t.phase.CompareAndSwap(now, uint32(to)) {
			break
		}
	}
	t.Clock.Dialing(to)
}
