package loadtest

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/internal/heap"
	"example.com/brunt/loadtest/internal/hist"
)

// addUp asserts that the intervals hold each request of r once, and leave no
// time out.
func addUp(t *testing.T, r *EngineResult) {
	t.Helper()
	var requests, failed, rejected int64
	var end time.Duration
	for _, row := range r.Intervals {
		requests += row.Requests
		failed += row.ErrorCount
		rejected += row.RejectedCount
		require.Equal(t, end, row.From, "no gap, no overlap")
		require.GreaterOrEqual(t, row.To, row.From)
		require.Positive(t, row.HeapBytes)
		require.LessOrEqual(t, row.HeapBytes, r.PeakMemory)
		end = row.To
	}
	require.Equal(t, r.Requests, requests)
	require.Equal(t, r.ErrorCount, failed)
	require.Equal(t, r.RejectedCount, rejected)
}

// A request of odd length never ends at the instant of a harvest.
const oddly = 30*time.Millisecond + 100*time.Microsecond

func TestAStallShowsInTheIntervals(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		start := time.Now()
		const from, to, length = 5 * time.Second, 8200 * time.Millisecond, 12 * time.Second
		ends := func(began time.Duration) time.Duration { // when a request does
			if began >= from && began < to {
				return to
			}
			return began + oddly
		}
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			now := time.Since(start)
			return sleep(ends(now) - now)(ctx)
		}), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(length))
		require.NoError(t, err)
		addUp(t, r)

		want := make([]int64, 13)
		now, slowest := time.Duration(0), time.Duration(0)
		for now < length {
			end := ends(now)
			want[end/time.Second] += int64(c.workers)
			now, slowest = end, max(slowest, end-now)
		}
		require.Equal(t, now, r.Elapsed)
		want[11] += want[12] // what ends a little after the end has no row of its own
		require.Len(t, r.Intervals, 12)
		for i, row := range r.Intervals {
			require.Equal(t, time.Duration(i)*time.Second, row.From)
			if i == 11 {
				require.Equal(t, r.Elapsed, row.To)
			} else {
				require.Equal(t, row.From+time.Second, row.To)
			}
			require.Equal(t, want[i], row.Requests, "second %d", i)
			switch i {
			case 6, 7:
				require.Zero(t, row.Requests)
				require.Zero(t, row.P50+row.P99)
				require.Zero(t, row.RPS())
				require.Equal(t, c.workers, row.InFlight)
			case 8:
				require.InEpsilon(t, slowest, row.P99, 0.001)
				require.InEpsilon(t, oddly, row.P50, 0.001)
			case 11:
				require.Zero(t, row.InFlight, "all have ended")
			default:
				require.InEpsilon(t, oddly, row.P99, 0.001)
				require.Equal(t, c.workers, row.InFlight)
				require.InDelta(t, float64(want[i]), row.RPS(), 1e-9)
			}
		}
		sameResult(t, roundTrip(t, r), r)
		require.Equal(t, r.Intervals, roundTrip(t, r).Intervals)
	})
}

// A run that outlasts a second by a moment has no interval of that moment, in which
// a few requests would look like a rate; nor is there one in the last progress.
func TestASliverAtTheEndIsNoInterval(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		for _, tt := range []struct {
			took time.Duration
			ends []time.Duration // of the intervals
		}{
			{100100 * time.Microsecond, []time.Duration{1001 * time.Millisecond}},
			{149 * time.Millisecond, []time.Duration{1490 * time.Millisecond}},
			{150 * time.Millisecond, []time.Duration{time.Second, 1500 * time.Millisecond}},
			{249 * time.Millisecond, []time.Duration{time.Second, 2490 * time.Millisecond}},
			{10 * time.Millisecond, []time.Duration{100 * time.Millisecond}},
		} {
			var last Progress
			e := newEngine(t, listening(c.name, Func(sleep(tt.took)), func(p Progress) { last = p }))
			r, err := e.Run(t.Context(), Times(10*c.workers))
			require.NoError(t, err)
			closeEngine(t, e)
			addUp(t, r)
			var ends []time.Duration
			for _, row := range r.Intervals {
				ends = append(ends, row.To)
			}
			require.Equal(t, tt.ends, ends)
			require.True(t, last.Done)
			require.Equal(t, r.Intervals[len(ends)-1], last.Last)
			// A round of requests more or less, in half a second at the least.
			require.LessOrEqual(t, last.Last.RPS(), float64(c.workers)*(1/tt.took.Seconds()+2)+1e-9, "no rate that was never reached")
		}
	})
}

