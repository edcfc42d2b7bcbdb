package loadtest

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"example.com/brunt/resilience"
)

// maxLineErrors is how many malformed lines Collect names.
const maxLineErrors = 10

// Collect returns the result that outcomes amount to, such as those of [Stream] or
// [Records]: counts, classes, statuses, the breakdown by name, and latencies, whose
// quantiles are those of the live result. StartedAt and Elapsed come from the
// outcomes; what those don't hold stays zero or unknown: Engine, Concurrency, Unsent,
// ConnectionsOpened, PeakMemory, Intervals, Generator.
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
	id := p.names.id(r.Name)
	x := sample{
		latency: r.Latency, bytes: r.Bytes, retries: uint32(max(0, r.Attempt-1)),
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
	if p.from.IsZero() || r.Timestamp.Before(p.from) {
		p.from = r.Timestamp
	}
	if end := r.Timestamp.Add(r.Latency); end.After(p.to) {
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
