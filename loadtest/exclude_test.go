package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// coldService is a client that is slow and fails for its first d.
func coldService(d time.Duration) Client {
	var began atomic.Pointer[time.Time]
	return Func(func(context.Context) error {
		now := time.Now()
		began.CompareAndSwap(nil, &now)
		if now.Sub(*began.Load()) < d {
			time.Sleep(50 * time.Millisecond)
			return errors.New("cold")
		}
		time.Sleep(10 * time.Millisecond)
		return nil
	})
}

func sumOf(rows []Interval) (c Counts) {
	for _, row := range rows {
		c.add(row.Counts)
	}
	return c
}

// What is due in the warm-up and in the ramp-down is sent but in no count, and the time of
// the result is that of what is counted. Each is told apart in a row of its own.
func TestExcludedRequestsOfAnOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{
			Client: coldService(2500 * time.Millisecond), Schedule: pace.Constant(100).Until(10 * time.Second),
			Exclude: Exclude{WarmUp: 2500 * time.Millisecond, RampDown: 1500 * time.Millisecond},
		})
		defer closeEngine(t, e)
		var counted, excluded int
		var last Progress
		began := time.Now()
		r, err := e.RunStreaming(t.Context(), Cycle(&Request{Name: "a"}), func(r RequestResult) error {
			if r.Excluded {
				excluded++
			} else {
				counted++
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, Counts{Scheduled: 600, Requests: 600, SuccessCount: 600}, r.Counts)
		require.Equal(t, 600, counted)
		require.Equal(t, 400, excluded)
		require.EqualValues(t, 600, r.Endpoints["a"].Requests)
		require.Equal(t, 10*time.Millisecond, r.Quantile(1))
		require.Equal(t, began.Add(2500*time.Millisecond), r.StartedAt)
		require.Equal(t, 6*time.Second, r.Elapsed)
		require.InDelta(t, 100, r.RPS(), 1e-9)
		require.Empty(t, r.Errors)
		require.Empty(t, r.ErrorExamples)
		require.Equal(t, r.Counts, sumOf(r.Intervals))
		require.Zero(t, r.Intervals[0].From)
		require.Equal(t, 500*time.Millisecond, r.Intervals[0].To)
		for i, row := range r.Intervals[1:] {
			require.Equal(t, r.Intervals[i].To, row.From)
			require.False(t, row.Excluded)
		}
		left := sumOf(r.Excluded)
		require.EqualValues(t, 400, left.Scheduled)
		require.EqualValues(t, 400, left.Requests)
		require.EqualValues(t, 250, left.ErrorCount)
		require.Equal(t, -2500*time.Millisecond, r.Excluded[0].From)
		for _, row := range r.Excluded {
			require.True(t, row.Excluded)
			require.True(t, row.To <= 0 || row.From >= 5*time.Second, "%v to %v", row.From, row.To)
		}
		require.Equal(t, VerdictPass, SLO{P50: 20 * time.Millisecond}.Judge(r).Kind)
		require.Contains(t, r.String(), "  excluded  250 requests before what is counted, 150 after\n")
		require.Zero(t, last.Requests)

		data, err := json.Marshal(r)
		require.NoError(t, err)
		var back EngineResult
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, r.Excluded, back.Excluded)
		back.Merge(r)
		require.EqualValues(t, 1200, back.Requests)
		require.EqualValues(t, 800, sumOf(back.Excluded).Requests)
		require.Equal(t, 6*time.Second, back.Elapsed)
	})
}

// What begins in the warm-up may end after it, in an interval that began with its end.
func TestAnExcludedIntervalThatBeginsWithTheWarmUpsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ThreadedConfig{
			Client: Func(sleep(700 * time.Millisecond)), MaxWorkers: 1, Exclude: Exclude{WarmUp: 2 * time.Second},
		})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(10, &Request{}))
		require.NoError(t, err)
		require.EqualValues(t, 7, r.Requests)
		require.EqualValues(t, 3, sumOf(r.Excluded).Requests)
		var ends []time.Duration
		for _, row := range r.Excluded {
			ends = append(ends, row.From, row.To)
		}
		require.Equal(t, []time.Duration{-2 * time.Second, -time.Second, -time.Second, 0, 0, time.Second}, ends)
	})
}

