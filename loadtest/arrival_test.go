package loadtest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest/internal/deadline"
	"example.com/brunt/loadtest/internal/openloop"
	"example.com/brunt/loadtest/internal/wake"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// openLoop has run use an engine, and returns what OnProgress was told last besides.
func openLoop(t *testing.T, cfg ArrivalConfig, run func(Engine) (*EngineResult, error)) (Progress, *EngineResult, error) {
	t.Helper()
	var last Progress
	cfg.OnProgress = func(p Progress) { last = p }
	e := newEngine(t, cfg)
	res, err := run(e)
	closeEngine(t, e)
	return last, res, err
}

// Whatever ends a run, each arrival that came due was sent, refused, missed, dropped or
// canceled.
func TestNoArrivalIsLost(t *testing.T) {
	const rate = 1000
	half := 500 * time.Millisecond
	forever := ArrivalConfig{Schedule: pace.Constant(rate).Until(time.Second), Client: Func(sleep(20 * time.Millisecond))}
	source := Until(time.Hour, Pick(func(int64) *Request { return &Request{Name: "a"} }))
	at := func(n int64, hit func()) func() {
		var calls atomic.Int64
		return func() {
			if calls.Add(1) == n {
				hit()
			}
		}
	}
	for name, tt := range map[string]struct {
		cfg ArrivalConfig // forever if it has no schedule
		run func(t *testing.T, e Engine) (*EngineResult, error)
		err error
		// scheduled is how many arrivals came due.
		scheduled, dropped, canceled int64
	}{
		"the schedule": {scheduled: 1000},
		"the source":   {scheduled: 77, run: func(t *testing.T, e Engine) (*EngineResult, error) { return e.Run(t.Context(), Times(77)) }},
		"a sequence": {scheduled: 77, run: func(t *testing.T, e Engine) (*EngineResult, error) {
			return e.Run(t.Context(), Seq(slices.Values(make77())))
		}},
		"the source's limit": {scheduled: 500, run: func(t *testing.T, e Engine) (*EngineResult, error) { return e.Run(t.Context(), Until(half, source)) }},
		"the context": {scheduled: 501, canceled: 1, err: context.Canceled, run: func(t *testing.T, e Engine) (*EngineResult, error) {
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(half-1, cancel).Stop()
			return e.Run(ctx, source)
		}},
		"Close": {scheduled: 501, err: ErrClosed, run: func(t *testing.T, e Engine) (*EngineResult, error) {
			defer time.AfterFunc(half+1, func() { _ = e.Close(context.Background()) }).Stop()
			return e.Run(t.Context(), source)
		}},
		"the sink": {scheduled: 500, err: errTest, run: func(t *testing.T, e Engine) (*EngineResult, error) {
			n := 0
			return e.RunStreaming(t.Context(), source, func(RequestResult) error {
				if n++; n == 480 {
					return errTest
				}
				return nil
			})
		}},
		"an invalid request": {scheduled: 100, err: ErrInvalidRequest, run: func(t *testing.T, e Engine) (*EngineResult, error) {
			return e.Run(t.Context(), Pick(func(i int64) *Request {
				if i == 100 {
					return nil
				}
				return &Request{}
			}))
		}},
		"the bound": {scheduled: 1000, dropped: 750, cfg: ArrivalConfig{
			Schedule: forever.Schedule, MaxInFlight: 5, Client: Func(sleep(19500 * time.Microsecond)),
		}},
		"the breaker": {scheduled: 1000, cfg: ArrivalConfig{
			Schedule: forever.Schedule, Client: Func(func(context.Context) error { return errTest }), Breaker: newBreaker(t, resilience.BreakerConfig{Name: "b", FailureThreshold: 10}),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, run := tt.cfg, tt.run
				if cfg.Schedule.Len() == 0 {
					cfg = forever
				}
				if run == nil {
					run = func(t *testing.T, e Engine) (*EngineResult, error) { return e.Run(t.Context(), source) }
				}
				last, res, err := openLoop(t, cfg, func(e Engine) (*EngineResult, error) { return run(t, e) })
				require.ErrorIs(t, err, tt.err)
				if tt.err == nil {
					require.NoError(t, err)
				}
				accounted(t, res.Scheduled-res.RejectedCount+res.Unsent, res)
				require.InDelta(t, tt.scheduled, res.Scheduled, 1, "the last may be due in the instant of the end")
				require.Equal(t, tt.dropped, res.Dropped)
				require.LessOrEqual(t, res.Canceled, max(tt.canceled, 1))
				require.Zero(t, res.Missed)
				require.Equal(t, res.Counts, last.Counts)
				var sum Counts
				for _, row := range res.Intervals {
					sum.add(row.Counts)
				}
				require.Equal(t, res.Counts, sum)
			})
		})
	}
	for name, hit := range map[string]func(testing.TB){
		"a panic": func(testing.TB) { panic(errTest) },
		"FailNow": func(tb testing.TB) { tb.FailNow() },
	} {
		for where, make := range map[string]func(hit func()) (Client, *Request, func(RequestResult) error){
			"the function": func(hit func()) (Client, *Request, func(RequestResult) error) {
				return Func(func(ctx context.Context) error { hit(); return sleep(20 * time.Millisecond)(ctx) }), &Request{}, nil
			},
			"a check": func(hit func()) (Client, *Request, func(RequestResult) error) {
				return forever.Client, &Request{Check: func(Response) error { hit(); return nil }}, nil
			},
			"the sink": func(hit func()) (Client, *Request, func(RequestResult) error) {
				return forever.Client, &Request{}, func(RequestResult) error { hit(); return nil }
			},
		} {
			t.Run(name+" in "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var last Progress
					faketb.Run(t, func(tb *faketb.TB) {
						defer func() { _ = recover() }()
						client, req, sink := make(at(300, func() { hit(tb) }))
						if sink == nil {
							sink = func(RequestResult) error { return nil }
						}
						e, err := NewArrivalEngine(ArrivalConfig{Schedule: forever.Schedule, Client: client, OnProgress: func(p Progress) { last = p }})
						require.NoError(t, err)
						defer func() { require.NoError(t, e.Close(context.Background())) }()
						_, _ = e.RunStreaming(t.Context(), Times(1000, req), sink)
						t.Error("Run returned")
					})
					require.True(t, last.Done)
					c := last.Counts
					require.InDelta(t, 300, c.Scheduled, 30)
					require.Equal(t, c.Scheduled, c.Requests+c.RejectedCount+c.Missed+c.Dropped+c.Canceled)
				})
			})
		}
	}
}

