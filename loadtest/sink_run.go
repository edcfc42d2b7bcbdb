package loadtest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Record runs src on e and writes every outcome to s. It returns when all are
// written, and leaves s open; closing it is what makes them durable.
//
// The result's Sink is what s did meanwhile; its Warnings tell if s held the run back or
// dropped records. An error of s stops the run and is returned,
// with the result so far. If ctx ends, requests in flight are canceled, counted
// and recorded too, for which s has 5 s.
//
// With the engines of this package all workers can wait for room in the queue at the
// same time, and SinkStats.Blocked is the sum.
func Record(ctx context.Context, e Engine, src Source, s *Sink) (*EngineResult, error) {
	switch {
	case ctx == nil:
		return nil, ErrNilContext
	case e == nil:
		return nil, fault("Record without an engine")
	case s == nil:
		return nil, fault("Record without a sink")
	}
	// A writer that hangs must not hold up a canceled run forever.
	patience, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	defer lose(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(cancelGrace, func() { lose(context.Cause(ctx)) })
		context.AfterFunc(patience, func() { timer.Stop() })
	})
	defer stop()

	before := s.Stats()
	res, err := runShared(ctx, e, src, func(r RequestResult) error { return s.put(patience, r) })
	if res == nil {
		return nil, err
	}
	if failed := s.flush(patience); failed != nil && !errors.Is(err, ErrSink) {
		err = errors.Join(err, failed)
	}
	st := s.Stats().plus(-1, before)
	res.Sink = &st
	res.Warnings = append(res.Warnings, res.sinkWarnings()...)
	return res, err
}

// outcomeSink receives the outcomes of a run. It is safe for concurrent use.
type outcomeSink interface {
	// put takes an outcome, unless the sink has ended. An error ends it.
	put(RequestResult) error
	// ended reports whether the sink has failed and so not received everything.
	ended() bool
}

// serialSink calls f one at a time. A panic in f ends it.
type serialSink struct {
	f    func(RequestResult) error
	gate gate
	end  atomic.Bool
}

func newSerialSink(f func(RequestResult) error) *serialSink {
	return &serialSink{f: f, gate: newGate()}
}

func (s *serialSink) ended() bool { return s.end.Load() }

func (s *serialSink) put(r RequestResult) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.end.Load() {
		return nil
	}
	s.end.Store(true) // stands if f panics
	err := s.f(r)
	s.end.Store(err != nil)
	return err
}

// sharedSink calls f, which is safe for concurrent use, without a lock.
type sharedSink struct {
	f   func(RequestResult) error
	end atomic.Bool
}

func (s *sharedSink) ended() bool { return s.end.Load() }

func (s *sharedSink) put(r RequestResult) error {
	if s.end.Load() {
		return nil
	}
	err := s.f(r)
	if err != nil {
		s.end.Store(true)
	}
	return err
}

// sharedRunner is implemented by engines whose workers can call a sink concurrently.
type sharedRunner interface {
	runShared(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error)
}

// runShared is RunStreaming, but calls of sink may overlap.
func runShared(ctx context.Context, e Engine, src Source, sink func(RequestResult) error) (*EngineResult, error) {
	if s, ok := e.(sharedRunner); ok {
		return s.runShared(ctx, src, sink)
	}
	return e.RunStreaming(ctx, src, sink)
}

func (e *engine) runShared(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error) {
	return e.run(ctx, src, &sharedSink{f: sink})
}

// gate is a mutex held while user code runs. Waiters block on a channel, not on a
// sync.Mutex: a goroutine blocked on a mutex is not durably blocked, so in a
// testing/synctest bubble time would stop while the holder sleeps. As with a
// sync.Mutex, a goroutine may lock it ahead of those that wait: a fair hand-over would
// cost a switch of goroutines each time. Use newGate.
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
		// The holder will see waiters when it unlocks.
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