// In a closed loop what begins in the warm-up is not counted, or the first so many
// requests, and nothing counts as unsent for it.
func TestExcludedRequestsOfAClosedLoop(t *testing.T) {
	for name, tt := range map[string]struct {
		exclude Exclude
		src     Source
		n       int64
		begins  time.Duration
		elapsed time.Duration
	}{
		"time":      {Exclude{WarmUp: time.Second}, Times(1000, &Request{}), 1000 - 40, time.Second, 960 * 10 * time.Millisecond / 2},
		"number":    {Exclude{WarmUpRequests: 40}, Times(1000, &Request{}), 960, time.Second, 960 * 10 * time.Millisecond / 2},
		"both":      {Exclude{WarmUp: time.Second, WarmUpRequests: 240}, Times(1000, &Request{}), 760, 2 * time.Second, 760 * 10 * time.Millisecond / 2},
		"ramp-down": {Exclude{RampDown: 2 * time.Second}, For(4*time.Second, &Request{}), 40 + 200, 0, 2 * time.Second},
		"all":       {Exclude{WarmUpRequests: 5000}, Times(1000, &Request{}), 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var last Progress
				e := newEngine(t, ThreadedConfig{Client: coldService(time.Second), MaxWorkers: 2, Exclude: tt.exclude, OnProgress: func(p Progress) { last = p }})
				defer closeEngine(t, e)
				began := time.Now()
				r, err := e.Run(t.Context(), tt.src)
				require.NoError(t, err)
				require.Equal(t, tt.n, r.Requests)
				require.Zero(t, r.Unsent)
				require.Equal(t, began.Add(tt.begins), r.StartedAt)
				if tt.n > 0 {
					require.Equal(t, tt.elapsed, r.Elapsed)
				}
				require.Equal(t, r.Counts, sumOf(r.Intervals))
				require.Equal(t, r.Counts, last.Counts)
				if tt.n > 0 && tt.exclude.WarmUpRequests == 0 {
					require.InEpsilon(t, float64(tt.n)/(last.Elapsed-tt.exclude.WarmUp).Seconds(), last.RPS, 1e-9)
				}
				var end time.Duration
				for i, row := range r.Intervals {
					require.Equal(t, end, row.From, "none is of the warm-up")
					require.Greater(t, row.To, row.From)
					require.Equal(t, row.From, r.blocks[i].From)
					require.Equal(t, row.To, r.blocks[i].To)
					end = row.To
				}
				require.NotZero(t, sumOf(r.Excluded).Requests)
			})
		})
	}
}

// At every kind of end what is excluded and what is not make up the whole.
func TestExcludedRequestsAreAccountedForAtEveryEnd(t *testing.T) {
	for _, ending := range endings {
		t.Run(ending.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, ArrivalConfig{
					Client: sleeps(300 * time.Millisecond), Schedule: pace.Constant(100).Until(5 * time.Second), MaxInFlight: 20,
					Exclude: Exclude{WarmUp: 700 * time.Millisecond, WarmUpRequests: 90, RampDown: time.Second},
				})
				defer closeEngine(t, e)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(1505*time.Millisecond, func() { go ending.end(t, e, cancel) })
				var n int
				r, err := e.RunStreaming(ctx, Cycle(&Request{}, Walk("w", func(_ context.Context, u *User) error {
					_, err := u.Do(&Request{})
					return errors.Join(err, u.Pause(100*time.Millisecond))
				})), func(RequestResult) error {
					if n++; ending.sink != nil && n == 60 {
						return ending.sink
					}
					return nil
				})
				require.ErrorIs(t, err, ending.err)
				left := sumOf(r.Excluded)
				require.Equal(t, left.Scheduled, left.Ended())
				require.NotZero(t, left.Scheduled)
				require.Equal(t, left.Requests+r.Requests, left.SuccessCount+left.ErrorCount+r.SuccessCount+r.ErrorCount)
				// Of users that began apart, some of what they sent is counted.
				require.Equal(t, r.Scheduled+left.Scheduled, r.Ended()+left.Ended())
				require.EqualValues(t, 90, left.Scheduled-max(0, left.Scheduled-90))
				if ending.err == nil {
					require.EqualValues(t, 500, r.Scheduled+left.Scheduled)
					require.EqualValues(t, 500-90-100, r.Scheduled)
				}
			})
		})
	}
}

