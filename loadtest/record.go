package loadtest

import (
	"context"
	"errors"
	"time"
)

// Record runs src on e and writes every outcome to s. It returns when all are
// written, and leaves s open; closing it is what makes them durable.
//
// The result's Sink says what s did meanwhile, and its Warnings whether s held
// the run back or dropped records. An error of s stops the run and is returned,
// with the result so far. If ctx ends, requests in flight are cancelled, counted
// and recorded too, for which s has 5 s.
//
// The engines of this package wait for room in the queue side by side, so that
// SinkStats.Blocked is the time of every worker.
func Record(ctx context.Context, e Engine, src Source, s *Sink) (*EngineResult, error) {
	switch {
	case ctx == nil:
		return nil, ErrNilContext
	case e == nil:
		return nil, fault("Record without an engine")
	case s == nil:
		return nil, fault("Record without a sink")
	}
	// A writer that hangs must not outlast a cancelled run for ever.
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
	st := s.Stats().since(before)
	res.Sink = &st
	res.Warnings = append(res.Warnings, res.sinkWarnings()...)
	return res, err
}