func make77() []*Request {
	reqs := make([]*Request, 77)
	for i := range reqs {
		reqs[i] = &Request{Name: fmt.Sprint("n", i%2)}
	}
	return reqs
}

// A service that stands still for a second is one that each user who came in it waited
// for: response times say so, service times and a closed loop do not.
func TestResponseTimesHoldWhatUsersWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		frozen := Func(func(ctx context.Context) error {
			if at := time.Since(base); at >= 4*time.Second && at < 5*time.Second {
				return sleep(5*time.Second - at)(ctx)
			}
			return nil
		})
		e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(1000).Until(10 * time.Second), Client: frozen})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(1e6))
		require.NoError(t, err)
		require.EqualValues(t, 10_000, r.Requests)
		require.Equal(t, 10*time.Second, r.Elapsed)
		require.InDelta(t, 1000, r.RPS(), 1e-9)
		require.Equal(t, 1000, r.PeakInFlight)
		for q, want := range map[float64]time.Duration{0.5: 0, 0.9: 0, 0.95: 500 * time.Millisecond, 0.99: 900 * time.Millisecond, 0.999: 990 * time.Millisecond, 1: time.Second} {
			require.InDelta(t, want, r.Quantile(q), float64(3*time.Millisecond), "%v", q)
		}
		require.Zero(t, r.LagQuantile(1))
	})
}

