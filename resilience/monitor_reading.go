package resilience

import (
	"math"
	"runtime/metrics"
	"slices"
	"time"
)

// monitorReading is what the runtime says at one instant. Counters and
// histograms count from the start of the process.
type monitorReading struct {
	at time.Time

	sched  monitorHist // waits for a processor
	pauses monitorHist // stop-the-world pauses of the collector

	cpuTotal, cpuIdle, cpuGC float64 // processor-seconds, as of the latest collection

	goroutines, runnable, running, waiting, notInGo uint64
	threads                                         uint64
	heapLive, heapObjects, heapGoal                 uint64
	gcCycles                                        uint64
}

// monitorHist is a copy of a runtime histogram: bucket i counts values in
// [buckets[i], buckets[i+1]), in seconds. Buckets are the runtime's and shared.
type monitorHist struct {
	counts  []uint64
	buckets []float64
}

func (h *monitorHist) set(from *metrics.Float64Histogram) {
	h.counts = append(h.counts[:0], from.Counts...) // Read reuses from
	h.buckets = from.Buckets
}

// monitorQuantiles sums up the values that came between two readings, from the
// difference of their counts. A quantile is the upper edge of the bucket that
// holds the value of rank ceil(q × count), or its lower edge where the upper one
// is infinite. A count that fell counts as unchanged.
func monitorQuantiles(prev, cur *monitorHist) MonitorQuantiles {
	counts, before := cur.counts, prev.counts
	if len(before) != len(counts) {
		before = make([]uint64, len(counts)) // the first reading, or another runtime's
	}
	var q MonitorQuantiles
	if slices.Equal(counts, before) { // most often so for pauses, and cheap to find out
		return q
	}
	before = before[:len(counts)] // lets the compiler drop the bounds checks
	first, last := len(counts), 0 // buckets that gained
	for i, count := range counts {
		if count > before[i] {
			first, last = min(first, i), i
			q.Count += count - before[i]
		}
	}
	if q.Count == 0 {
		return q
	}
	rank50 := q.Count - q.Count/2   // ceil(0.50 × count)
	rank99 := q.Count - q.Count/100 // ceil(0.99 × count)
	q.Max = cur.edge(last)
	seen := uint64(0)
	for i := first; i <= last; i++ {
		if counts[i] <= before[i] {
			continue
		}
		was := seen
		seen += counts[i] - before[i]
		if was < rank50 && seen >= rank50 {
			q.P50 = cur.edge(i)
		}
		if seen >= rank99 {
			q.P99 = cur.edge(i)
			break
		}
	}
	return q
}

// edge returns the upper edge of bucket i, or the lower if that is infinite.
func (h *monitorHist) edge(i int) time.Duration {
	edge := h.buckets[i+1]
	if math.IsInf(edge, 1) {
		edge = h.buckets[i]
	}
	return time.Duration(edge * float64(time.Second))
}

// newMonitorSource returns a function that fills a reading, all but its instant.
// It allocates nothing once each reading has been filled once.
func newMonitorSource() func(*monitorReading) {
	samples := make([]metrics.Sample, len(monitorMetrics))
	for i, name := range monitorMetrics {
		samples[i].Name = name
	}
	return func(r *monitorReading) {
		metrics.Read(samples)
		histogram := func(h *monitorHist, s *metrics.Sample) {
			if s.Value.Kind() == metrics.KindFloat64Histogram {
				h.set(s.Value.Float64Histogram())
			}
		}
		histogram(&r.sched, &samples[0])
		histogram(&r.pauses, &samples[1])
		for i, to := range [...]*float64{&r.cpuTotal, &r.cpuIdle, &r.cpuGC} {
			if v := samples[2+i].Value; v.Kind() == metrics.KindFloat64 {
				*to = v.Float64()
			}
		}
		for i, to := range [...]*uint64{
			&r.goroutines, &r.runnable, &r.running, &r.waiting, &r.notInGo, &r.threads,
			&r.heapLive, &r.heapObjects, &r.heapGoal, &r.gcCycles,
		} {
			if v := samples[5+i].Value; v.Kind() == metrics.KindUint64 {
				*to = v.Uint64()
			}
		}
	}
}

// monitorMetrics is what is read, in the order newMonitorSource unpacks it. A
// metric that a future runtime drops reads as zero; a test notices.
var monitorMetrics = [...]string{
	"/sched/latencies:seconds",
	"/sched/pauses/total/gc:seconds",
	"/cpu/classes/total:cpu-seconds",
	"/cpu/classes/idle:cpu-seconds",
	"/cpu/classes/gc/total:cpu-seconds",
	"/sched/goroutines:goroutines",
	"/sched/goroutines/runnable:goroutines",
	"/sched/goroutines/running:goroutines",
	"/sched/goroutines/waiting:goroutines",
	"/sched/goroutines/not-in-go:goroutines",
	"/sched/threads/total:threads",
	"/gc/heap/live:bytes",
	"/gc/heap/objects:objects",
	"/gc/heap/goal:bytes",
	"/gc/cycles/total:gc-cycles",
}
