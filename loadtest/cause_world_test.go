package loadtest

import (
	pq "container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/label"
)

// world is an open loop in miniature, arrival by arrival: a generator with a limited CPU,
// connections, workers and ports in front of a service. Whatever cause is planted, the
// signals come about as in a run and are not made up.
type world struct {
	seed        uint64
	rate        float64 // arrivals per second
	seconds     int
	maxInFlight int
	maxCatchUp  time.Duration
	conns       int                                                        // 0: no limit
	closing     time.Duration                                              // from the end of a request until its connection is free
	ports       int                                                        // 0: no limit; each connection carries one request and its port rests until the end
	service     func(at time.Duration) time.Duration                       // median of the service time
	cost        time.Duration                                              // CPU time of a request
	off         func(at time.Duration, rnd *rand.Rand) (end time.Duration) // until when the CPU is taken away; at if it is not
}

// times is a heap of instants.
type times []time.Duration

func (h times) Len() int           { return len(h) }
func (h times) Less(i, j int) bool { return h[i] < h[j] }
func (h times) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *times) Push(x any)        { *h = append(*h, x.(time.Duration)) }
func (h *times) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// run returns the signals of each second and the counts of the whole run.
func (w world) run() ([]label.Window, Counts, int64) {
	rnd := rand.New(rand.NewPCG(w.seed, 16))
	noise := func(median time.Duration, sigma float64) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*rnd.NormFloat64()))
	}
	// One noisy second now and then: the machine does something else for a while.
	hiccup := make(map[int]time.Duration)
	for sec := range w.seconds + 1 {
		if rnd.Float64() < 0.05 {
			hiccup[sec] = time.Duration(100+rnd.IntN(500)) * time.Millisecond
		}
	}
	onCPU := func(at time.Duration) time.Duration {
		sec := int(at / time.Second)
		if d := hiccup[sec]; d > 0 && at%time.Second < d {
			at = time.Duration(sec)*time.Second + d
		}
		if w.off != nil {
			at = w.off(at, rnd)
		}
		return at
	}
	type window struct {
		label.Window
		lags, responses, services []time.Duration
	}
	windows := make([]window, w.seconds+60)
	at := func(t time.Duration) *window { return &windows[min(int(t/time.Second), len(windows)-1)] }
	var (
		free, busy times // when connections come free, and requests in flight end
		cpu        time.Duration
		counts     Counts
		local      int64
	)
	for range w.conns {
		free = append(free, 0)
	}
	for i := range int(w.rate * float64(w.seconds)) {
		due := time.Duration(float64(i) / w.rate * 1e9)
		win := at(due)
		win.Scheduled++
		counts.Scheduled++
		began := onCPU(max(due+noise(60*time.Microsecond, 0.5), cpu))
		if began-due > w.maxCatchUp {
			win.Missed++
			counts.Missed++
			continue
		}
		for len(busy) > 0 && busy[0] <= began {
			pq.Pop(&busy)
		}
		if len(busy) >= w.maxInFlight {
			win.Dropped++
			counts.Dropped++
			continue
		}
		cpu = began + w.cost
		sent, wait, failed := began, time.Duration(0), false
		if w.conns > 0 {
			sent = max(began, free[0])
			wait = sent - began
		}
		ended := onCPU(sent + noise(w.service(sent), 0.2))
		if w.ports > 0 && counts.Requests-local >= int64(w.ports) {
			ended, failed = began+100*time.Microsecond, true
		}
		if w.conns > 0 {
			free[0] = ended + w.closing
			pq.Fix(&free, 0)
		}
		pq.Push(&busy, ended)
		counts.Requests++
		win = at(ended)
		win.Ended++
		if failed {
			local++
			counts.ErrorCount++
			win.Local++
		}
		if wait > 0 {
			win.Waited++
			win.Wait += wait
		}
		win.lags = append(win.lags, began-due)
		win.responses = append(win.responses, ended-due)
		win.services = append(win.services, ended-began)
	}
	quantile := func(all []time.Duration, q float64) time.Duration {
		if len(all) == 0 {
			return 0
		}
		slices.Sort(all)
		return all[int(q*float64(len(all)-1))]
	}
	var out []label.Window
	for _, win := range windows {
		win.Length = time.Second
		win.Lag, win.Response, win.Service = quantile(win.lags, 0.9), quantile(win.responses, 0.9), quantile(win.services, 0.5)
		for _, d := range win.services {
			win.Mean += d / time.Duration(len(win.services))
		}
		out = append(out, win.Window)
	}
	last := slices.IndexFunc(out, func(s label.Window) bool { return s.Scheduled+s.Ended == 0 })
	return out[:last], counts, local
}

// result runs the world and labels it, as an engine would.
func (w world) result() (*EngineResult, []Cause) {
	seconds, counts, local := w.run()
	var l label.Labeler
	var labels []Cause
	for _, s := range seconds {
		cause, back := l.Add(s)
		for i := range back {
			labels[len(labels)-1-i] = Cause(cause)
		}
		labels = append(labels, Cause(cause))
	}
	counts.SuccessCount = counts.Requests - counts.ErrorCount
	r := &EngineResult{Stats: Stats{Counts: counts}, Causes: causeFindings(&l, w.maxInFlight, 0)}
	if local > 0 {
		r.Errors = map[ErrorClass]int64{ClassLocal: local}
	}
	return r, labels
}