// Records know what is not counted, so that a result made of them is that of the run.
func TestRecordsOfExcludedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		sink, err := NewSink(NewJSONL(&out), SinkConfig{})
		require.NoError(t, err)
		e := newEngine(t, SyncConfig{Client: sleeps(time.Millisecond), Exclude: Exclude{WarmUpRequests: 30}})
		defer closeEngine(t, e)
		r, err := Record(t.Context(), e, Times(100), sink)
		require.NoError(t, err)
		require.NoError(t, sink.Close(t.Context()))
		require.EqualValues(t, 70, r.Requests)
		back, err := ReadJSONL(&out)
		require.NoError(t, err)
		require.Equal(t, r.Counts, back.Counts)
		require.WithinDuration(t, r.StartedAt, back.StartedAt, time.Microsecond)
	})
}

func TestExcludeIsValidated(t *testing.T) {
	bad := Exclude{WarmUp: -1, WarmUpRequests: -1, RampDown: -1}
	for _, cfg := range []EngineConfig{SyncConfig{Exclude: bad}, ThreadedConfig{Exclude: bad}, AsyncConfig{Exclude: bad}, ArrivalConfig{Exclude: bad}} {
		err := cfg.Validate()
		require.ErrorIs(t, err, ErrConfig)
		for _, field := range []string{"WarmUp is -1ns", "WarmUpRequests is -1", "RampDown is -1ns"} {
			require.ErrorContains(t, err, "Exclude."+field)
		}
	}
	e := newEngine(t, SyncConfig{Client: sleeps(0), Exclude: Exclude{WarmUp: time.Second, RampDown: time.Second}})
	defer closeEngine(t, e)
	_, err := e.Run(t.Context(), Times(1))
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "the run has no known length; limit it with Until")
	_, err = e.Run(t.Context(), For(2*time.Second, &Request{}))
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "leaves nothing to count: WarmUp is 1s and RampDown 1s of a run of 2s")
}

// The seconds of a warm-up have no cause: a cold service is no service that became faster.
func TestAWarmUpHasNoCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{
			Client: coldService(5 * time.Second), Schedule: pace.Constant(100).Until(12 * time.Second), Exclude: Exclude{WarmUp: 5 * time.Second},
		})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Cycle(&Request{}))
		require.NoError(t, err)
		require.Empty(t, r.Causes)
		e = newEngine(t, ArrivalConfig{Client: coldService(5 * time.Second), Schedule: pace.Constant(100).Until(12 * time.Second)})
		defer closeEngine(t, e)
		r, err = e.Run(t.Context(), Cycle(&Request{}))
		require.NoError(t, err)
		require.NotEmpty(t, r.Causes, "without one it is")
	})
}