// What waits behind two workers was late to begin, and took no longer than the others
// once it had.
func TestLagAndServiceTimeMakeUpTheResponseTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The source takes its time, so that requests begin late.
		slow := Seq(func(yield func(*Request) bool) {
			for i := range 100 {
				time.Sleep(10 * time.Millisecond)
				if !yield(&Request{Name: fmt.Sprint("n", i%2)}) {
					return
				}
			}
		})
		e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(200), Client: Func(sleep(time.Millisecond))})
		defer closeEngine(t, e)
		var seen []RequestResult
		r, err := e.RunStreaming(t.Context(), slow, func(r RequestResult) error { seen = append(seen, r); return nil })
		require.NoError(t, err)
		require.Len(t, seen, 100)
		slices.SortFunc(seen, func(a, b RequestResult) int { return a.Timestamp.Compare(b.Timestamp) })
		due := make(map[time.Duration]bool)
		for i, s := range seen {
			require.Equal(t, time.Millisecond, s.Latency)
			require.Equal(t, r.StartedAt.Add(time.Duration(i+1)*10*time.Millisecond), s.Timestamp)
			require.Equal(t, s.Ended().Sub(s.Intended()), s.ResponseTime())
			require.Equal(t, s.Lag+s.Latency, s.ResponseTime())
			at := s.Intended().Sub(r.StartedAt)
			require.Zero(t, at%(5*time.Millisecond))
			due[at] = true
		}
		require.Len(t, due, 100, "each has an arrival of its own")
		require.InEpsilon(t, time.Millisecond, r.ServiceQuantile(1), 0.001)
		require.Greater(t, r.LagQuantile(1), 10*time.Millisecond)
		require.InEpsilon(t, r.LagQuantile(1)+time.Millisecond, r.Quantile(1), 0.002)
		for _, name := range []string{"n0", "n1"} {
			require.EqualValues(t, 50, r.Endpoints[name].Requests)
			require.InEpsilon(t, time.Millisecond, r.Endpoints[name].ServiceQuantile(1), 0.001)
			require.Positive(t, r.Endpoints[name].LagQuantile(0.5))
		}
	})
}

// Of many arrivals that are due at once, when no worker is idle, one starts a worker at a
// time, and those that have ended a request come first: a generator that is late would
// otherwise open connections instead of using those that it has, and be later still.
func TestALateGeneratorUsesTheWorkersThatItHas(t *testing.T) {
	e, err := NewArrivalEngine(ArrivalConfig{Schedule: pace.Burst(10, time.Second), Client: Func(nop)})
	require.NoError(t, err)
	r := &run{engine: e.engine, feed: new(indexFeed), recorder: newRecorder(2), dog: new(deadline.Watchdog)}
	var started []*worker
	d := &dispatcher{
		run: r, start: func(w *worker) { started = append(started, w) },
		Arrivals: openloop.New(e.schedule, 0, 10, time.Hour, 100), timer: wake.New(time.Now()),
	}
	defer d.timer.Close()
	for range 3 {
		require.Zero(t, d.advanceTo(0, false), "there is more to do, after the others have run")
		require.Len(t, started, 1, "the first has not run yet")
	}
	a := started[0]
	require.EqualValues(t, 0, (<-a.handed).Number)
	d.accept(0)
	require.Len(t, started, 1, "it starts no other: dispatch does, once all have run that can")
	it, ok := d.next(a, 0)
	require.True(t, ok)
	require.EqualValues(t, 1, it.Number, "it has ended its request, and takes the next itself")
	d.advanceTo(0, false)
	require.Len(t, started, 2, "nobody is free")
	b := started[1]
	require.EqualValues(t, 2, (<-b.handed).Number)
	d.accept(0)
	for n := int64(3); n < 10; n++ {
		it, ok := d.next(b, 0)
		require.True(t, ok)
		require.Equal(t, n, it.Number)
	}
	_, ok = d.next(b, 0)
	require.False(t, ok)
	require.Equal(t, []*worker{b}, d.idle)
	require.Equal(t, 2, d.Peak)
	require.EqualValues(t, -1, d.advanceTo(0, false))
	_, ok = d.next(a, 0)
	require.False(t, ok)
	for _, w := range started {
		_, ok := <-w.handed
		require.False(t, ok, "each may end")
	}
}

