package loadtest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/hist"
)

// The key names of the JSON of results do not change: further ones may come. The
// histograms go along, so that results read back can be merged exactly.

type statsJSON struct {
	Counts
	P50         float64              `json:"p50_latency_ms"`
	P95         float64              `json:"p95_latency_ms"`
	P99         float64              `json:"p99_latency_ms"`
	Min         float64              `json:"min_latency_ms"`
	Mean        float64              `json:"mean_latency_ms"`
	Max         float64              `json:"max_latency_ms"`
	P50Service  float64              `json:"p50_service_ms,omitempty"` // of an open loop, as the next
	P99Service  float64              `json:"p99_service_ms,omitempty"`
	P50Lag      float64              `json:"p50_lag_ms,omitempty"`
	P99Lag      float64              `json:"p99_lag_ms,omitempty"`
	P50Server   float64              `json:"p50_server_ms,omitempty"` // of requests with a ServerTime, as the next
	P99Server   float64              `json:"p99_server_ms,omitempty"`
	NoServer    int64                `json:"no_server_time,omitempty"`
	ErrorClass  map[ErrorClass]int64 `json:"errors,omitempty"`
	StatusCodes map[int]int64        `json:"status_codes,omitempty"`
	Good        *hist.Histogram      `json:"success_histogram,omitzero"`
	Bad         *hist.Histogram      `json:"error_histogram,omitzero"`
	Service     *hist.Histogram      `json:"service_histogram,omitzero"`
	Lag         *hist.Histogram      `json:"lag_histogram,omitzero"`
	Server      *hist.Histogram      `json:"server_histogram,omitzero"`
	Phases      map[string]phaseJSON `json:"phases,omitempty"` // by phaseKeys
}

// phaseJSON is what requests spent in a phase.
type phaseJSON struct {
	Requests  int64           `json:"requests"`
	P50       float64         `json:"p50_ms"`
	P99       float64         `json:"p99_ms"`
	Max       float64         `json:"max_ms"`
	Histogram *hist.Histogram `json:"histogram"`
}

type resultJSON struct {
	Engine        string                `json:"engine"`
	Concurrency   int                   `json:"concurrency"`
	Schedule      string                `json:"schedule,omitempty"`
	PeakInFlight  int                   `json:"peak_in_flight,omitempty"`
	RPS           float64               `json:"rps"`
	StartedAt     float64               `json:"started_at"`
	Elapsed       float64               `json:"elapsed_seconds"`
	PeakMemory    float64               `json:"peak_memory_mb"`
	PeakBytes     uint64                `json:"peak_memory_bytes"`
	Unsent        int64                 `json:"unsent_count"`
	SinkTime      float64               `json:"sink_seconds"`
	Connections   int64                 `json:"connections_opened"`
	Uncounted     bool                  `json:"connections_unknown,omitempty"`
	ErrorExamples map[ErrorClass]string `json:"error_examples,omitempty"`
	FailedChecks  failedChecks          `json:"failed_checks,omitempty"`
	Causes        []CauseFinding        `json:"causes,omitempty"`
	Warnings      []Warning             `json:"warnings,omitempty"`
	Intervals     []Interval            `json:"intervals,omitempty"`
	Excluded      []Interval            `json:"excluded,omitempty"`
	P50CI         []float64             `json:"p50_ci_ms,omitempty"` // the ends of the 95 % interval, as the next
	P95CI         []float64             `json:"p95_ci_ms,omitempty"`
	P99CI         []float64             `json:"p99_ci_ms,omitempty"`
	Blocks        []hist.Block          `json:"blocks,omitempty"`
	Sink          *SinkStats            `json:"sink,omitempty"`
	Generator     Generator             `json:"generator,omitzero"`
	Pooled        bool                  `json:"pooled"`
	Spans         [][2]int64            `json:"spans_unix_ns,omitempty"`
	statsJSON
	Endpoints map[string]*Stats         `json:"endpoints,omitempty"`
	Scenarios map[string]*ScenarioStats `json:"scenarios,omitempty"`
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}

func (s *Stats) toJSON() statsJSON {
	j := statsJSON{
		Counts: s.Counts,
		P50:    millis(s.P50()), P95: millis(s.P95()), P99: millis(s.P99()),
		Min: millis(s.Quantile(0)), Mean: millis(s.Mean()), Max: millis(s.Quantile(1)),
		P50Server: millis(s.ServerQuantile(0.50)), P99Server: millis(s.ServerQuantile(0.99)), NoServer: s.unsaid,
		ErrorClass: s.Errors, StatusCodes: s.StatusCodes,
	}
	if s.lag != nil {
		j.P50Service, j.P99Service = millis(s.ServiceQuantile(0.50)), millis(s.ServiceQuantile(0.99))
		j.P50Lag, j.P99Lag = millis(s.LagQuantile(0.50)), millis(s.LagQuantile(0.99))
	}
	j.Good, j.Bad, j.Service, j.Lag, j.Server = s.good, s.bad, s.service, s.lag, s.server
	j.Phases = s.phasesJSON()
	return j
}

