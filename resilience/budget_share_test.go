package resilience

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// shareOracle is the documentation of retryShare written down a second time: lists
// of instants, and integers instead of floats.
type shareOracle struct {
	percent, perSecond, bucket int64
	requests, begun            []int64
	held                       int64
}

func (o *shareOracle) recent(instants []int64, now int64) (n int64) {
	for _, at := range instants {
		if now/o.bucket-at/o.bucket < windowBuckets {
			n++
		}
	}
	return n
}

func (o *shareOracle) hold(now int64) bool {
	retries := o.recent(o.begun, now) + o.held + 1
	// Both sides times 100 × 1e9, so that nothing is divided.
	if retries*100*1e9 > o.percent*o.recent(o.requests, now)*1e9+100*o.perSecond*o.bucket*windowBuckets {
		return false
	}
	o.held++
	return true
}

func newShareBudget(ratio, minPerSecond float64, length time.Duration) (*retryShare, *retryBudget) {
	s := newRetryShare(ratio, minPerSecond, length)
	return s, &retryBudget{log: s}
}

func TestShareAgainstOracle(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var allowed, refused int
	for range 300 {
		o := &shareOracle{percent: 1 + r.Int64N(100), perSecond: r.Int64N(4), bucket: int64(1+r.IntN(20)) * 1e8}
		s, b := newShareBudget(float64(o.percent)/100, float64(o.perSecond), time.Duration(o.bucket*windowBuckets))
		var now int64
		for range 300 {
			switch op := r.IntN(16); {
			case op < 6:
				o.requests = append(o.requests, now)
				s.request(time.Duration(now))
			case op < 11:
				want := o.hold(now)
				require.Equal(t, want, b.hold(time.Duration(now)), "at %d", now)
				if want {
					allowed++
				} else {
					refused++
				}
			case op < 13 && o.held > 0:
				o.held--
				o.begun = append(o.begun, now)
				b.begin(time.Duration(now))
			case op == 13 && o.held > 0:
				o.held--
				b.refund()
			case op == 14:
				now += r.Int64N(o.bucket * 3)
			case op == 15 && r.IntN(20) == 0:
				now += o.bucket * windowBuckets << r.IntN(10)
			}
			require.EqualValues(t, o.recent(o.begun, now)+o.held, b.inUse(time.Duration(now)), "at %d", now)
		}
	}
	require.Positive(t, allowed)
	require.Positive(t, refused)
}

// Rounding must not cost a retry: n % of 100 requests are n retries, for each n.
func TestShareIsExact(t *testing.T) {
	for percent := 1; percent <= 100; percent++ {
		s, b := newShareBudget(float64(percent)/100, 0, time.Second)
		for range 100 {
			s.request(0)
		}
		for n := range percent {
			require.True(t, b.hold(0), "retry %d of 100 requests, at %d %%", n+1, percent)
		}
		require.False(t, b.hold(0), "one retry more than %d %%", percent)
	}
}

func TestShareClockThatRunsBackwards(t *testing.T) {
	s, b := newShareBudget(1, 0, time.Second)
	s.request(-time.Hour)
	require.True(t, b.hold(-time.Hour))
	b.begin(-time.Minute)
	require.Equal(t, 1, b.inUse(0))
	require.Zero(t, b.inUse(time.Second), "it expires like any other")
}

// What README and docs say that budgets do at 1, 100 and 10,000 requests a second:
// the share of the requests that may be retried in a service's outage.
func TestBudgetsAtRates(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("arithmetic on one goroutine, which -race makes slow and finds nothing in")
	}
	for _, c := range []struct {
		name string
		cfg  RetryConfig
		want map[int]float64 // percent, by requests a second
	}{
		{"default", RetryConfig{}, map[int]float64{1: 17, 100: 0.17, 10_000: 0.0017}},
		{"ratio", RetryConfig{RetryBudgetRatio: 0.2}, map[int]float64{1: 100, 100: 30, 10_000: 20.1}},
		{"ratio alone", RetryConfig{RetryBudgetRatio: 0.2, RetryBudgetMinPerSecond: NoMinimum}, map[int]float64{1: 20, 100: 20, 10_000: 20}},
	} {
		for rate, want := range c.want {
			synctest.Test(t, func(t *testing.T) {
				p, err := NewRetryPolicy(c.cfg)
				require.NoError(t, err)
				minute := 60 * time.Second
				requests, retries := 0, 0
				for at := time.Duration(0); at < 2*minute; at += time.Second { // the second minute counts
					for i := range rate {
						now := at + time.Duration(i)*time.Second/time.Duration(rate)
						if p.share != nil {
							p.share.request(now)
						}
						ok := p.budget.hold(now)
						if ok {
							p.budget.begin(now)
						}
						if at >= minute {
							requests++
							if ok {
								retries++
							}
						}
					}
				}
				// The window moves in tenths, so it holds a tenth less at times.
				require.InEpsilon(t, want, 100*float64(retries)/float64(requests), 0.11, "%s at %d req/s", c.name, rate)
			})
		}
	}
}

