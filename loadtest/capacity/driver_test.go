package capacity

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// service is a function with room for so many calls at once, of which each takes the
// same time. The others wait in a queue.
func service(workers int, each time.Duration) func(context.Context) error {
	room := make(chan struct{}, workers)
	return func(ctx context.Context) error {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-room }()
		time.Sleep(each)
		return nil
	}
}

// function returns options for a search of f.
func function(f func(context.Context) error, p99 time.Duration) Options {
	return Options{SLO: loadtest.SLO{P99: p99}, Engine: loadtest.ArrivalConfig{Client: loadtest.Func(f)}}
}

// deterministic computes what a trial of a second at a rate loses: arrivals at equal
// distances at so many workers that take the same time each.
func deterministic(rate float64, workers int, each, limit time.Duration) float64 {
	free := make([]float64, workers)
	n, lost := 0, 0
	for i := 0; float64(i) < rate; i++ {
		due := float64(i) / rate
		w := i % workers
		free[w] = max(free[w], due) + each.Seconds()
		n++
		if free[w]-due > limit.Seconds()*1.0005 {
			lost++
		}
	}
	return float64(lost) / float64(n)
}

// In virtual time nothing disturbs a search, and it finds the truth exactly: of the rates
// that it may try the last that passes, and the first that fails.
func TestSearchFindsAKnownCapacity(t *testing.T) {
	for _, c := range []struct {
		workers int
		each    time.Duration
		limit   time.Duration
	}{
		{10, 10 * time.Millisecond, 50 * time.Millisecond},
		{1, 5 * time.Millisecond, 20 * time.Millisecond},
		{40, 20 * time.Millisecond, 30 * time.Millisecond},
		{200, 100 * time.Millisecond, 150 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			o := function(service(c.workers, c.each), c.limit)
			r, err := Search(t.Context(), o)
			require.NoError(t, err, r)
			requireByDefinition(t, o.config(), r)
			requireJSON(t, r)
			require.LessOrEqual(t, time.Since(began), 40*time.Second)
			bad := func(rate float64) bool { return deterministic(rate, c.workers, c.each, c.limit) > 0.01 }
			require.False(t, bad(r.Lower), r)
			require.True(t, bad(r.Upper), r)
			require.InDelta(t, 0.02, (r.Upper-r.Lower)/r.Upper, 1e-9)
			require.LessOrEqual(t, r.Capacity, r.Lower)
			require.GreaterOrEqual(t, r.Capacity, 0.99*r.Lower)
			for _, trial := range r.Trials {
				if trial.Kind == TrialCounted {
					require.InDelta(t, deterministic(trial.Rate, c.workers, c.each, c.limit), trial.Losses[0], 0.003, "%v/s\n%v", trial.Rate, r)
				}
			}
			last := r.Trials[len(r.Trials)-1]
			require.Equal(t, TrialControl, last.Kind)
			require.InDelta(t, headroom*r.Upper, last.Rate, 0)
		})
	}
}

// Errors count as lost where times are limited, and a limit of their own is a second goal
// over the same trials. Here it is the stricter one.
func TestErrorsAreASecondGoal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := service(10, 10*time.Millisecond)
		var calls atomic.Int64
		o := function(func(ctx context.Context) error {
			if n := calls.Add(1); n > 600 && n%100 == 0 {
				return errPlanted
			}
			return work(ctx)
		}, 50*time.Millisecond)
		o.OnTrial = func(Trial) { calls.Store(0) }
		lax, err := Search(t.Context(), o)
		require.NoError(t, err, lax)
		require.Len(t, lax.Goals, 1)
		o.SLO.MaxErrorRate = 0.002
		r, err := Search(t.Context(), o)
		require.NoError(t, err, r)
		require.Equal(t, []string{"p99 ≤ 50ms", "errors ≤ 0.2 %"}, []string{r.Goals[0].Name, r.Goals[1].Name})
		require.Equal(t, []float64{r.Lower, r.Upper}, []float64{r.Goals[1].Lower, r.Goals[1].Upper})
		require.Greater(t, r.Goals[0].Lower, r.Lower)
		require.InDelta(t, 800, r.Upper, 20, "two errors, of which the probes' take part of the calls: %v", r)
		require.Greater(t, lax.Lower, 1.2*r.Upper)
		require.Contains(t, r.String(), "bad: 2 of 802 failed, other: planted")
	})
}

