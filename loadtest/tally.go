package loadtest

// The statuses that HTTP defines are counted in an array, all others in a map.
const (
	minStatus = 100
	maxStatus = 599
)

// tally counts requests. It is not safe for concurrent use.
type tally struct {
	success, failed, other, rejected int64
	bytes, retries                   int64
	classes                          [numClasses]int64
	statuses                         [maxStatus - minStatus + 1]int64
	oddStatuses                      map[int]int64
	good, bad                        *histogram
}

func newTally() *tally { return &tally{good: newHistogram()} }

func (t *tally) requests() int64 { return t.success + t.failed + t.other }

func (t *tally) add(x *sample) {
	t.bytes += x.bytes
	t.retries += int64(x.retries)
	h := &t.good
	switch {
	case x.class == ClassRejected:
		t.rejected++
		return // no latency: nothing was sent
	case x.class == classExpected:
		t.success++
	case x.class != ClassNone:
		t.failed++
		t.classes[x.class]++
		h = &t.bad
	case x.status == 0 || x.status/100 == 2:
		t.success++
	default:
		t.other++
	}
	if *h == nil {
		*h = newHistogram()
	}
	(*h).record(x.latency)
	switch {
	case x.status == 0:
	case x.status >= minStatus && x.status <= maxStatus:
		t.statuses[x.status-minStatus]++
	default:
		t.oddStatuses = addCounts(t.oddStatuses, map[int]int64{int(x.status): 1})
	}
}

func (t *tally) stats() *Stats {
	s := &Stats{
		Requests:      t.requests(),
		SuccessCount:  t.success,
		ErrorCount:    t.failed,
		OtherCount:    t.other,
		RejectedCount: t.rejected,
		BytesRead:     t.bytes,
		StatusCodes:   addCounts(nil, t.oddStatuses),
		good:          t.good,
		bad:           t.bad,
	}
	for class, n := range t.classes {
		if n > 0 {
			s.Errors = addCounts(s.Errors, map[ErrorClass]int64{ErrorClass(class): n})
		}
	}
	for i, n := range t.statuses {
		if n > 0 {
			s.StatusCodes = addCounts(s.StatusCodes, map[int]int64{minStatus + i: n})
		}
	}
	return s
}

// merge adds from, which is not changed.
func (t *tally) merge(from *tally) {
	t.success += from.success
	t.failed += from.failed
	t.other += from.other
	t.rejected += from.rejected
	t.bytes += from.bytes
	t.retries += from.retries
	for i, n := range from.classes {
		t.classes[i] += n
	}
	for i, n := range from.statuses {
		t.statuses[i] += n
	}
	t.oddStatuses = addCounts(t.oddStatuses, from.oddStatuses)
	t.good = mergeHistograms(t.good, from.good)
	t.bad = mergeHistograms(t.bad, from.bad)
}

// reset forgets everything and keeps the histograms for further use.
func (t *tally) reset() {
	good, bad := t.good, t.bad
	*t = tally{good: good, bad: bad}
	good.reset()
	bad.reset()
}
