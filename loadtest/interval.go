package loadtest

import "time"

// Interval is what happened in one stretch of a run, usually a second.
type Interval struct {
	// From and To are offsets since EngineResult.StartedAt. A request belongs to
	// the interval in which it ended.
	From, To time.Duration
	// Requests were sent, ErrorCount of them failed, and RejectedCount more were
	// refused by the engine's own Breaker, as in Stats.
	Requests, ErrorCount, RejectedCount int64
	// P50 and P99 are over the latencies of all requests sent, as Stats.Quantile;
	// 0 if there were none.
	P50, P99 time.Duration
	// InFlight is how many requests were being attempted at To.
	InFlight int
	// HeapBytes is the largest heap seen in the interval, as in
	// EngineResult.PeakMemory.
	HeapBytes uint64
}

// RPS is the number of requests sent per second; 0 for an interval of no length.
func (i Interval) RPS() float64 {
	if i.To <= i.From {
		return 0
	}
	return float64(i.Requests) / (i.To - i.From).Seconds()
}
