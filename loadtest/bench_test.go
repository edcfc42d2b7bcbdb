package loadtest

import (
	"context"
	"flag"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/faketb"
	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/pace"
)

func nop(context.Context) error { return nil }

// BenchmarkOverhead is what the engines themselves cost: the client does nothing.
func BenchmarkOverhead(b *testing.B) {
	for _, c := range closedLoops {
		b.Run("engine="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			Bench(b, Start(b, c.make(Func(nop), 0)), &Request{})
		})
	}
}

// BenchmarkOverheadNamed adds the breakdown by endpoint.
func BenchmarkOverheadNamed(b *testing.B) {
	b.ReportAllocs()
	Bench(b, Start(b, ThreadedConfig{Client: Func(nop)}), &Request{Name: "a"}, &Request{Name: "b"})
}

// BenchmarkArrivals is what an arrival costs in an open loop whose schedule is always
// ahead of it: the client does nothing.
func BenchmarkArrivals(b *testing.B) {
	e := Start(b, ArrivalConfig{Schedule: pace.Constant(1e8), MaxCatchUp: time.Hour, Client: Func(nop)})
	b.ReportAllocs()
	Bench(b, e)
}

// ofTheRun bounds what a run of up to 100 workers allocates the more for lasting
// longer, however many requests it makes: it is watched and harvested, each worker
// gets two larger buffers once its requests prove quick, and latencies that were not
// seen before, as on a busy machine, get pages in the histograms. The runs differ by
// 50,000 requests, under the race detector by 10,000.
const ofTheRun = 2*100 + 1000.0

func TestARequestAllocatesNothing(t *testing.T) {
	for _, c := range engines {
		t.Run(c.name, func(t *testing.T) {
			e := Start(t, c.make(Func(nop), 0))
			if c.name == "arrival" {
				e = Start(t, ArrivalConfig{Schedule: pace.Constant(1e6), MaxInFlight: 10, MaxCatchUp: time.Hour, Client: Func(nop)})
			}
			allocs := func(n int) float64 {
				return testing.AllocsPerRun(3, func() {
					_, err := e.Run(t.Context(), Times(n, &Request{Name: "a"}))
					if err != nil {
						t.Error(err)
					}
				})
			}
			small, large := allocs(1000+race.Fewer(50_000)), allocs(1000+2*race.Fewer(50_000))
			require.Less(t, large-small, ofTheRun, "%v allocations for so many requests, %v for as many more", small, large)
		})
	}
}

func TestMemoryDoesNotGrowWithTheRun(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector's own memory drowns the engine's")
	}
	peak := func(n int) float64 {
		e := Start(t, ThreadedConfig{Client: Func(nop)})
		out := math.Inf(1) // the least of several: garbage comes and goes
		for range 5 {
			runtime.GC()
			r, err := e.Run(t.Context(), Times(n))
			require.NoError(t, err)
			out = min(out, float64(r.PeakMemory))
		}
		return out
	}
	peak(10_000) // warm up
	require.InEpsilon(t, peak(10_000), peak(1_000_000), 0.10)
}

// benchtime sets -test.benchtime for the duration of a test.
func benchtime(t *testing.T, value string) {
	const name = "test.benchtime"
	t.Helper()
	old := flag.Lookup(name).Value.String()
	require.NoError(t, flag.Set(name, value))
	t.Cleanup(func() { _ = flag.Set(name, old) })
}

func TestBenchReportsItsMetrics(t *testing.T) {
	benchtime(t, "1000x")
	var last *EngineResult
	res := testing.Benchmark(func(b *testing.B) {
		last = Bench(b, Start(b, ThreadedConfig{MaxWorkers: 4, Client: Func(sleep(100 * time.Microsecond))}))
	})
	require.Equal(t, 1000, res.N, "b.N is the number of requests")
	require.EqualValues(t, 1000, last.Requests)
	require.InEpsilon(t, last.RPS(), res.Extra["req/s"], 1e-9)
	require.InEpsilon(t, float64(last.P50()), res.Extra["p50-ns"], 1e-9)
	require.InEpsilon(t, float64(last.P95()), res.Extra["p95-ns"], 1e-9)
	require.InEpsilon(t, float64(last.P99()), res.Extra["p99-ns"], 1e-9)
	require.Zero(t, res.Extra["err/op"])
	require.Positive(t, res.Extra["peak-B"])
	require.Contains(t, res.Extra, "err/op")
	require.GreaterOrEqual(t, res.T, last.Elapsed)
}

func TestBenchOfAnOpenLoop(t *testing.T) {
	benchtime(t, "500x")
	var last *EngineResult
	res := testing.Benchmark(func(b *testing.B) {
		last = Bench(b, Start(b, ArrivalConfig{Schedule: pace.Constant(10_000), MaxCatchUp: time.Hour, Client: Func(nop)}))
	})
	require.Equal(t, 500, res.N, "b.N is the number of arrivals")
	require.EqualValues(t, 500, last.Scheduled)
	for _, unit := range []string{"missed/op", "dropped/op"} {
		require.Contains(t, res.Extra, unit)
		require.Zero(t, res.Extra[unit])
	}
	require.InEpsilon(t, float64(last.LagQuantile(0.99)), res.Extra["lag-p99-ns"], 1e-9)

	var tb *testing.B
	res = testing.Benchmark(func(b *testing.B) {
		tb = b
		Bench(b, Start(b, ArrivalConfig{Schedule: pace.Constant(10_000).Take(499), MaxCatchUp: time.Hour, Client: Func(nop)}))
	})
	require.Zero(t, res.N)
	require.True(t, tb.Failed(), "the schedule has one arrival less than b.N")
}

