package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// late is the result of samples with lags, as an open loop would give it, of which
// further arrivals were missed, dropped and canceled.
func late(start time.Time, elapsed time.Duration, names []string, samples []sample, missed, dropped, canceled int64) *EngineResult {
	r := record(start, elapsed, names, samples)
	r.Engine, r.Concurrency, r.Schedule, r.PeakInFlight = "arrival", 1000, "100/s", 40
	r.Missed, r.Dropped, r.Canceled = missed, dropped, canceled
	r.Scheduled = r.Requests + r.RejectedCount + r.lost()
	r.Intervals = []Interval{{To: elapsed, Counts: r.Counts, P50: r.P50(), P99: r.P99(), Lag: r.LagQuantile(0.99), InFlight: 3}}
	return r
}

func lateSamples(rng *rand.Rand, n, names int) []sample {
	out := randomSamples(rng, n, names)
	for i := range out {
		out[i].lag = time.Duration(rng.IntN(2)) * time.Duration(rng.ExpFloat64()*1e6)
	}
	return out
}

// sameTimes asserts that both parts of the latencies are the same.
func sameTimes(t *testing.T, want, got *Stats) {
	t.Helper()
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		require.Equal(t, want.Quantile(q), got.Quantile(q), "response time, q=%v", q)
		require.Equal(t, want.ServiceQuantile(q), got.ServiceQuantile(q), "service time, q=%v", q)
		require.Equal(t, want.LagQuantile(q), got.LagQuantile(q), "lag, q=%v", q)
	}
}

func TestResultJSONKeepsTheOpenLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	r := late(epoch, 10*time.Second, []string{"a", "b"}, lateSamples(rng, 2000, 2), 5, 6, 7)
	back := roundTrip(t, r)
	sameResult(t, r, back)
	sameTimes(t, &r.Stats, &back.Stats)
	sameTimes(t, r.Endpoints["a"], back.Endpoints["a"])
	require.Equal(t, r.Counts, back.Counts)
	require.Equal(t, "100/s", back.Schedule)
	require.Equal(t, 40, back.PeakInFlight)
	require.Equal(t, r.Intervals, back.Intervals)
	require.Equal(t, r.String(), back.String())

	again := roundTrip(t, r)
	again.Merge(back)
	r.Merge(back)
	sameResult(t, r, again)
	sameTimes(t, &r.Stats, &again.Stats)

	data, err := json.Marshal(r)
	require.NoError(t, err)
	var keys map[string]any
	require.NoError(t, json.Unmarshal(data, &keys))
	for key, want := range map[string]float64{
		"missed": 10, "dropped": 12, "canceled": 14, "scheduled": float64(r.Scheduled),
		"p99_latency_ms": millis(r.P99()), "p99_service_ms": millis(r.ServiceQuantile(0.99)), "p99_lag_ms": millis(r.LagQuantile(0.99)),
	} {
		require.InEpsilon(t, want, keys[key], 1e-9, key)
	}
}

// What was written before there were open loops reads as a closed one, and a closed one
// writes none of the new keys.
func TestResultJSONOfAClosedLoopIsAsBefore(t *testing.T) {
	r := record(epoch, 10*time.Second, []string{"a"}, randomSamples(rand.New(rand.NewPCG(9, 9)), 500, 1))
	r.Intervals = []Interval{{To: 10 * time.Second, Counts: r.Counts, P50: 1, P99: 2}}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var keys struct {
		Endpoints struct{ A map[string]any }
		Intervals []map[string]any
	}
	top := make(map[string]any)
	require.NoError(t, json.Unmarshal(data, &top))
	require.NoError(t, json.Unmarshal(data, &keys))
	for _, object := range []map[string]any{top, keys.Endpoints.A, keys.Intervals[0]} {
		require.Contains(t, object, "p99_latency_ms")
		for _, key := range []string{"scheduled", "missed", "dropped", "canceled", "schedule", "peak_in_flight", "p99_service_ms", "p99_lag_ms", "service_histogram", "lag_histogram"} {
			require.NotContains(t, object, key)
		}
	}
	back := roundTrip(t, r)
	require.Equal(t, back.Quantile(0.9), back.ServiceQuantile(0.9))
	require.Zero(t, back.LagQuantile(1))
	require.False(t, back.openLoop())
}