func TestIntervalsAddUpAtTheirEdges(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		for _, tt := range []struct {
			reason string
			took   time.Duration
			rounds int
			rows   int
		}{
			{"shorter than an interval", 10 * time.Millisecond, 3, 1},
			{"no time at all", 0, 3, 1},
			{"as long as an interval", 100 * time.Millisecond, 10, 1},
			{"each request ends with an interval", time.Second, 3, 3},
			{"requests longer than intervals", 2500 * time.Millisecond, 2, 5},
		} {
			e := newEngine(t, c.make(Func(sleep(tt.took)), 0))
			r, err := e.Run(t.Context(), Times(tt.rounds*c.workers))
			require.NoError(t, err, tt.reason)
			addUp(t, r)
			require.Len(t, r.Intervals, tt.rows, tt.reason)
			require.Equal(t, r.Elapsed, r.Intervals[tt.rows-1].To, tt.reason)
			closeEngine(t, e)
		}
	})
}

func TestIntervalsGoOnWhileTheSinkBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		r, err := e.RunStreaming(t.Context(), Times(2), func(RequestResult) error { time.Sleep(2500 * time.Millisecond); return nil })
		require.NoError(t, err)
		addUp(t, r)
		require.Equal(t, 2502*time.Millisecond, r.Elapsed)
		require.Len(t, r.Intervals, 5, "the sink holds the run up until 5.002 s")
		require.EqualValues(t, 1, r.Intervals[0].Requests)
		require.EqualValues(t, 1, r.Intervals[2].Requests)
		require.Zero(t, r.Intervals[1].InFlight, "no request is in flight while its result is handed over")
	})
}

// Workers write, full rings are emptied and harvests go on at the same time.
func TestConcurrentHarvestsCountEachSampleOnce(t *testing.T) {
	for _, workers := range []int{1, 7, 1001} {
		rec := newRecorder(workers)
		each := max(110, race.Fewer(200_000)/workers)
		var wg sync.WaitGroup
		for range workers {
			b := rec.buffer()
			wg.Go(func() { // ends with its samples
				for k := range each {
					if k == 100 {
						b.widen()
					}
					b.add(sample{latency: time.Duration(1+k%10) * time.Microsecond, bytes: 3, retries: 1, status: 200, endpoint: int8(k % 2)})
				}
			})
		}
		ended := make(chan struct{})
		go func() { wg.Wait(); close(ended) }() // ends with the workers
		var harvested int64
		for done := false; !done; {
			select {
			case <-ended:
				done = true
			default:
			}
			row, _ := rec.harvest(done)
			harvested += row.Requests
		}
		n := int64(each * workers)
		require.Equal(t, n, harvested)
		r := rec.result(endpointNames([]string{"a", "b"}))
		require.Equal(t, n, r.Requests)
		require.Equal(t, n, r.good.Count())
		require.Equal(t, 3*n, r.BytesRead)
		require.Equal(t, n, r.Retries)
		require.Equal(t, map[int]int64{200: n}, r.StatusCodes)
		require.Equal(t, n, r.Endpoints["a"].Requests+r.Endpoints["b"].Requests)
		require.Equal(t, 3*n, r.Endpoints["a"].BytesRead+r.Endpoints["b"].BytesRead)
		require.Equal(t, 10*time.Microsecond, r.Quantile(1))
		require.InEpsilon(t, 5500*time.Nanosecond, r.Mean(), 0.01)
	}
}

// While another shard holds a name, the other names of a ring are counted, and then it.
func TestAHeldNameIsCountedLast(t *testing.T) {
	rec := newRecorder(1)
	b := rec.buffer()
	for i := range ringSize {
		b.add(sample{status: 200, endpoint: int8(i % 2)})
	}
	held, other := &rec.named[0], &rec.named[1]
	held.mu.Lock()
	b.takeNamed(b.head.Load(), (*sync.Mutex).TryLock)
	require.Nil(t, held.tally)
	require.EqualValues(t, ringSize/2, other.tally.Requests)
	held.mu.Unlock()
	b.empty()
	require.EqualValues(t, ringSize/2, held.tally.Requests)
	require.EqualValues(t, ringSize/2, other.tally.Requests)
}

