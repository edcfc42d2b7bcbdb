package loadtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"example.com/brunt/resilience"
)

// Stream runs src on e and yields each outcome with a nil error as its request
// ends. If the run ends with an error, that is yielded last, with the zero
// RequestResult. Nothing is kept: while the consumer is busy, workers that have an
// outcome wait, which delays their next request but is in no latency.
//
// The consumer may leave the loop whenever it likes. Requests in flight are then
// canceled, and before the range statement ends so have the workers, and the
// connections are back with the engine: it can be used again at once. A panic or a
// Goexit in a callback of the run continues in the consumer.
//
// Each range over it makes a new run.
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

// errLeft ends a run whose consumer has left.
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

// consume returns when the run has ended, and reports whether the consumer left before
// that, as it does if yield panics.
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

// maxLineErrors is how many malformed lines Collect names.
const maxLineErrors = 10

// Collect returns the result of outcomes, such as those of [Stream] or [Records]:
// counts, classes, statuses, the breakdown by name, and latencies, whose quantiles are
// those of the live result. StartedAt and Elapsed come from the outcomes; what those
// don't hold stays zero or unknown: Engine, Concurrency, Unsent, ConnectionsOpened,
// PeakMemory, Intervals, Generator.
//
// The errors that outcomes yields are joined, of those that match [ErrMalformed] the
// first 10. The result is never nil and holds every outcome.
func Collect(outcomes iter.Seq2[RequestResult, error]) (*EngineResult, error) {
	var (
		sum       = outcomeSum{names: newEndpoints()}
		errs      []error
		malformed int
	)
	for r, err := range outcomes {
		if err == nil {
			sum.add(&r)
			continue
		}
		if errors.Is(err, ErrMalformed) {
			if malformed++; malformed > maxLineErrors {
				continue
			}
		}
		errs = append(errs, err)
	}
	if more := malformed - maxLineErrors; more > 0 {
		errs = append(errs, fmt.Errorf("%w: %d more", ErrMalformed, more))
	}
	return sum.result(), errors.Join(errs...)
}

// outcomeSum counts outcomes as the recorder of a run does.
type outcomeSum struct {
	total    tally
	names    *endpoints
	named    []*tally
	examples map[ErrorClass]string
	from, to time.Time
}

func (p *outcomeSum) add(r *RequestResult) {
	if r.Excluded {
		return
	}
	id := p.names.id(endpointName{name: r.Name})
	x := sample{
		latency: r.Latency, lag: r.Lag, bytes: r.Bytes, retries: uint16(min(max(0, r.Attempt-1), math.MaxUint16)),
		endpoint: int8(id), status: uint16(r.StatusCode), class: r.Class,
	}
	if r.Expected && r.Class == ClassNone {
		x.class = classExpected
	}
	p.total.count(&x)
	if id != noEndpoint {
		for int(id) >= len(p.named) {
			p.named = append(p.named, new(tally))
		}
		p.named[id].count(&x)
	}
	if r.Err != nil && !plainStatus(r) && r.Class != ClassRejected {
		if p.examples == nil {
			p.examples = make(map[ErrorClass]string)
		}
		if _, ok := p.examples[r.Class]; !ok {
			p.examples[r.Class] = r.Err.Error()
		}
	}
	if r.Timestamp.UnixMicro() == 0 {
		return // a record without a time
	}
	if due := r.Intended(); p.from.IsZero() || due.Before(p.from) {
		p.from = due
	}
	if end := r.Ended(); end.After(p.to) {
		p.to = end
	}
}

// plainStatus reports whether the error of r says only what its status does.
func plainStatus(r *RequestResult) bool {
	return r.Class == ClassStatus && r.Err.Error() == (&resilience.StatusError{Code: r.StatusCode}).Error()
}

func (p *outcomeSum) result() *EngineResult {
	res := newResult(&p.total, p.names.names, p.named, p.examples)
	res.ConnectionsUnknown = true
	if !p.from.IsZero() {
		res.spans = []span{{From: p.from, To: p.to}}
		res.StartedAt, res.Elapsed = measure(res.spans)
	}
	res.Warnings = res.assess()
	return res
}
