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
	at      time.Time
	samples []metrics.Sample // where the rest comes from; reused

	sched  metrics.Float64Histogram // waits for a processor, in seconds
	pauses metrics.Float64Histogram // stop-the-world pauses of the collector, in seconds

	cpuTotal, cpuIdle, cpuGC float64 // processor-seconds, as of the latest collection

	goroutines, runnable, running, waiting, notInGo, threads uint64
	heapLive, heapObjects, heapGoal, gcCycles                uint64
}

// monitorQuantiles sums up the values that came between two readings, from the
// difference of their counts. A quantile is the upper edge of the bucket that
// holds the value of rank ceil(q × count), or its lower edge where the upper one
// is infinite. A count that fell counts as unchanged.
func monitorQuantiles(prev, cur *metrics.Float64Histogram) MonitorQuantiles {
	var q MonitorQuantiles
	if slices.Equal(cur.Counts, prev.Counts) { // most often so for pauses, and cheap to find out
		return q
	}
	before := prev.Counts
	if len(before) != len(cur.Counts) {
		before = make([]uint64, len(cur.Counts)) // the first reading, or another runtime's
	}
	for i, count := range cur.Counts {
		q.Count += count - min(count, before[i])
	}
	rank50 := q.Count - q.Count/2   // ceil(0.50 × count)
	rank99 := q.Count - q.Count/100 // ceil(0.99 × count)
	seen := uint64(0)
	for i, count := range cur.Counts {
		if count <= before[i] {
			continue
		}
		q.Max = monitorEdge(cur.Buckets, i)
		was := seen
		seen += count - before[i]
		if was < rank50 && seen >= rank50 {
			q.P50 = q.Max
		}
		if was < rank99 && seen >= rank99 {
			q.P99 = q.Max
		}
	}
	return q
}

// monitorEdge returns the upper edge of bucket i, or the lower if that is infinite.
func monitorEdge(buckets []float64, i int) time.Duration {
	edge := buckets[i+1]
	if math.IsInf(edge, 1) {
		edge = buckets[i]
	}
	return time.Duration(edge * float64(time.Second))
}

// monitorRead fills a reading, all but its instant, with what the runtime says. It
// allocates nothing once the reading has been filled.
func monitorRead(r *monitorReading) {
	if r.samples == nil {
		for _, name := range monitorMetrics {
			r.samples = append(r.samples, metrics.Sample{Name: name})
		}
	}
	metrics.Read(r.samples)
	next := r.samples
	for _, to := range [...]*metrics.Float64Histogram{&r.sched, &r.pauses} {
		if v := next[0].Value; v.Kind() == metrics.KindFloat64Histogram {
			*to = *v.Float64Histogram()
		}
		next = next[1:]
	}
	for _, to := range [...]*float64{&r.cpuTotal, &r.cpuIdle, &r.cpuGC} {
		if v := next[0].Value; v.Kind() == metrics.KindFloat64 {
			*to = v.Float64()
		}
		next = next[1:]
	}
	for _, to := range [...]*uint64{
		&r.goroutines, &r.runnable, &r.running, &r.waiting, &r.notInGo, &r.threads,
		&r.heapLive, &r.heapObjects, &r.heapGoal, &r.gcCycles,
	} {
		if v := next[0].Value; v.Kind() == metrics.KindUint64 {
			*to = v.Uint64()
		}
		next = next[1:]
	}
}

// monitorMetrics is what is read, in the order monitorRead unpacks it. A
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