// Irregular ends are named, and are no number.
func TestIrregularEnds(t *testing.T) {
	slow := func(context.Context) error { time.Sleep(5 * time.Second); return nil }
	quick := func(context.Context) error { time.Sleep(time.Millisecond); return nil }
	for _, c := range []struct {
		name    string
		service func() func(context.Context) error
		change  func(*Options)
		want    error
		says    string
	}{
		{
			"nothing works", func() func(context.Context) error { return func(context.Context) error { return errPlanted } },
			nil, ErrMinRate, "one request at a time: 1 of 1 failed, other: planted",
		},
		{"everything is too slow", func() func(context.Context) error { return slow }, nil, ErrMinRate, "of 5 requests, one at a time, the quickest took 5s: p99 ≤ 50ms"},
		{
			"more than one a second is too much", func() func(context.Context) error { return service(1, 900*time.Millisecond) },
			func(o *Options) { o.SLO.P99, o.MinRate, o.Engine.Timeout = time.Second, 2, 2*time.Second }, ErrMinRate, ": 2/s",
		},
		{"everything passes", func() func(context.Context) error { return quick }, func(o *Options) { o.MaxRate = 300 }, ErrMaxRate, ": 300/s"},
		{
			"no time", func() func(context.Context) error { return service(10, 10*time.Millisecond) },
			func(o *Options) { o.Budget = 8 * time.Second }, ErrBudget, "by trials of 2s a rate of 1,022/s passes",
		},
		{"no time at all", func() func(context.Context) error { return quick }, func(o *Options) { o.Budget = 1 }, ErrBudget, "no rate is known"},
		{"a generator with too little room", func() func(context.Context) error {
			return func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }
		}, func(o *Options) { o.SLO.P99, o.Engine.MaxInFlight = 150*time.Millisecond, 10 }, ErrGenerator, "raise MaxInFlight"},
		{
			"a generator that is no better", func() func(context.Context) error { return service(10, 10*time.Millisecond) },
			func(o *Options) { o.Null = loadtest.Call("null", slow) }, ErrGenerator, "the generator alone, with nothing to wait for, misses it at 1,304/s",
		},
		{
			"a check that does not work", func() func(context.Context) error { return service(10, 10*time.Millisecond) },
			func(o *Options) {
				o.Null = loadtest.Call("null", func(context.Context) error { return errPlanted })
			}, ErrGenerator, "set Null, for example",
		},
		{"no recovery", func() func(context.Context) error {
			var calls atomic.Int64
			return func(context.Context) error {
				if calls.Add(1) > 100 {
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Millisecond)
				return nil
			}
		}, nil, ErrUnsettled, "a single request took 21ms, where it took 1ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := function(c.service(), 50*time.Millisecond)
				if c.change != nil {
					c.change(&o)
				}
				r, err := Search(t.Context(), o)
				require.ErrorIs(t, err, c.want, "%v", r)
				require.ErrorContains(t, err, c.says)
				require.Zero(t, r.Capacity)
				require.Equal(t, err, r.Err())
				var end *EndError
				require.ErrorAs(t, err, &end)
				require.Contains(t, r.String(), c.says)
				requireJSON(t, r)
			})
		})
	}
}

// requireJSON requires that r is the same after it was written and read.
func requireJSON(t *testing.T, r Result) {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back Result
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, r, back)
	if r.End != nil {
		require.Same(t, r.End.Reason, back.End.Reason)
	}
}

// A service that still works off what came too much is not asked again before it has.
func TestTheServiceSettlesBetweenTrials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const recovery = 700 * time.Millisecond
		work := service(10, 10*time.Millisecond)
		var overloaded atomic.Int64 // when, in nanoseconds since epoch
		var open atomic.Int64
		epoch := time.Now().Add(-time.Hour)
		var trials []time.Time
		o := function(func(ctx context.Context) error {
			defer open.Add(-1)
			if open.Add(1) > 40 {
				overloaded.Store(int64(time.Since(epoch)))
			}
			if time.Since(epoch)-time.Duration(overloaded.Load()) < recovery {
				time.Sleep(50 * time.Millisecond)
			}
			return work(ctx)
		}, 50*time.Millisecond)
		o.OnTrial = func(trial Trial) {
			began := time.Now().Add(-trial.Elapsed)
			if n := len(trials); n > 0 {
				require.False(t, began.Before(trials[n-1]), "trials do not overlap")
			}
			trials = append(trials, time.Now())
			require.GreaterOrEqual(t, trial.Elapsed, trial.Duration)
		}
		r, err := Search(t.Context(), o)
		require.NoError(t, err, r)
		require.Len(t, trials, len(r.Trials))
		for i, trial := range r.Trials {
			if trial.Kind == TrialCounted && trial.Rate <= r.Lower {
				require.Zero(t, trial.Losses[0], "trial %d: what came before has no effect\n%v", i, r)
			}
		}
	})
}

