package loadtest

import "sync/atomic"

// gate is a lock for calls of the user's that may sleep. Those who wait for a
// sync.Mutex stop the clock of a testing/synctest bubble, and so its holder for
// ever; those who wait here, at a channel, let it go on. As with a mutex, whoever
// comes may pass those who wait: handing over in turn would cost a switch of
// goroutines each time. It must be made by newGate.
type gate struct {
	shut    atomic.Bool
	waiters atomic.Int64
	called  atomic.Bool   // one of them has been woken and has not tried yet
	wake    chan struct{} // has room for one
}

func newGate() gate { return gate{wake: make(chan struct{}, 1)} }

func (g *gate) Lock() {
	if g.shut.CompareAndSwap(false, true) {
		return
	}
	g.waiters.Add(1)
	for !g.shut.CompareAndSwap(false, true) {
		// Whoever shut the gate will see, when opening it, that somebody waits.
		<-g.wake
		g.called.Store(false)
	}
	g.waiters.Add(-1)
}

func (g *gate) Unlock() {
	g.shut.Store(false)
	if g.waiters.Load() > 0 && g.called.CompareAndSwap(false, true) {
		// There is room: called says that the token before was taken.
		g.wake <- struct{}{}
	}
}