func (j *statsJSON) stats() (Stats, error) {
	s := Stats{Counts: j.Counts, Errors: j.ErrorClass, StatusCodes: j.StatusCodes}
	s.good, s.bad, s.lag, s.server = j.Good, j.Bad, j.Lag, j.Server
	if s.lag != nil {
		s.service = j.Service
	}
	n := s.good.Count() + s.bad.Count()
	if n != j.Requests || j.SuccessCount+j.ErrorCount+j.OtherCount != j.Requests || s.bad.Count() != j.ErrorCount {
		return Stats{}, fmt.Errorf("loadtest: result does not add up: %d requests, of them %d successes, %d errors, %d others, and %d latencies",
			j.Requests, j.SuccessCount, j.ErrorCount, j.OtherCount, n)
	}
	if min(j.Scheduled, j.Missed, j.Dropped, j.Canceled) < 0 || j.lost() > j.Scheduled || j.Scheduled > j.Ended() {
		return Stats{}, fmt.Errorf("loadtest: result does not add up: %d arrivals, of them %d missed, %d dropped, %d canceled, and %d requests, %d rejected",
			j.Scheduled, j.Missed, j.Dropped, j.Canceled, j.Requests, j.RejectedCount)
	}
	if min(j.Users, j.UsersFailed, j.UsersCanceled, j.UserRequests) < 0 || j.UsersFailed+j.UsersCanceled > j.Users || j.UserRequests > j.Requests+j.RejectedCount {
		return Stats{}, fmt.Errorf("loadtest: result does not add up: %d users, of them %d failed, %d canceled, and %d of %d requests",
			j.Users, j.UsersFailed, j.UsersCanceled, j.UserRequests, j.Requests+j.RejectedCount)
	}
	if s.lag != nil && (s.lag.Count() != n || s.service.Count() != n) {
		return Stats{}, fmt.Errorf("loadtest: result does not add up: %d requests, %d service times, %d lags", n, s.service.Count(), s.lag.Count())
	}
	s.unsaid = j.NoServer
	if said := s.server.Count(); j.NoServer < 0 || j.NoServer > j.Requests-said {
		return Stats{}, fmt.Errorf("loadtest: result does not add up: %d requests, %d server times and %d without", j.Requests, said, j.NoServer)
	}
	err := s.readPhases(j)
	return s, err
}

// phasesJSON returns the phases by their keys; nil if there are none.
func (d *details) phasesJSON() (out map[string]phaseJSON) {
	for p, h := range d.phases {
		if h.Count() == 0 {
			continue
		}
		if out == nil {
			out = make(map[string]phaseJSON)
		}
		out[phaseKeys[p]] = phaseJSON{
			Requests: h.Count(), P50: millis(h.Quantile(0.50)), P99: millis(h.Quantile(0.99)), Max: millis(h.Quantile(1)), Histogram: h,
		}
	}
	return out
}

// readPhases sets the phases to those of j.
func (d *details) readPhases(j *statsJSON) error {
	for name, row := range j.Phases {
		p := slices.Index(phaseKeys[:], name)
		if p <= int(PhaseUnknown) {
			return fmt.Errorf("loadtest: result has a phase %q: must be one of %q", name, phaseKeys[1:])
		}
		d.phases[p] = row.Histogram
		if n := row.Histogram.Count(); n != row.Requests || n > j.Requests {
			return fmt.Errorf("loadtest: result does not add up: %d requests, %d of them in phase %s, and %d times", j.Requests, row.Requests, name, n)
		}
	}
	return nil
}

// MarshalJSON writes latencies in milliseconds and includes the histograms.
func (s *Stats) MarshalJSON() ([]byte, error) {
	return json.Marshal(s.toJSON())
}

// UnmarshalJSON reads what MarshalJSON wrote, without loss.
func (s *Stats) UnmarshalJSON(data []byte) error {
	var j statsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	got, err := j.stats()
	if err != nil {
		return err
	}
	*s = got
	return nil
}

