package loadtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/pace"
)

// soFar returns the result of a run of which sum and rows were counted.
func soFar(sum *tally, rows []Interval) *EngineResult {
	r := &EngineResult{Stats: *sum.stats(), Intervals: rows, Elapsed: time.Duration(len(rows)) * time.Second}
	for _, row := range rows {
		r.PeakMemory = max(r.PeakMemory, row.HeapBytes)
	}
	return r
}

// An oracle goes through a run request by request and judges it when it is over: what was
// given up on the way was then missed, and what was missed for good and could have been
// known is given up at the end at the latest.
func TestWhatIsGivenUpIsMissed(t *testing.T) {
	gave := make(map[string]int)
	for seed := range uint64(race.Fewer(400)) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		pick := func(n int) bool { return rnd.IntN(n) == 0 }
		var s SLO
		limit := func(d *time.Duration) {
			if pick(3) {
				*d = time.Duration(1+rnd.IntN(30)) * ms
			}
		}
		for _, d := range []*time.Duration{&s.P50, &s.P95, &s.P99, &s.P999, &s.Max, &s.ServiceP50, &s.ServiceP95, &s.ServiceP99, &s.WorstSecondP99} {
			limit(d)
		}
		for _, f := range []*float64{&s.MaxErrorRate, &s.MaxRejectedRate, &s.MaxMissedRate, &s.MaxDroppedRate, &s.WorstSecondErrorRate} {
			if pick(2) {
				*f = rnd.Float64() / 5
			} else if !pick(3) && f != &s.WorstSecondErrorRate {
				*f = 1
			}
		}
		if s.MinAchievedRate = 0.9 + rnd.Float64()/10; pick(2) {
			s.MinAchievedRate = 0
		}
		if pick(3) {
			s.MinRequests, s.MinRPS = int64(rnd.IntN(3000)), rnd.Float64()*400
		}
		if pick(4) {
			s.MaxStall, s.MaxPeakMemory = time.Duration(rnd.IntN(4))*time.Second, uint64(rnd.IntN(100))
		}
		require.NoError(t, s.Validate())

		open := pick(2)
		planned := int64(1 + rnd.IntN(3000))
		slow, fails := time.Duration(1+rnd.IntN(30))*ms, rnd.Float64()/5
		r := &EngineResult{}
		var sum tally
		sum.timings = newTally().timings
		type opinion struct {
			objective string
			at        int64
		}
		var opinions []opinion
		ask := func(at int64) {
			if objective, reason := s.unreachable(soFar(&sum, r.Intervals), planned); objective != "" {
				require.NotEmpty(t, reason)
				opinions = append(opinions, opinion{objective, at})
			}
		}
		row := newTally()
		end := func() {
			n := len(r.Intervals)
			latencies := hist.New()
			latencies.Merge(row.good)
			latencies.Merge(row.bad)
			r.Intervals = append(r.Intervals, Interval{
				From: time.Duration(n) * time.Second, To: time.Duration(n+1) * time.Second,
				Counts: row.Counts, P99: latencies.Quantile(0.99), HeapBytes: uint64(rnd.IntN(100)),
			})
			sum.merge(row)
			row = newTally()
		}
		for i := range planned {
			if open {
				row.Scheduled++
			}
			switch {
			case open && rnd.Float64() < fails/20:
				row.Missed++
			case open && rnd.Float64() < fails/3:
				row.Dropped++
			default:
				x := sample{latency: time.Duration(rnd.ExpFloat64() * float64(slow)), status: 200}
				if open {
					x.lag = time.Duration(rnd.ExpFloat64() * float64(ms))
				}
				switch f := rnd.Float64(); {
				case f < fails/10:
					x.class = ClassLocal
				case f < fails:
					x.class = ClassReset
				case f < 2*fails && pick(4):
					x.class = ClassRejected
				}
				row.count(&x)
			}
			if i%300 == 299 {
				end()
				ask(i)
			}
		}
		end()
		r = soFar(&sum, r.Intervals)
		v := s.Judge(r)
		missed := make(map[string]bool)
		for _, o := range v.Missed() {
			missed[o.Name] = o.Judged
		}
		for _, o := range opinions {
			gave[o.objective]++
			_, wasMissed := missed[o.objective]
			require.True(t, wasMissed, "seed %d: %s given up at %d of %d\n%+v\n%v", seed, o.objective, o.at, planned, s, v)
		}
		before := len(opinions)
		ask(planned)
		for _, judged := range missed {
			if judged {
				// A run that is over and missed something could have been ended.
				delete(missed, "stall") // not asked of a closed loop
				delete(missed, "req/s") // the end of the run is not known to be its end
			}
		}
		if len(missed) > 0 && before == len(opinions) {
			for name, judged := range missed {
				require.False(t, judged, "seed %d: %s was missed and is not given up\n%+v\n%v", seed, name, s, v)
			}
		}
	}
	if race.Enabled { // too few, and these are the seeds of the whole
		return
	}
	for _, name := range []string{"p50", "p95", "p99", "p99.9", "max", "service p50", "service p95", "service p99", "error rate", "rejected", "missed", "dropped", "achieved", "req/s", "requests", "worst p99", "worst errors", "peak memory"} {
		require.Positive(t, gave[name], "%s was never given up: %v", name, gave)
	}
}

