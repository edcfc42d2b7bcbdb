package loadtest

// The statuses that HTTP defines are counted in an array, all others in a map.
const (
	minStatus = 100
	maxStatus = 599
)

// tally counts requests. It is not safe for concurrent use.
type tally struct {
	Counts
	classes     [numClasses]int64
	statuses    [maxStatus - minStatus + 1]int64
	oddStatuses map[int]int64
	good, bad   *histogram
}

func newTally() *tally { return &tally{good: newHistogram()} }

// count adds one request.
func (t *tally) count(x *sample) {
	t.BytesRead += x.bytes
	t.Retries += int64(x.retries)
	if x.class == ClassRejected {
		t.RejectedCount++
		return // no latency: nothing was sent
	}
	t.Requests++
	h := &t.good
	switch {
	case x.class == classExpected:
		t.SuccessCount++
	case x.class != ClassNone:
		t.ErrorCount++
		t.classes[x.class]++
		h = &t.bad
	case x.status == 0 || x.status/100 == 2:
		t.SuccessCount++
	default:
		t.OtherCount++
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
	s := &Stats{Counts: t.Counts, StatusCodes: addCounts(nil, t.oddStatuses), good: t.good, bad: t.bad}
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
	t.add(from.Counts)
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

// reset clears t and keeps the memory of its histograms.
func (t *tally) reset() {
	good, bad := t.good, t.bad
	*t = tally{good: good, bad: bad}
	good.reset()
	bad.reset()
}

const (
	// maxEndpoints bounds the memory of a run: each endpoint has its own histograms.
	// Their numbers fit an int8.
	maxEndpoints = 64
	// foldedEndpoints is the name under which further endpoints are counted.
	foldedEndpoints = "(others)"
	noEndpoint      = -1
)

// endpoints numbers the names of requests. It is not safe for concurrent use:
// its feed serializes access.
type endpoints struct {
	names []string
	ids   map[string]int32
}

func newEndpoints() *endpoints { return &endpoints{ids: make(map[string]int32)} }

func (e *endpoints) id(name string) int32 {
	if name == "" {
		return noEndpoint
	}
	if id, ok := e.ids[name]; ok {
		return id
	}
	if len(e.names) >= maxEndpoints-1 && name != foldedEndpoints {
		return e.id(foldedEndpoints)
	}
	id := int32(len(e.names))
	e.names = append(e.names, name)
	e.ids[name] = id
	return id
}
