package loadtest

import "time"

// timings holds how long requests took. It is not safe for concurrent use.
type timings struct {
	good, bad *histogram // latencies without and with an error: the lag included
	// service and lag are the two parts of a latency. They are nil while every lag was
	// 0, as all are in a closed loop: the latency is the service time then.
	service, lag *histogram
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
	if *h == nil {
		*h = newHistogram()
	}
	(*h).record(service + lag)
	if t.lag != nil {
		t.service.record(service)
		t.lag.record(lag)
	}
}

// split makes the histograms of the parts, for requests without a lag so far.
func (t *timings) split() {
	t.service, t.lag = newHistogram(), newHistogram()
	t.service.merge(t.good)
	t.service.merge(t.bad)
	t.lag.recordZeros(t.service.count())
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
		t.service.merge(from.good)
		t.service.merge(from.bad)
		t.lag.recordZeros(from.good.count() + from.bad.count())
	}
	t.good = mergeHistograms(t.good, from.good)
	t.bad = mergeHistograms(t.bad, from.bad)
}

func (t *timings) clone() timings {
	return timings{
		good: mergeHistograms(nil, t.good), bad: mergeHistograms(nil, t.bad),
		service: mergeHistograms(nil, t.service), lag: mergeHistograms(nil, t.lag),
	}
}

// reset forgets everything but keeps the memory.
func (t *timings) reset() {
	for _, h := range []*histogram{t.good, t.bad, t.service, t.lag} {
		h.reset()
	}
}

// mergeHistograms adds src to dst, which may be nil; src is not changed.
func mergeHistograms(dst, src *histogram) *histogram {
	if src.count() == 0 {
		return dst
	}
	if dst == nil {
		dst = newHistogram()
	}
	dst.merge(src)
	return dst
}