// As many may be slow as lie beyond the quantile, and not one more.
func TestTheLastSlowRequestDecides(t *testing.T) {
	for _, tt := range []struct {
		slow, planned int64
		slo           SLO
		want          string
	}{
		{10, 1000, SLO{P99: ms}, ""},
		{11, 1000, SLO{P99: ms}, "p99"},
		{500, 1001, SLO{P50: ms}, ""},
		{501, 1001, SLO{P50: ms}, "p50"},
		{1, 10000, SLO{Max: 2 * time.Second}, ""},
		{1, 10000, SLO{Max: ms}, "max"},
	} {
		sum := newTally()
		for range tt.slow {
			sum.count(&sample{latency: 2 * ms, status: 200})
		}
		got, _ := tt.slo.unreachable(soFar(sum, nil), tt.planned)
		require.Equal(t, tt.want, got, "%d of %d", tt.slow, tt.planned)
	}
}

// What can still be met is not given up, to the last request; what cannot is.
func TestTheLastRequestLeftDecides(t *testing.T) {
	counts := Counts{RejectedCount: 30, Scheduled: 40, Missed: 10}
	stalled := make([]Interval, 8)
	for i := range stalled {
		stalled[i] = Interval{
			From: time.Duration(i) * time.Second, To: time.Duration(i+1) * time.Second,
			Counts: Counts{Requests: 100, SuccessCount: 100, Scheduled: 100},
		}
	}
	stalled[3].Counts = Counts{Scheduled: 100}
	for _, tt := range []struct {
		name, want, reason string
		counts             Counts
		rows               []Interval
		slo                SLO
	}{
		{"as many as are left", "", "", counts, nil, SLO{MinRequests: 60, MaxRejectedRate: 1, MaxMissedRate: 1, MinAchievedRate: 0.01}},
		{"one more", "requests", "60 are left of 100 planned", counts, nil, SLO{MinRequests: 61, MaxRejectedRate: 1, MaxMissedRate: 1, MinAchievedRate: 0.01}},
		{"as fast as can be", "", "", Counts{}, nil, SLO{MinRPS: 50}},
		{"faster", "req/s", "100 requests in 2s or more", Counts{}, nil, SLO{MinRPS: 50.1}},
		{"a stall of a schedule", "stall", "1s, from 3s to 4s", Counts{Requests: 700, SuccessCount: 700, Scheduled: 800}, stalled, SLO{MaxStall: 500 * ms, MinAchievedRate: 0.01}},
		{"the median of a closed loop may change", "", "", Counts{Requests: 700, SuccessCount: 700}, stalled, SLO{MaxStall: 500 * ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &EngineResult{Stats: Stats{Counts: tt.counts}, Intervals: tt.rows, Elapsed: 2 * time.Second}
			planned := max(100, tt.counts.Scheduled)
			objective, reason := tt.slo.unreachable(r, planned)
			require.Equal(t, tt.want, objective)
			require.Equal(t, tt.reason, reason)
		})
	}
}

// A run whose size is not known only gives up what no later request can make good.
func TestWithoutASizeLessIsGivenUp(t *testing.T) {
	bad := newTally()
	for range 100 {
		bad.count(&sample{latency: time.Second, class: ClassReset})
	}
	r := soFar(bad, nil)
	r.Elapsed = time.Hour
	objective, _ := SLO{P50: ms, P99: ms, MinRPS: 1000, MinRequests: 1e9}.unreachable(r, -1)
	require.Empty(t, objective)
	objective, reason := SLO{Max: ms}.unreachable(r, -1)
	require.Equal(t, "max", objective)
	require.Equal(t, "100 requests took longer than 1ms", reason)
	// Where it is known, the reason says what would be left.
	objective, reason = SLO{P99: ms}.unreachable(r, 2000)
	require.Equal(t, "p99", objective)
	require.Equal(t, "100 requests took longer than 1ms, and 20 of 2,000 may", reason)
}