// Names that nothing was counted under are left out, and a request's name is not a scenario's.
func TestTheResultOfNames(t *testing.T) {
	rec := newRecorder(1)
	b := rec.buffer()
	b.add(sample{class: classUserFailed, endpoint: 1})
	b.userExample(1, errTest)
	b.add(sample{status: 200, endpoint: 2})
	rec.harvest(true)
	r := rec.result([]endpointName{{name: "unused"}, {name: "a", scenario: true}, {name: "a"}, {name: "unused", scenario: true}})
	require.Nil(t, r.ErrorExamples)
	require.Len(t, r.Endpoints, 1)
	require.EqualValues(t, 1, r.Endpoints["a"].Requests)
	require.Len(t, r.Scenarios, 1)
	require.Equal(t, errTest.Error(), r.Scenarios["a"].Error)
}

// However a run is cut into intervals, its result is the same.
func TestHarvestsDoNotChangeTheResult(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	samples := randomSamples(rng, 5000, 2)
	names := []string{"a", "b"}
	want := record(epoch, time.Second, names, samples)
	rec := newRecorder(3)
	buffers := []*buffer{rec.buffer(), rec.buffer(), rec.buffer()}
	var rows []Interval
	for i, s := range samples {
		s.bytes = 10
		b := buffers[i%3]
		if s.class != ClassNone {
			b.example(s.class, errTest)
		}
		b.add(s)
		if i%700 == 13 {
			row, _ := rec.harvest(false)
			rows = append(rows, row)
		}
	}
	row, _ := rec.harvest(true)
	rows = append(rows, row)
	got := rec.result(endpointNames(names))
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 1} {
		require.Equal(t, want.Quantile(q), got.Quantile(q))
		require.Equal(t, want.SuccessQuantile(q), got.SuccessQuantile(q))
		require.Equal(t, want.ErrorQuantile(q), got.ErrorQuantile(q))
		require.Equal(t, want.Endpoints["a"].Quantile(q), got.Endpoints["a"].Quantile(q))
	}
	require.Equal(t, want.Errors, got.Errors)
	require.Equal(t, want.StatusCodes, got.StatusCodes)
	require.Equal(t, want.BytesRead, got.BytesRead)
	require.InDelta(t, want.good.Mean(), got.good.Mean(), 1)

	// And each interval says what happened in it.
	require.Len(t, rows, 9)
	part := record(epoch, time.Second, names, samples[14:714])
	require.Equal(t, part.Requests, rows[1].Requests)
	require.Equal(t, part.ErrorCount, rows[1].ErrorCount)
	require.Equal(t, part.RejectedCount, rows[1].RejectedCount)
	require.Equal(t, part.P50(), rows[1].P50)
	require.Equal(t, part.P99(), rows[1].P99)
}

// A request that ends at the instant of the last harvest, but is recorded after it, is of
// the interval and the block before: no further ones have any length.
func TestWhatIsRecordedLateIsOfTheLastInterval(t *testing.T) {
	rec := newRecorder(1)
	b := rec.buffer()
	c := collector{
		recorder: rec, memory: heap.NewSampler(), inFlight: func() int { return 0 },
		series: newSeries(), blocks: hist.NewBlocks(harvestEvery),
	}
	for _, last := range []bool{false, true} {
		b.add(sample{latency: time.Millisecond, status: 200, endpoint: noEndpoint})
		c.harvest(time.Second, last)
	}
	require.Len(t, c.series.Rows, 1)
	require.EqualValues(t, 2, c.series.Rows[0].Requests)
	require.Equal(t, time.Second, c.series.End())
	require.Len(t, c.blocks.Rows, 1)
	require.EqualValues(t, 2, c.blocks.Rows[0].N)
	require.Equal(t, time.Second, c.blocks.End())
}

func TestJoinedIntervals(t *testing.T) {
	a := Interval{From: 0, To: 10, Counts: Counts{Requests: 2}, P50: 40, P99: 100, InFlight: 3}
	b := Interval{From: 10, To: 20, Counts: Counts{Requests: 6}, P50: 80, P99: 90, InFlight: 5}
	require.Equal(t, Interval{From: 0, To: 20, Counts: Counts{Requests: 8}, P50: 70, P99: 100, InFlight: 5}, a.Join(b))
	b.From, b.To = 5, 15
	require.Equal(t, Interval{From: 0, To: 15, Counts: Counts{Requests: 8}, P50: 70, P99: 100, InFlight: 8}, a.Join(b), "side by side, both are in flight")
	require.Equal(t, Interval{To: 20}, Interval{To: 10}.Join(Interval{From: 10, To: 20}), "nothing was sent in either")
	require.Zero(t, Interval{Counts: Counts{Requests: 3}}.RPS())
	require.False(t, Interval{Excluded: true}.Join(Interval{}).Excluded, "a part of it is counted")
	require.True(t, Interval{Excluded: true}.Join(Interval{Excluded: true}).Excluded)
}