// Refused retries leave the error to the caller, and a request that begins
// earns its share of the next one.
func TestShareBudgetOfAPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{RetryBudgetRatio: 0.1, RetryBudgetMinPerSecond: NoMinimum, MaxAttempts: 2, BaseDelay: time.Microsecond, MaxDelay: time.Microsecond})
		fails := func(context.Context) error { return io.ErrUnexpectedEOF }
		require.ErrorIs(t, p.Execute(t.Context(), fails), ErrBudgetExceeded, "1 request: 0.1 of a retry")
		for range 9 {
			require.NoError(t, p.Execute(t.Context(), func(context.Context) error { return nil }))
		}
		require.ErrorIs(t, p.Execute(t.Context(), fails), ErrExhausted, "11 requests: one retry")
		require.ErrorIs(t, p.Execute(t.Context(), fails), ErrBudgetExceeded, "12 requests")
		m := p.Metrics()
		require.EqualValues(t, 1, m.Retries)
		require.EqualValues(t, 2, m.BudgetRejections)
		require.Equal(t, 1, m.BudgetInUse)
		time.Sleep(11 * time.Second)
		require.Zero(t, p.Metrics().BudgetInUse)
		require.ErrorIs(t, p.Execute(t.Context(), fails), ErrBudgetExceeded, "requests expire as well")
	})
}

// A retry that sleeps holds its slot, and gives it back if it never begins.
func TestShareBudgetRefunds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{RetryBudgetRatio: 1, RetryBudgetMinPerSecond: NoMinimum, MaxAttempts: 2})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, func() {
			require.Equal(t, 1, p.Metrics().BudgetInUse)
			cancel()
		})
		require.ErrorIs(t, p.Execute(ctx, func(context.Context) error { return io.EOF }), context.Canceled)
		require.Zero(t, p.Metrics().BudgetInUse)
	})
}

func TestShareConfigFaults(t *testing.T) {
	for _, c := range []struct {
		cfg  RetryConfig
		want string // empty: valid
	}{
		{RetryConfig{RetryBudgetRatio: 0.2}, ""},
		{RetryConfig{RetryBudgetRatio: 1, RetryBudget: NoBudget, RetryBudgetMinPerSecond: NoMinimum, RetryBudgetWindow: time.Millisecond}, ""},
		{RetryConfig{RetryBudgetRatio: 0.2, RetryBudgetMinPerSecond: 0.5}, ""},
		{RetryConfig{RetryBudgetRatio: 20}, "RetryBudgetRatio is 20, want a share in (0, 1], such as 0.2, or 0 for none"},
		{RetryConfig{RetryBudgetRatio: -1}, "RetryBudgetRatio is -1"},
		{RetryConfig{RetryBudgetRatio: 0.2, RetryBudget: 5}, "RetryBudget is 5 and RetryBudgetRatio is 0.2, want one of them"},
		{RetryConfig{RetryBudgetMinPerSecond: 10}, "RetryBudgetMinPerSecond is 10, want 0 without a RetryBudgetRatio"},
		{RetryConfig{RetryBudgetRatio: 0.2, RetryBudgetMinPerSecond: -2}, "RetryBudgetMinPerSecond is -2, want above 0"},
		{RetryConfig{RetryBudgetRatio: 0.2, RetryBudgetMinPerSecond: 1e300}, "RetryBudgetMinPerSecond is 1e+300"},
		{RetryConfig{RetryBudgetRatio: 0.2, RetryBudgetWindow: 9}, "RetryBudgetWindow is 9ns, want 1ms or more with RetryBudgetRatio"},
		{RetryConfig{RetryBudgetWindow: 9}, ""},
	} {
		_, err := NewRetryPolicy(c.cfg)
		if c.want == "" {
			require.NoError(t, err, "%+v", c.cfg)
		} else {
			require.ErrorContains(t, err, "resilience: RetryConfig."+c.want)
		}
	}
}