func TestResultJSONWhoseArrivalsDoNotAddUpIsRefused(t *testing.T) {
	data, err := json.Marshal(late(epoch, time.Second, nil, []sample{{status: 200, latency: 5, lag: 5, endpoint: noEndpoint}}, 3, 4, 5))
	require.NoError(t, err)
	_, hist, _ := strings.Cut(string(data), `"lag_histogram":`)
	for reason, change := range map[string][2]string{
		"more than came due":  {`"missed":3`, `"missed":30`},
		"some are lost":       {`"scheduled":13`, `"scheduled":14`},
		"negative":            {`"missed":3,"dropped":4`, `"missed":-3,"dropped":10`},
		"no lags":             {`"lag_histogram":` + hist, `"lag_histogram":{"hdr":"x"}}`},
		"no service times":    {`"service_histogram":`, `"x":`},
		"an interval's lag":   {`"p99_lag_ms":0.000005,"in_flight"`, `"p99_lag_ms":-1,"in_flight"`},
		"an interval's years": {`"p99_lag_ms":0.000005,"in_flight"`, `"p99_lag_ms":1e300,"in_flight"`},
	} {
		t.Run(reason, func(t *testing.T) {
			bad := strings.ReplaceAll(string(data), change[0], change[1])
			require.NotEqual(t, string(data), bad)
			require.Error(t, json.Unmarshal([]byte(bad), new(EngineResult)))
		})
	}
	require.NoError(t, json.Unmarshal(data, new(EngineResult)))
}

// Of an open and a closed loop, each request's latency is what its own loop says, and
// one of the closed loop had no lag.
func TestMergeOfAnOpenAndAClosedLoop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	names := []string{"a", "b"}
	open, closed := lateSamples(rng, 700, 2), randomSamples(rng, 1300, 2)
	whole := late(epoch, 10*time.Second, names, append(append([]sample(nil), open...), closed...), 5, 6, 7)
	parts := func() []*EngineResult {
		return []*EngineResult{
			late(epoch, 10*time.Second, names, open, 5, 6, 7),
			record(epoch.Add(time.Second), 5*time.Second, names, closed),
		}
	}
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		merged := new(EngineResult)
		for _, i := range order {
			part := parts()[i]
			service := part.ServiceQuantile(0.9)
			merged.Merge(part)
			require.Equal(t, service, part.ServiceQuantile(0.9), "the argument is not changed")
		}
		sameTimes(t, &whole.Stats, &merged.Stats)
		sameTimes(t, whole.Endpoints["b"], merged.Endpoints["b"])
		require.Equal(t, "mixed", merged.Engine)
		require.Equal(t, "100/s", merged.Schedule)
		require.Equal(t, 40, merged.PeakInFlight)
		require.Equal(t, 1100, merged.Concurrency)
		require.Equal(t, parts()[0].Scheduled, merged.Scheduled)
		require.EqualValues(t, 18, merged.lost())
		require.InEpsilon(t, float64(merged.RejectedCount)/2018, merged.RejectedRate(), 1e-9, "of all that were due, by a schedule or without one")
		back := roundTrip(t, merged)
		sameResult(t, merged, back)
		sameTimes(t, &merged.Stats, &back.Stats)
	}
}

// Two shards of a schedule on two machines.
func TestMergeOfOpenLoops(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	a := late(epoch, 10*time.Second, nil, lateSamples(rng, 100, 0), 1, 2, 3)
	b := late(epoch.Add(time.Second), 10*time.Second, nil, lateSamples(rng, 100, 0), 10, 20, 30)
	b.Schedule, b.PeakInFlight = "200/s", 2
	want := a.Counts
	want.add(b.Counts)
	a.Merge(b)
	require.Equal(t, want, a.Counts)
	require.EqualValues(t, 66, a.lost())
	require.Equal(t, "arrival", a.Engine)
	require.Equal(t, "mixed", a.Schedule)
	require.Equal(t, 42, a.PeakInFlight, "they overlap")
	require.Equal(t, 2000, a.Concurrency)
}

