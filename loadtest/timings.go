package loadtest

import "time"

// timings holds how long requests took. It is not safe for concurrent use.
type timings struct {
	good, bad *histogram // latencies without and with an error: the lag included
	// service and lag are the two parts of a latency. They are nil while every lag was
	// 0, as all are in a closed loop: the latency is the service time then.
	service, lag *histogram
	details
}

// record adds a request.
func (t *timings) record(service, lag time.Duration, failed bool) {
	if lag > 0 && t.lag == nil {
		t.split()
	}
	h := &t.good
	if failed {
		h = &t.bad
	}
	made(h).record(service + lag)
	if t.lag != nil {
		t.service.record(service)
		t.lag.record(lag)
	}
}

// split makes the histograms of the parts, for requests without a lag so far.
func (t *timings) split() {
	t.service, t.lag = newHistogram(), newHistogram()
	t.mergeWithoutLag(t)
}

// mergeWithoutLag adds the parts of from's latencies, which are without a lag.
func (t *timings) mergeWithoutLag(from *timings) {
	t.service.merge(from.good)
	t.service.merge(from.bad)
	t.lag.recordZeros(from.good.count() + from.bad.count())
}

// merge adds from, which is not changed.
func (t *timings) merge(from *timings) {
	switch {
	case from.lag != nil:
		if t.lag == nil {
			t.split()
		}
		t.service.merge(from.service)
		t.lag.merge(from.lag)
	case t.lag != nil:
		t.mergeWithoutLag(from)
	}
	mergeInto(&t.good, from.good)
	mergeInto(&t.bad, from.bad)
	t.details.merge(&from.details)
}

// latencies returns those without and with an error in one. If there are both, it is in
// *both, which is made if need be, and what was in it is forgotten.
func (t *timings) latencies(both **histogram) *histogram {
	switch {
	case t.bad.count() == 0:
		return t.good
	case t.good.count() == 0:
		return t.bad
	}
	(*both).reset()
	mergeInto(both, t.good)
	mergeInto(both, t.bad)
	return *both
}

// reset forgets everything but keeps the memory.
func (t *timings) reset() {
	for _, h := range []*histogram{t.good, t.bad, t.service, t.lag} {
		h.reset()
	}
	t.details.reset()
}