// Idle workers hand out what is due among themselves, and dispatch goes on when they
// cannot.
func TestIdleWorkersHandOutWhatIsDue(t *testing.T) {
	e, err := NewArrivalEngine(ArrivalConfig{Schedule: pace.Burst(10, time.Second), Client: Func(nop)})
	require.NoError(t, err)
	r := &run{engine: e.engine, feed: new(indexFeed), recorder: newRecorder(2), dog: new(deadline.Watchdog)}
	d := &dispatcher{
		run: r, start: func(*worker) { t.Error("one is idle") },
		Arrivals: openloop.New(e.schedule, 0, 10, time.Hour, 100), timer: wake.New(time.Now()),
	}
	defer d.timer.Close()
	var idle []*worker
	for range 3 {
		w := r.newWorker()
		w.handed = make(chan openloop.Arrival, 1)
		idle = append(idle, w)
	}
	d.idle = slices.Clone(idle)
	require.EqualValues(t, math.MaxInt64, d.advanceTo(0, false))
	for n := range 3 {
		w := idle[2-n]
		require.EqualValues(t, n, (<-w.handed).Number, "the one that was busy last goes next")
		require.True(t, d.waiting)
		d.accept(0)
	}
	require.False(t, d.waiting)
	require.False(t, d.timer.WaitUntil(time.Hour), "dispatch is to come again")
	require.Equal(t, 3, d.Open)
}

// How long a run is to take, and how many requests it has, is what of its schedule and its
// source ends first.
func TestProgressKnowsTheEndOfAnOpenLoop(t *testing.T) {
	endless := pace.Constant(1000)
	for name, tt := range map[string]struct {
		schedule pace.Schedule
		source   Source
		planned  time.Duration
		size     int64
	}{
		"the schedule":           {endless.Until(time.Second), Cycle(), time.Second, 1000},
		"the source's size":      {endless, Times(50), 0, 50},
		"the smaller size":       {endless.Take(30), Times(50), 30 * time.Millisecond, 30},
		"the source's limit":     {endless, For(500 * time.Millisecond), 500 * time.Millisecond, 500},
		"the earlier limit":      {endless.Until(time.Second), For(500 * time.Millisecond), 500 * time.Millisecond, 500},
		"the schedule's, sooner": {endless.Until(300 * time.Millisecond), For(time.Second), 300 * time.Millisecond, 300},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				last, res, err := openLoop(t, ArrivalConfig{Schedule: tt.schedule, Client: Func(nop)}, func(e Engine) (*EngineResult, error) {
					return e.Run(t.Context(), tt.source)
				})
				require.NoError(t, err)
				require.Equal(t, tt.planned, last.Planned)
				require.Equal(t, tt.size, last.Size)
				require.Equal(t, tt.size, res.Requests)
				require.Zero(t, res.Unsent)
			})
		})
	}
}

// Of 2,000 that may be in flight, one or two are: that many workers have a session, and so
// a connection, each.
func TestFewInFlightHaveFewSessions(t *testing.T) {
	for took, want := range map[time.Duration]int64{5 * time.Millisecond: 1, 15 * time.Millisecond: 2} {
		synctest.Test(t, func(t *testing.T) {
			b := &bookkeeper{do: sleep(took)}
			e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(100).Until(10 * time.Second), MaxInFlight: 2000, Client: b})
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), Cycle(&Request{}))
			require.NoError(t, err)
			require.EqualValues(t, 1000, r.SuccessCount)
			require.Equal(t, want, b.opened.Load(), took)
		})
	}
}

// A breaker that refuses makes nothing pause: those that come next are refused too, by the
// same worker.
func TestARefusalDoesNotPauseAnOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{
			Schedule: pace.Constant(1000).Until(time.Second), Client: Func(func(context.Context) error { return errTest }),
			Breaker: newBreaker(t, resilience.BreakerConfig{Name: "b", FailureThreshold: 10}),
		})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Cycle(&Request{}))
		require.NoError(t, err)
		require.EqualValues(t, 990, r.RejectedCount)
		require.Equal(t, 1, r.PeakInFlight)
	})
}