// MarshalJSON writes the keys rps, success_count, error_count, p50_latency_ms,
// p95_latency_ms, p99_latency_ms and peak_memory_mb (10⁶ bytes), and more,
// with latencies in milliseconds and times as Unix seconds. The latencies of an open
// loop are response times; beside them are p50_service_ms, p99_service_ms, p50_lag_ms
// and p99_lag_ms.
func (r *EngineResult) MarshalJSON() ([]byte, error) {
	j := resultJSON{
		Engine: r.Engine, Concurrency: r.Concurrency, Schedule: r.Schedule, PeakInFlight: r.PeakInFlight,
		RPS: r.RPS(), StartedAt: unixSeconds(r.StartedAt), Elapsed: r.Elapsed.Seconds(),
		PeakMemory: float64(r.PeakMemory) / 1e6, PeakBytes: r.PeakMemory,
		Unsent: r.Unsent, SinkTime: r.SinkTime.Seconds(), Connections: r.ConnectionsOpened, Uncounted: r.ConnectionsUnknown,
		ErrorExamples: r.ErrorExamples, FailedChecks: r.FailedChecks, Intervals: r.Intervals, Excluded: r.Excluded, Generator: r.Generator, Causes: r.Causes, Warnings: r.Warnings, Sink: r.Sink, Pooled: r.pooled,
		statsJSON: r.toJSON(), Endpoints: r.Endpoints, Scenarios: r.Scenarios,
		P50CI: r.intervalJSON(0.50), P95CI: r.intervalJSON(0.95), P99CI: r.intervalJSON(0.99), Blocks: r.blocks,
	}
	for _, s := range r.spans {
		j.Spans = append(j.Spans, [2]int64{s.From.UnixNano(), s.To.UnixNano()})
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote, without loss; the result can be
// merged with others.
func (r *EngineResult) UnmarshalJSON(data []byte) error {
	var j resultJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	stats, err := j.stats()
	if err != nil {
		return err
	}
	got := EngineResult{
		Stats: stats, Engine: j.Engine, Concurrency: j.Concurrency, Schedule: j.Schedule, PeakInFlight: j.PeakInFlight,
		Unsent: j.Unsent, SinkTime: fromSeconds(j.SinkTime), ConnectionsOpened: j.Connections, ConnectionsUnknown: j.Uncounted, PeakMemory: j.PeakBytes,
		ErrorExamples: j.ErrorExamples, FailedChecks: j.FailedChecks, Endpoints: j.Endpoints, Scenarios: j.Scenarios, Intervals: j.Intervals, Excluded: j.Excluded, Generator: j.Generator, Causes: j.Causes, Warnings: j.Warnings, Sink: j.Sink, pooled: j.Pooled,
		blocks: j.Blocks,
	}
	var held int64
	for _, b := range j.Blocks {
		if held += b.N; held > got.Requests || b.N > got.Requests {
			return fmt.Errorf("loadtest: result does not add up: %d requests, but more in its blocks", got.Requests)
		}
	}
	for _, s := range j.Spans {
		got.spans = append(got.spans, span{From: time.Unix(0, s[0]), To: time.Unix(0, s[1])})
	}
	got.StartedAt, got.Elapsed = measure(got.spans)
	*r = got
	return nil
}

// intervalJSON returns the ends of a confidence interval in milliseconds; nil if there
// is none.
func (r *EngineResult) intervalJSON(q float64) []float64 {
	lo, hi, err := r.ConfidenceInterval(q)
	if err != nil {
		return nil
	}
	return []float64{millis(lo), millis(hi)}
}

type scenarioJSON struct {
	Started   int64           `json:"started"`
	Finished  int64           `json:"finished"`
	Failed    int64           `json:"failed"`
	Canceled  int64           `json:"canceled"`
	Requests  int64           `json:"requests"`
	P50       float64         `json:"p50_ms"`
	P99       float64         `json:"p99_ms"`
	Max       float64         `json:"max_ms"`
	Error     string          `json:"error,omitempty"`
	Histogram *hist.Histogram `json:"histogram,omitzero"`
}

// MarshalJSON writes durations in milliseconds and includes the histogram.
func (s *ScenarioStats) MarshalJSON() ([]byte, error) {
	return json.Marshal(scenarioJSON{
		Started: s.Started, Finished: s.Finished, Failed: s.Failed, Canceled: s.Canceled, Requests: s.Requests,
		P50: millis(s.Quantile(0.50)), P99: millis(s.Quantile(0.99)), Max: millis(s.Quantile(1)), Error: s.Error, Histogram: s.took,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote, without loss.
func (s *ScenarioStats) UnmarshalJSON(data []byte) error {
	var j scenarioJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	if min(j.Finished, j.Failed, j.Canceled, j.Requests) < 0 || j.Finished+j.Failed+j.Canceled != j.Started || j.Histogram.Count() != j.Finished {
		return fmt.Errorf("loadtest: result does not add up: %d users, of them %d finished, %d failed, %d canceled, and %d durations",
			j.Started, j.Finished, j.Failed, j.Canceled, j.Histogram.Count())
	}
	*s = ScenarioStats{Started: j.Started, Finished: j.Finished, Failed: j.Failed, Canceled: j.Canceled, Requests: j.Requests, Error: j.Error, took: j.Histogram}
	return nil
}

type intervalJSON struct {
	From float64 `json:"from_seconds"`
	To   float64 `json:"to_seconds"`
	Counts
	RPS      float64 `json:"rps"`
	P50      float64 `json:"p50_latency_ms"`
	P99      float64 `json:"p99_latency_ms"`
	Lag      float64 `json:"p99_lag_ms,omitempty"`
	Cause    Cause   `json:"cause,omitempty"`
	InFlight int     `json:"in_flight"`
	Heap     uint64  `json:"heap_bytes"`
	Excluded bool    `json:"excluded,omitempty"`
}

// MarshalJSON writes latencies in milliseconds and offsets in seconds.
func (i Interval) MarshalJSON() ([]byte, error) {
	return json.Marshal(intervalJSON{
		From: i.From.Seconds(), To: i.To.Seconds(),
		Counts: i.Counts, RPS: i.RPS(),
		P50: millis(i.P50), P99: millis(i.P99), Lag: millis(i.Lag), Cause: i.Cause, InFlight: i.InFlight, Heap: i.HeapBytes, Excluded: i.Excluded,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote, without loss for times of up to a
// month.
func (i *Interval) UnmarshalJSON(data []byte) error {
	var j intervalJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	const most = math.MaxInt64 / 1e9 // seconds
	for _, seconds := range []float64{j.From, j.To, j.P50 / 1e3, j.P99 / 1e3, j.Lag / 1e3} {
		if seconds < 0 && !j.Excluded || math.Abs(seconds) > most {
			return fmt.Errorf("loadtest: interval from %v s to %v s, p50 %v ms, p99 %v ms, lag %v ms: out of range", j.From, j.To, j.P50, j.P99, j.Lag)
		}
	}
	*i = Interval{
		From: fromSeconds(j.From), To: fromSeconds(j.To),
		Counts: j.Counts,
		P50:    fromMillis(j.P50), P99: fromMillis(j.P99), Lag: fromMillis(j.Lag), Cause: j.Cause, InFlight: j.InFlight, HeapBytes: j.Heap, Excluded: j.Excluded,
	}
	return nil
}

type generatorJSON struct {
	Watched      float64 `json:"watched_seconds"`
	Sched        float64 `json:"sched_latency_ms"`
	PeakSched    float64 `json:"peak_sched_latency_ms"`
	Lag          float64 `json:"timer_lag_ms"`
	PeakLag      float64 `json:"peak_timer_lag_ms"`
	CPU          float64 `json:"cpu"`
	PeakCPU      float64 `json:"peak_cpu"`
	GCShare      float64 `json:"gc_share"`
	PeakRunnable int     `json:"peak_runnable"`
}

// MarshalJSON writes latencies in milliseconds and shares from 0 to 1.
func (g Generator) MarshalJSON() ([]byte, error) {
	return json.Marshal(generatorJSON{
		Watched: g.Watched.Seconds(), Sched: millis(g.SchedLatency), PeakSched: millis(g.PeakSchedLatency),
		Lag: millis(g.TimerLag), PeakLag: millis(g.PeakTimerLag),
		CPU: g.CPU, PeakCPU: g.PeakCPU, GCShare: g.GCShare, PeakRunnable: g.PeakRunnable,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote, without loss for times of up to a
// month.
func (g *Generator) UnmarshalJSON(data []byte) error {
	var j generatorJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*g = Generator{
		Watched: fromSeconds(j.Watched), SchedLatency: fromMillis(j.Sched), PeakSchedLatency: fromMillis(j.PeakSched),
		TimerLag: fromMillis(j.Lag), PeakTimerLag: fromMillis(j.PeakLag),
		CPU: j.CPU, PeakCPU: j.PeakCPU, GCShare: j.GCShare, PeakRunnable: j.PeakRunnable,
	}
	return nil
}

func fromMillis(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}

func fromSeconds(s float64) time.Duration {
	return time.Duration(math.Round(s * float64(time.Second)))
}