// A search can be canceled at any time: its result has what was done, and nothing
// remains.
func TestACanceledSearch(t *testing.T) {
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 500 * time.Millisecond, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			if after == 0 {
				cancel(errPlanted)
			}
			time.AfterFunc(after, func() { cancel(errPlanted) })
			began := time.Now()
			r, err := Search(ctx, function(service(10, 10*time.Millisecond), 50*time.Millisecond))
			require.ErrorIs(t, err, errPlanted)
			require.ErrorIs(t, r.Err(), errPlanted)
			require.Zero(t, r.Capacity)
			require.Less(t, time.Since(began), after+time.Second)
			require.Equal(t, after > time.Second, len(r.Trials) > 0)
		})
	}
}

// A panic in a user's code comes out of Search, which leaves nothing behind.
func TestAPanicInASearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		require.Panics(t, func() {
			_, _ = Search(t.Context(), function(func(context.Context) error {
				if calls.Add(1) == 500 {
					panic(errPlanted)
				}
				time.Sleep(time.Millisecond)
				return nil
			}, 50*time.Millisecond))
		})
		o := function(service(1, time.Millisecond), 50*time.Millisecond)
		o.OnTrial = func(Trial) { panic(errPlanted) }
		require.PanicsWithError(t, "planted", func() { _, _ = Search(t.Context(), o) })
	})
}

// Any source will do that has no end.
func TestSourcesOfASearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := loadtest.Call("a", service(5, 40*time.Millisecond)), loadtest.Call("b", service(5, 40*time.Millisecond))
		o := function(func(context.Context) error { t.Error("not asked for"); return nil }, 200*time.Millisecond)
		o.Null = loadtest.Call("null", func(context.Context) error { return nil })
		var capacities []float64
		for _, src := range []loadtest.Source{
			{},
			loadtest.Cycle(a, b), loadtest.Mix(loadtest.Weighted{Weight: 1, Request: a}, loadtest.Weighted{Weight: 1, Request: b}),
			loadtest.Pick(func(i int64) *loadtest.Request { return []*loadtest.Request{a, b}[i%2] }),
			loadtest.Seq(func(yield func(*loadtest.Request) bool) {
				for yield(a) {
					if !yield(b) {
						return
					}
				}
			}),
		} {
			var reqs []*loadtest.Request
			if o.Source = src; len(capacities) == 0 {
				reqs = []*loadtest.Request{a, b}
			}
			r, err := Search(t.Context(), o, reqs...)
			require.NoError(t, err, r)
			capacities = append(capacities, r.Capacity)
			require.InDelta(t, capacities[0], r.Capacity, 0.03*r.Capacity)
		}
		o.Source = loadtest.Times(1, a)
		_, err := Search(t.Context(), o, a, b)
		require.NoError(t, err, "requests come before a source")
		o.Source = loadtest.Times(500, a)
		_, err = Search(t.Context(), o)
		require.ErrorContains(t, err, "the source has ended after 500 of ")
		o.Source = loadtest.Times(0)
		_, err = Search(t.Context(), o)
		require.ErrorIs(t, err, loadtest.ErrEmptySource)
	})
}

// Arrivals at random find a queue where even ones find none.
func TestArrivalsAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := function(service(1, 5*time.Millisecond), 20*time.Millisecond)
		even, err := Search(t.Context(), o)
		require.NoError(t, err)
		seed := uint64(0)
		o.Arrivals = func(rate float64) pace.Schedule { seed++; return pace.Poisson(rate, seed) }
		random, err := Search(t.Context(), o)
		require.NoError(t, err, random)
		require.Less(t, random.Upper, even.Lower)
	})
}