func TestMergeKeepsIntervalsAtTheirTime(t *testing.T) {
	at := func(from int, rows ...Interval) *EngineResult {
		r := record(epoch.Add(time.Duration(from)*time.Second), 2*time.Second, nil, nil)
		r.Intervals = rows
		return r
	}
	row := func(from, to int, n int64) Interval {
		return Interval{From: time.Duration(from) * time.Second, To: time.Duration(to) * time.Second, Counts: Counts{Requests: n}}
	}
	early := at(0, row(0, 1, 1), row(1, 2, 2))
	late := at(10, row(0, 1, 3), row(1, 2, 4))
	for _, order := range [][]*EngineResult{{early, late}, {late, early}} {
		sum := new(EngineResult)
		for _, r := range order {
			sum.Merge(r)
		}
		require.Equal(t, []Interval{row(0, 1, 1), row(1, 2, 2), row(10, 11, 3), row(11, 12, 4)}, sum.Intervals)
		sameResult(t, roundTrip(t, sum), sum)
	}
	require.Equal(t, []Interval{row(0, 1, 3), row(1, 2, 4)}, late.Intervals, "the argument is not changed")

	beside := at(0, row(0, 1, 5), row(1, 2, 6))
	beside.Merge(early)
	require.Equal(t, []Interval{row(0, 1, 5), row(0, 1, 1), row(1, 2, 6), row(1, 2, 2)}, beside.Intervals)

	many := at(0)
	for i := range 3600 {
		many.Intervals = append(many.Intervals, row(i, i+1, 1))
	}
	many.Merge(late)
	require.LessOrEqual(t, len(many.Intervals), 3600)
	var n int64
	for _, r := range many.Intervals {
		n += r.Requests
	}
	require.EqualValues(t, 3607, n)
}

func TestIntervalJSON(t *testing.T) {
	row := Interval{
		From: 1_000_000_001, To: 3_000_000_001, Counts: Counts{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		P50: 1_234_567, P99: 7_654_321, Lag: 1_234, InFlight: 9, HeapBytes: 1 << 60,
	}
	data, err := json.Marshal(row)
	require.NoError(t, err)
	require.JSONEq(t, `{"from_seconds":1.000000001,"to_seconds":3.000000001,
		"requests":1,"success_count":2,"error_count":3,"other_count":4,"rejected_count":5,"retries":6,"bytes_read":7,
		"scheduled":8,"missed":9,"dropped":10,"canceled":11,
		"users":12,"users_failed":13,"users_canceled":14,"user_requests":15,
		"rps":0.5,"p50_latency_ms":1.234567,"p99_latency_ms":7.654321,"p99_lag_ms":0.001234,"in_flight":9,"heap_bytes":1152921504606846976}`, string(data))
	var back Interval
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, row, back)
	for _, bad := range []string{`{"from_seconds":-1}`, `{"to_seconds":1e300}`, `{"p50_latency_ms":-1}`, `{"requests":"x"}`, `[]`} {
		require.Error(t, json.Unmarshal([]byte(bad), &back), bad)
	}
}

func TestManyWorkersCostLittleEach(t *testing.T) {
	require.EqualValues(t, 32, unsafe.Sizeof(sample{}))
	require.EqualValues(t, 128, unsafe.Sizeof(buffer{}), "a multiple of the cache line")
	require.Zero(t, unsafe.Sizeof(worker{})%64, "a multiple of the cache line")
}

// The peak is seen though it is gone when the second ends.
func TestAPeakOfMemoryBetweenIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := func() {
			block := make([]byte, 64<<20)
			time.Sleep(100 * time.Millisecond)
			runtime.KeepAlive(block)
		}
		e := newEngine(t, SyncConfig{Client: Func(func(context.Context) error {
			hold()
			runtime.GC()
			return nil
		})})
		defer closeEngine(t, e)
		runtime.GC()
		r, err := e.Run(t.Context(), Times(1))
		require.NoError(t, err)
		require.Greater(t, r.PeakMemory, uint64(64<<20))
	})
}