// As many connections are opened as there are requests at once.
func TestFewInFlightOpenFewConnections(t *testing.T) {
	srv := fixtures.NewServer(t)
	for name, client := range map[string]func() Client{
		"net/http": func() Client { return NetHTTP(ConnectionConfig{}) },
		"wire":     func() Client { return Wire(ConnectionConfig{}) },
	} {
		t.Run(name, func(t *testing.T) {
			e := Start(t, ArrivalConfig{Schedule: pace.Constant(200), MaxInFlight: 2000, Client: client()})
			r, err := e.Run(t.Context(), Times(100, Get(srv.URL+"/get")))
			require.NoError(t, err)
			accounted(t, 100, r)
			require.EqualValues(t, 100, r.SuccessCount)
			require.LessOrEqual(t, r.ConnectionsOpened, int64(r.PeakInFlight))
		})
	}
}

func TestArrivalConfigReportsEveryFault(t *testing.T) {
	_, err := NewArrivalEngine(ArrivalConfig{Schedule: pace.Constant(-1), MaxInFlight: -1, MaxCatchUp: -1, Timeout: -1})
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorIs(t, err, pace.ErrSchedule)
	for _, want := range []string{"Schedule: ", "MaxInFlight is -1", "MaxCatchUp is -1ns", "Timeout is -1ns"} {
		require.ErrorContains(t, err, want)
	}
	_, err = NewArrivalEngine(ArrivalConfig{})
	require.ErrorContains(t, err, "Schedule has no arrivals")
}

// A session that cannot be opened ends the run as in a closed loop, and the arrival that
// it was for is not lost.
func TestASessionThatCannotBeOpenedEndsAnOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bookkeeper{do: sleep(20 * time.Millisecond), failAfter: 3}
		e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(1000), Client: b})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(100))
		require.ErrorIs(t, err, errTest)
		accounted(t, 100, r)
		require.EqualValues(t, 1, r.Canceled)
	})
}

// Whoever cancels a run with its last request has not cut it short.
func TestAnOpenLoopThatIsCanceledWithItsLastRequestIsComplete(t *testing.T) {
	for cancels, want := range map[int64]error{5: nil, 4: context.Canceled} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var calls atomic.Int64
			e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(10).Take(5), Client: Func(func(context.Context) error {
				if calls.Add(1) == cancels {
					cancel()
				}
				return nil
			})})
			defer closeEngine(t, e)
			r, err := e.Run(ctx, Cycle(&Request{}))
			require.ErrorIs(t, err, want)
			require.Equal(t, cancels, r.SuccessCount)
		})
	}
}

// An hour of arrivals takes no more memory than a minute of them.
func TestAnHourOfArrivalsTakesConstantMemory(t *testing.T) {
	if os.Getenv("BRUNT_SOAK") == "" {
		t.Skip("BRUNT_SOAK is not set")
	}
	heap := func(d time.Duration) (peak uint64) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2)) // of one worker at a time: requests do not overlap
			e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(1000).Until(d), Client: Func(func(ctx context.Context) error {
				return sleep(time.Duration(rng.Int64N(int64(900 * time.Microsecond))))(ctx)
			})})
			defer closeEngine(t, e)
			runtime.GC()
			r, err := e.Run(t.Context(), Cycle(&Request{Name: "a"}))
			require.NoError(t, err)
			require.EqualValues(t, d/time.Millisecond, r.Requests)
			for _, row := range r.Intervals[len(r.Intervals)/2:] {
				peak = max(peak, row.HeapBytes)
			}
		})
		return peak
	}
	minute, hour := heap(time.Minute), heap(time.Hour)
	t.Logf("peak heap in the second half: %d B of a minute, %d B of an hour", minute, hour)
	require.Less(t, hour, minute+4<<20)
}
