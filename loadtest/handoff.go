package loadtest

import (
	"context"
	"sync/atomic"
)

// outcomeSink takes the outcomes of a run. It is safe for concurrent use.
type outcomeSink interface {
	// put takes an outcome, unless the sink has ended. An error ends it.
	put(RequestResult) error
	// ended reports whether the sink takes no more: it has not got everything.
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

// sharedSink calls f, which is safe for concurrent use, side by side.
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

// sharedRunner is an engine whose workers can call a sink at the same time.
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

func (c *core) runShared(ctx context.Context, src Source, sink func(RequestResult) error) (*EngineResult, error) {
	return c.run(ctx, src, &sharedSink{f: sink})
}