// The time of the result begins with the first user that is counted, not with its first
// request: it may pause before, and may send none.
func TestTheTimeOfUsersBeginsWithTheFirstThatIsCounted(t *testing.T) {
	for name, cfg := range map[string]EngineConfig{
		"closed": SyncConfig{Client: sleeps(0), Exclude: Exclude{WarmUpRequests: 3}},
		"open":   ArrivalConfig{Client: sleeps(0), Schedule: pace.Constant(1).Take(5), Exclude: Exclude{WarmUpRequests: 3}},
	} {
		for _, sends := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, cfg)
				defer closeEngine(t, e)
				began := time.Now()
				r, err := e.Run(t.Context(), Times(5, Walk("w", func(_ context.Context, u *User) error {
					err := u.Pause(time.Second)
					if sends {
						_, err = u.Do(&Request{})
					}
					return err
				})))
				require.NoError(t, err)
				require.EqualValues(t, 2, r.Users)
				require.Equal(t, began.Add(3*time.Second), r.StartedAt, name)
				require.Equal(t, 2*time.Second, r.Elapsed, name)
			})
		}
	}
}

// In an open loop the time begins with the first arrival that is counted, though it be
// dropped; and what is excluded is the same for an arrival and for what it sent, whatever
// number a Seq gives to that.
func TestExcludedArrivalsOfASeq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{
			Client: sleeps(3500 * time.Millisecond), Schedule: pace.Constant(1).Take(20), MaxInFlight: 1, Exclude: Exclude{WarmUpRequests: 10},
		})
		defer closeEngine(t, e)
		began := time.Now()
		r, err := e.Run(t.Context(), Seq(func(yield func(*Request) bool) {
			for yield(&Request{}) {
			}
		}))
		require.NoError(t, err)
		require.Equal(t, began.Add(10*time.Second), r.StartedAt)
		left := sumOf(r.Excluded)
		require.EqualValues(t, 10, r.Scheduled)
		require.EqualValues(t, 10, left.Scheduled)
		require.Equal(t, r.Scheduled, r.Ended())
		require.Equal(t, left.Scheduled, left.Ended())
	})
}

// A user that is not counted is no example of why users fail.
func TestAnExcludedUserIsNoExample(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0), Exclude: Exclude{WarmUpRequests: 3}})
	defer closeEngine(t, e)
	for _, counted := range []int64{3, 4} { // 3: one that is counted fails too
		r, err := e.Run(t.Context(), Times(5, Walk("w", func(_ context.Context, u *User) error {
			if u.Number() < 3 {
				return errors.New("cold")
			}
			if u.Number() == counted {
				return errTest
			}
			return nil
		})))
		require.NoError(t, err)
		require.EqualValues(t, 1, r.UsersFailed)
		require.Equal(t, errTest.Error(), r.Scenarios["w"].Error)
	}
}

// An interval in which users send but none comes to its end is one all the same.
func TestIntervalsInWhichNoUserEnds(t *testing.T) {
	for name, cfg := range map[string]EngineConfig{
		"closed": SyncConfig{Client: sleeps(time.Millisecond), Exclude: Exclude{WarmUpRequests: 1}},
		"open":   ArrivalConfig{Client: sleeps(time.Millisecond), Schedule: pace.Constant(0.1).Take(2), Exclude: Exclude{WarmUpRequests: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, cfg)
				defer closeEngine(t, e)
				r, err := e.Run(t.Context(), Times(2, Walk("w", func(_ context.Context, u *User) error {
					for range 4 {
						_, err := u.Do(&Request{})
						if err := errors.Join(err, u.Pause(1500*time.Millisecond)); err != nil {
							return err
						}
					}
					return nil
				})))
				require.NoError(t, err)
				require.EqualValues(t, 4, r.Requests)
				require.Equal(t, r.Counts, sumOf(r.Intervals))
				require.EqualValues(t, 4, sumOf(r.Excluded).Requests)
				require.EqualValues(t, 1, sumOf(r.Excluded).Users)
			})
		})
	}
}

// What is excluded is over at the end of a run, whatever was in flight between two
// intervals: nothing is taken for sent twice, and nothing is unsent.
func TestExcludedRequestsAcrossIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{
			Client: sleeps(1500 * time.Millisecond), Schedule: pace.Constant(10).Take(100), Exclude: Exclude{WarmUp: 3 * time.Second},
		})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Cycle(&Request{}))
		require.NoError(t, err)
		require.EqualValues(t, 70, r.Requests)
		require.EqualValues(t, 30, sumOf(r.Excluded).Requests)
		require.Zero(t, r.Unsent)
		require.EqualValues(t, 100, r.begun())
	})
}

