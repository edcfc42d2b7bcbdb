package loadtest

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"runtime/debug"
)

// Stream runs src on e and yields each outcome with a nil error as its request
// ends. If the run ends with an error, that is yielded last, with the zero
// RequestResult. Nothing is kept: while the consumer is busy, workers that have an
// outcome wait, which delays their next request but is in no latency.
//
// The consumer may leave the loop whenever it likes. Requests in flight are then
// cancelled, and before the range statement ends so have the workers, and the
// connections are back with the engine: it can be used again at once. A panic or a
// Goexit in a callback of the run continues in the consumer.
//
// Each range over it is a run of its own.
func Stream(ctx context.Context, e Engine, src Source) iter.Seq2[RequestResult, error] {
	return func(yield func(RequestResult, error) bool) {
		switch {
		case ctx == nil:
			yield(RequestResult{}, ErrNilContext)
			return
		case e == nil:
			yield(RequestResult{}, fault("Stream without an engine"))
			return
		}
		s := &stream{out: make(chan RequestResult), left: make(chan struct{}), done: make(chan struct{})}
		var inner context.Context
		inner, s.cancel = context.WithCancelCause(ctx)
		// Ends with the run, which consume ends or sees the end of.
		go s.run(inner, e, src)
		left := s.consume(yield)
		switch {
		case s.panics != nil:
			panic(s.panics)
		case s.goexit:
			runtime.Goexit()
		case s.err != nil && !left:
			yield(RequestResult{}, s.err)
		}
	}
}

// stream connects a run on one goroutine with its consumer on another. The run
// sets the last fields before it closes done.
type stream struct {
	out    chan RequestResult // unbuffered
	left   chan struct{}      // closed when the consumer wants no more
	done   chan struct{}      // closed when the run has ended
	cancel context.CancelCauseFunc

	err    error
	panics *PanicError
	goexit bool
}

// errLeft is why a run ends whose consumer has left.
var errLeft = errors.New("loadtest: the consumer left")

func (s *stream) run(ctx context.Context, e Engine, src Source) {
	defer close(s.done)
	orderly := false
	defer func() {
		if orderly {
			return
		}
		switch value := recover().(type) {
		case nil:
			s.goexit = true
		case *PanicError:
			s.panics = value
		default:
			s.panics = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	_, s.err = runShared(ctx, e, src, func(r RequestResult) error {
		select {
		case s.out <- r:
			return nil
		case <-s.left:
			return errLeft
		}
	})
	orderly = true
}

// consume returns when the run has ended, and says whether the consumer was
// first. It is the same if yield panics.
func (s *stream) consume(yield func(RequestResult, error) bool) (left bool) {
	left = true
	defer func() {
		if left {
			s.cancel(errLeft)
			close(s.left)
			<-s.done
		}
		s.cancel(nil)
	}()
	for {
		select {
		case r := <-s.out:
			if !yield(r, nil) {
				return true
			}
		case <-s.done:
			return false
		}
	}
}