// What Record writes and Stream yields is the run: its three times, by name too.
func TestRecordsOfAnOpenLoopAreTheLiveResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The source takes its time, so that requests begin late.
		source := func() Source {
			return Seq(func(yield func(*Request) bool) {
				for i := range 300 {
					time.Sleep(time.Duration(i%7) * time.Millisecond)
					if !yield(&Request{Name: []string{"a", "b", ""}[i%3], URL: "http://h/"}) {
						return
					}
				}
			})
		}
		e := newEngine(t, ArrivalConfig{Schedule: pace.Poisson(400, 3), Client: Func(sleep(oddly)), MaxCatchUp: time.Hour})
		defer closeEngine(t, e)
		path := filepath.Join(t.TempDir(), "r.jsonl")
		s, err := CreateJSONL(path, SinkConfig{BatchSize: 9})
		require.NoError(t, err)
		live, err := Record(t.Context(), e, source(), s)
		require.NoError(t, err)
		require.NoError(t, s.Close(t.Context()))
		require.Greater(t, live.LagQuantile(0.5), time.Millisecond)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		read, err := ReadJSONL(bytes.NewReader(data))
		require.NoError(t, err)
		streamed, err := Collect(Stream(t.Context(), e, source()))
		require.NoError(t, err)
		for name, got := range map[string]*EngineResult{"read": read, "streamed": streamed} {
			require.EqualValues(t, 300, got.Requests, name)
			sameTimes(t, &live.Stats, &got.Stats)
			require.Len(t, got.Endpoints, 2)
			for n := range got.Endpoints {
				sameTimes(t, live.Endpoints[n], got.Endpoints[n])
			}
			require.True(t, got.openLoop(), name)
			require.Zero(t, got.Scheduled, "records hold what was sent")
			roundTrip(t, got)
		}
	})
}

// A result of records begins when the first was due, as the run did.
func TestRecordsBeginWhenTheFirstWasDue(t *testing.T) {
	line := `{"url":"u","status_code":200,"latency_ms":1.5,"timestamp":1700000000.25,"lag_ms":250}` + "\n"
	r, err := ReadJSONL(strings.NewReader(line + line))
	require.NoError(t, err)
	require.Equal(t, time.Unix(1_700_000_000, 0), r.StartedAt)
	require.Equal(t, 251500*time.Microsecond, r.Elapsed)
	require.Equal(t, r.Elapsed, r.Quantile(1))
}

// A schedule that has little due for a while is no stall of the service; one in which
// what was due did not end is.
func TestAQuietScheduleIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := pace.Constant(100).Until(5 * time.Second)
		quiet := busy.Then(pace.Constant(1).Until(5 * time.Second)).Then(busy)
		e := newEngine(t, ArrivalConfig{Schedule: quiet, Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(math.MaxInt32))
		require.NoError(t, err)
		require.Len(t, r.Intervals, 15)
		require.Empty(t, r.stallText())

		base := time.Now()
		freeze := func(ctx context.Context) error {
			if at := time.Since(base); at >= 5*time.Second {
				return sleep(10500*time.Millisecond - at)(ctx)
			}
			return nil
		}
		frozen := newEngine(t, ArrivalConfig{Schedule: pace.Constant(100).Until(15 * time.Second), MaxInFlight: 10, Client: Func(freeze)})
		defer closeEngine(t, frozen)
		r, err = frozen.Run(t.Context(), Times(math.MaxInt32))
		require.NoError(t, err)
		require.Contains(t, r.stallText(), "stalled from 5s to 10s: ")
		require.Positive(t, r.Dropped)
	})
}