// Half a minute of nothing but errors is not waited for.
func TestARunEndsEarly(t *testing.T) {
	failing := Func(func(ctx context.Context) error {
		_ = sleep(oddly)(ctx)
		return errors.New("down")
	})
	slo := SLO{MaxErrorRate: 0.05}
	for name, tt := range map[string]struct {
		cfg   EngineConfig
		src   Source
		after time.Duration // 0: it goes on to its end
	}{
		"open loop": {ArrivalConfig{
			Schedule: pace.Constant(100).Until(time.Minute), Client: failing, Abort: &AbortConfig{SLO: slo},
		}, For(time.Minute), 4 * time.Second}, // 300 of 6,000 are 5 %
		"open loop, grace": {ArrivalConfig{
			Schedule: pace.Constant(100).Until(time.Minute), Client: failing, Abort: &AbortConfig{SLO: slo, Grace: 9500 * ms},
		}, Times(6000), 10 * time.Second},
		"open loop, grace until it is asked": {ArrivalConfig{
			Schedule: pace.Constant(100).Until(time.Minute), Client: failing, Abort: &AbortConfig{SLO: slo, Grace: 10 * time.Second},
		}, For(time.Minute), 10 * time.Second},
		"sync":                {SyncConfig{Client: failing, Abort: &AbortConfig{SLO: slo}}, Times(1000), 2 * time.Second},
		"threaded":            {ThreadedConfig{Client: failing, Abort: &AbortConfig{SLO: slo}}, Times(20000), 4 * time.Second},
		"async":               {AsyncConfig{MaxConcurrent: 10, Client: failing, Abort: &AbortConfig{SLO: slo}}, Times(20000), 4 * time.Second},
		"of unknown size":     {SyncConfig{Client: failing, Abort: &AbortConfig{SLO: slo}}, For(20 * time.Second), 0},
		"within its SLO":      {SyncConfig{Client: failing, Abort: &AbortConfig{SLO: SLO{MaxErrorRate: 1}}}, Times(1000), 0},
		"over before it asks": {SyncConfig{Client: failing, Abort: &AbortConfig{SLO: slo}}, Times(10), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, tt.cfg)
				defer closeEngine(t, e)
				r, err := e.Run(t.Context(), tt.src)
				if tt.after == 0 {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, ErrAborted)
				var aborted *AbortError
				require.ErrorAs(t, err, &aborted)
				require.Equal(t, "error rate", aborted.Objective)
				require.Equal(t, tt.after, aborted.After)
				require.Contains(t, err.Error(), "loadtest: aborted after "+tt.after.String()+": error rate cannot be met any more: errors: ")
				require.Contains(t, err.Error(), " already, and 5 % of ")
				require.InDelta(t, tt.after, r.Elapsed, float64(2*oddly), "what is in flight is finished")
				require.Zero(t, r.Errors[ClassCanceled])
				v := slo.Judge(r)
				require.Equal(t, VerdictFail, v.Kind, "%v", v)
				require.Equal(t, "error rate", v.Missed()[0].Name)
			})
		})
	}
}

func TestAbortIsValidated(t *testing.T) {
	bad := &AbortConfig{SLO: SLO{P99: -1, Endpoints: map[string]SLO{"a": {P50: -1}}}, Grace: -1}
	for _, cfg := range []EngineConfig{SyncConfig{Abort: bad}, ThreadedConfig{Abort: bad}, AsyncConfig{Abort: bad}, ArrivalConfig{Schedule: pace.Constant(1).Until(time.Second), Abort: bad}} {
		err := cfg.Validate()
		require.ErrorIs(t, err, ErrConfig)
		for _, part := range []string{"Abort.SLO.P99 is -1ns", `Abort.SLO.Endpoints["a"].P50 is -1ns`, "Abort.Grace is -1ns: must be 0 for none, or positive"} {
			require.ErrorContains(t, err, part, "%T", cfg)
		}
	}
	require.NoError(t, (*AbortConfig)(nil).Validate())
}