func TestOptionsValidateReportsEveryFault(t *testing.T) {
	require.NoError(t, function(service(1, 1), time.Second).Validate())
	err := Options{
		SLO:     loadtest.SLO{MaxErrorRate: 1, MinRPS: 5, MaxStall: 1, Endpoints: map[string]loadtest.SLO{"a": {P99: -1}}},
		Engine:  loadtest.ArrivalConfig{Schedule: pace.Constant(1), MaxInFlight: -1, OnProgress: func(loadtest.Progress) {}},
		MinRate: 10, MaxRate: 5, Width: 2, ExceedRatio: 1, TrialDuration: -1, DurationSum: -2, Budget: -1, Settle: -1,
	}.Validate()
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorIs(t, err, loadtest.ErrConfig)
	for _, want := range []string{
		"SLO has no limit on response times", "SLO.MaxErrorRate is 1", "SLO.MinRPS is set", "SLO.MaxStall is set", "SLO.Endpoints is set", "P99 is -1ns",
		"Engine.Schedule is set", "OnProgress", "MaxInFlight is -1", "MinRate is 10 and MaxRate 5", "Width is 2",
		"ExceedRatio is 1", "TrialDuration is -1ns", "DurationSum is -2ns", "Budget is -1ns", "Settle is -1ns",
	} {
		require.ErrorContains(t, err, want)
	}
	_, searched := Search(t.Context(), Options{})
	require.ErrorIs(t, searched, ErrConfig)
	var none context.Context
	_, searched = Search(none, Options{})
	require.ErrorIs(t, searched, loadtest.ErrNilContext)
}

var errPlanted = errors.New("planted")

// localError is a request that did not reach the service.
type localError struct{ error }

func (localError) ErrorClass() loadtest.ErrorClass { return loadtest.ClassLocal }

// Trials that the generator has spoiled are repeated, at the expense of the budget, as
// long as not too many in a row are.
func TestSpoiledTrialsAreRepeated(t *testing.T) {
	for _, c := range []struct {
		budget time.Duration
		want   error
	}{{2 * time.Minute, nil}, {18 * time.Second, ErrBudget}} {
		synctest.Test(t, func(t *testing.T) {
			var spoiled atomic.Bool
			var calls atomic.Int64
			work := service(10, 10*time.Millisecond)
			o := function(func(ctx context.Context) error {
				if spoiled.Load() && calls.Add(1)%20 == 0 {
					return localError{errPlanted}
				}
				return work(ctx)
			}, 50*time.Millisecond)
			o.Budget = c.budget
			trials := 0
			o.OnTrial = func(Trial) { trials++; spoiled.Store(trials%3 > 0) }
			began := time.Now()
			r, err := Search(t.Context(), o)
			require.ErrorIs(t, err, c.want, "%v", r)
			if c.want != nil {
				require.LessOrEqual(t, time.Since(began), c.budget+time.Second)
				return
			}
			requireByDefinition(t, o.config(), r)
			invalid := 0
			for _, trial := range r.Trials {
				if trial.Kind == TrialInvalid {
					invalid++
					require.Contains(t, trial.Note, "local limits")
				}
			}
			require.GreaterOrEqual(t, invalid, 2*maxInvalid)
		})
	}
}

// The check of the generator is within the budget, too, and the first trial does not
// flood the service.
func TestSearchKeepsToItsBudget(t *testing.T) {
	found, searches := 0, 0
	for budget := 8 * time.Second; budget <= 20*time.Second; budget += 900 * time.Millisecond {
		searches++
		synctest.Test(t, func(t *testing.T) {
			var open, most atomic.Int64
			work := service(10, 20*time.Millisecond) // slow, so that the trials are of few requests
			o := function(func(ctx context.Context) error {
				most.Store(max(most.Load(), open.Add(1)))
				defer open.Add(-1)
				return work(ctx)
			}, 100*time.Millisecond)
			o.Budget = budget
			trials := 0
			o.OnTrial = func(Trial) {
				if trials++; trials == 1 {
					require.LessOrEqual(t, most.Load(), int64(2*guessInFlight))
				}
			}
			began := time.Now()
			r, err := Search(t.Context(), o)
			if err == nil {
				found++
			} else {
				require.ErrorIs(t, err, ErrBudget)
			}
			require.LessOrEqual(t, time.Since(began), budget+500*time.Millisecond, r)
		})
	}
	require.Positive(t, found)
	require.Less(t, found, searches)
}