// The phases and the server's time of what is not counted are those of no other request.
func TestPhasesOfExcludedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Exclude: Exclude{WarmUpRequests: 3}, Client: Func(func(ctx context.Context) error {
			CountPhase(ctx, PhaseHeaders, time.Second)
			return nil
		})})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(5))
		require.NoError(t, err)
		require.EqualValues(t, 2, r.PhaseCount(PhaseHeaders))
		require.Equal(t, time.Second, r.PhaseQuantile(PhaseHeaders, 1).Round(10*time.Millisecond))
	})
}

func TestServerTimesOfExcludedRequests(t *testing.T) {
	e := newEngine(t, SyncConfig{Exclude: Exclude{WarmUpRequests: 3}, Client: &service{answer: func(context.Context, int64) (Response, error) {
		return Response{StatusCode: 200, Header: http.Header{"Server-Timing": {"total;dur=5"}}}, nil
	}}})
	defer closeEngine(t, e)
	timed := Get("http://h/")
	timed.ServerTime = &ServerTime{}
	r, err := e.Run(t.Context(), Times(5, timed))
	require.NoError(t, err)
	reported, missing := r.ServerTimes()
	require.EqualValues(t, 2, reported)
	require.Zero(t, missing)
}

// It is when a request was due that decides, not when it was sent: here the generator falls
// behind, as its source takes twice as long as there is.
func TestALateRequestIsExcludedByWhenItWasDue(t *testing.T) {
	for name, x := range map[string]Exclude{"time": {WarmUp: 100 * time.Millisecond}, "number": {WarmUpRequests: 20}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, ArrivalConfig{Schedule: pace.Constant(200).Take(100), Client: sleeps(time.Millisecond), Exclude: x})
				defer closeEngine(t, e)
				began := time.Now()
				r, err := e.Run(t.Context(), Seq(func(yield func(*Request) bool) {
					for range 100 {
						time.Sleep(10 * time.Millisecond)
						if !yield(&Request{}) {
							return
						}
					}
				}))
				require.NoError(t, err)
				require.Equal(t, began.Add(100*time.Millisecond), r.StartedAt)
				require.EqualValues(t, 80, r.Requests)
				require.EqualValues(t, 20, sumOf(r.Excluded).Requests)
			})
		})
	}
}

// An interval in which nothing was counted belongs to what is excluded, or is one of those
// that are counted: a second without a request.
func TestAnEmptyIntervalIsCountedOrNot(t *testing.T) {
	const s = time.Second
	between := counted{any: true, from: 2 * s, to: 8 * s}
	begins := counted{any: true, first: 5}
	for _, tt := range []struct {
		c        counted
		from, to time.Duration
		none     bool // nothing was counted before
		want     bool
	}{
		{between, 1 * s, 2*s - 1, true, true},
		{between, 1 * s, 2 * s, true, true},
		{between, 1 * s, 2*s + 1, true, false},
		{between, 3 * s, 4 * s, true, false},
		{between, 3 * s, 4 * s, false, false},
		{between, 8*s - 1, 9 * s, false, false},
		{between, 8 * s, 9 * s, false, true},
		{between, 8*s + 1, 9 * s, false, true},
		{begins, 1 * s, 2 * s, true, true},
		{begins, 1 * s, 2 * s, false, false},
		{begins, 100 * s, 101 * s, false, false},
		{counted{any: true, to: 8 * s}, 1 * s, 2 * s, true, false},
		{counted{any: true, to: 8 * s}, 8 * s, 9 * s, true, true},
		{counted{any: true, from: 2 * s}, 3 * s, 4 * s, false, false},
		{counted{}, 0, 0, true, false},
	} {
		require.Equal(t, tt.want, tt.c.outside(tt.from, tt.to, tt.none), "%+v", tt)
	}
}