func TestReportEndpointsNamesItsMetrics(t *testing.T) {
	benchtime(t, "300x")
	var last *EngineResult
	res := testing.Benchmark(func(b *testing.B) {
		last = Bench(b, Start(b, SyncConfig{Client: Func(nop)}), &Request{Name: "home page"}, Call("order", func(context.Context) error { return errTest }))
		ReportEndpoints(b, last)
	})
	for name, want := range map[string]float64{
		"home_page-err/op": 0, "order-err/op": 1,
		"home_page-p50-ns": float64(last.Endpoints["home page"].P50()), "order-p99-ns": float64(last.Endpoints["order"].P99()),
	} {
		require.Contains(t, res.Extra, name)
		require.InDelta(t, max(want, 0), res.Extra[name], 1, name)
	}
}

func TestPaceSendsWhenTheTextSays(t *testing.T) {
	srv := fixtures.NewServer(t)
	r := Pace(t, "1000/s for 20ms", Get(srv.URL+"/get"), Get(srv.URL+"/status/404"))
	require.EqualValues(t, 20, r.Scheduled)
	require.Equal(t, map[int]int64{200: 10, 404: 10}, r.StatusCodes)
	for schedule, want := range map[string]string{
		"1000/s fur 10s": `"fur" at offset 7`,
		"1000/s":         `the schedule "1000/s" has no end: say how long, as in "1000/s for 10s"`,
		"none":           "Schedule has no arrivals",
		"0/s for 1s":     `Schedule has no arrivals: it is "0/s for 1s"`,
	} {
		tb := faketb.Run(t, func(tb *faketb.TB) { Pace(tb, schedule, Get(srv.URL+"/get")) })
		require.True(t, tb.FailedNow(), schedule)
		require.Len(t, tb.Errors(), 1)
		require.Contains(t, tb.Errors()[0], want)
	}
	tb := faketb.Run(t, func(tb *faketb.TB) { Pace(tb, "1000/s for 10s") })
	require.Equal(t, []string{"loadtest: Pace: no requests: pass at least one, such as loadtest.Get(url)"}, tb.Errors())
}

func TestBenchOmitsQuantilesThatAreTheMaximum(t *testing.T) {
	for n, want := range map[string][]string{
		"19x":  {"p50-ns"},
		"20x":  {"p50-ns", "p95-ns"},
		"99x":  {"p50-ns", "p95-ns"},
		"100x": {"p50-ns", "p95-ns", "p99-ns"},
	} {
		benchtime(t, n)
		res := testing.Benchmark(func(b *testing.B) {
			Bench(b, Start(b, SyncConfig{Client: Func(nop)}))
		})
		var got []string
		for _, unit := range []string{"p50-ns", "p95-ns", "p99-ns"} {
			if v, ok := res.Extra[unit]; ok {
				require.GreaterOrEqual(t, v, 1.0, "a zero is another unit to benchstat")
				got = append(got, unit)
			}
		}
		require.Equal(t, want, got, n)
	}
}

// Within b.Loop the benchmark fails, and says what to write instead; after the
// loop b.N is what it counted.
func TestBenchWithinLoop(t *testing.T) {
	benchtime(t, "10x")
	sent := 0
	e := Start(t, SyncConfig{Client: Func(func(context.Context) error { sent++; return nil })})
	var tb *testing.B
	res := testing.Benchmark(func(b *testing.B) {
		tb = b
		for b.Loop() {
			Bench(b, e)
		}
	})
	require.Zero(t, res.N)
	require.True(t, tb.Failed())
	require.Zero(t, sent)
	res = testing.Benchmark(func(b *testing.B) {
		for b.Loop() { // warms up
		}
		Bench(b, e)
	})
	require.Equal(t, 10, res.N)
}

func TestBenchCountsErrors(t *testing.T) {
	srv := fixtures.NewServer(t, fixtures.WithErrorRate(0.5))
	benchtime(t, "200x")
	res := testing.Benchmark(func(b *testing.B) {
		Bench(b, Start(b, ThreadedConfig{}), Get(srv.URL+"/get"))
	})
	require.InDelta(t, 0.5, res.Extra["err/op"], 0.15)
}

// BenchmarkOverheadStreaming adds a sink that does nothing.
func BenchmarkOverheadStreaming(b *testing.B) {
	for _, c := range closedLoops {
		b.Run("engine="+c.name, func(b *testing.B) {
			e := Start(b, c.make(Func(nop), 0))
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := e.RunStreaming(b.Context(), Times(b.N), func(RequestResult) error { return nil }); err != nil {
				b.Fatal(err)
			}
		})
	}
}
