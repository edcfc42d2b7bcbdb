package peers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/brunt/peers"
	"example.com/brunt/peers/target"
)

// Measure fails unless the server has counted exactly the requests asked for.
func TestContestantsDoTheWork(t *testing.T) {
	for _, c := range peers.All() {
		for _, size := range []struct{ concurrency, requests int }{{1, 1}, {1, 7}, {4, 4}, {10, 503}} {
			t.Run(fmt.Sprintf("%s/c=%d n=%d", c.Name, size.concurrency, size.requests), func(t *testing.T) {
				url := serve(t)
				before := goleak.IgnoreCurrent() // the server
				m, err := peers.Measure(t.Context(), c, url, size.concurrency, size.requests)
				if err != nil {
					t.Fatal(err)
				}
				if m.Wall <= 0 || m.Allocs == 0 {
					t.Errorf("got wall time %v and %d allocations", m.Wall, m.Allocs)
				}
				goleak.VerifyNone(t, before, serverConnections)
			})
		}
	}
}

// serverConnections end a moment after the client's.
var serverConnections = goleak.IgnoreAnyFunction("example.com/brunt/peers/target.(*fastServer).talk")

func TestContestantsStop(t *testing.T) {
	const far = 50_000_000
	for _, c := range peers.All() {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("enough")
			url := serve(t)
			time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
			out, err := c.Run(ctx, url, 3, far)
			if out.Succeeded >= far {
				t.Error("it did everything")
			}
			if err == nil {
				t.Error("got no error from a run that was cut short")
			}
		})
	}
}

func TestContestantsSayThatTheyFailed(t *testing.T) {
	for _, c := range peers.All() {
		t.Run(c.Name, func(t *testing.T) {
			url := serve(t)
			if _, err := peers.Measure(t.Context(), redirected(c), url, 2, 20); err == nil {
				t.Error("got no error though the server has nothing at that path")
			}
		})
	}
}

// redirected sends c to a path that the server answers with 404.
func redirected(c peers.Contestant) peers.Contestant {
	run := c.Run
	c.Run = func(ctx context.Context, url string, concurrency, requests int) (peers.Outcome, error) {
		return run(ctx, url+"nowhere", concurrency, requests)
	}
	return c
}

func TestMeasureDoesNotBelieve(t *testing.T) {
	plain := peers.All()[slices.IndexFunc(peers.All(), func(c peers.Contestant) bool { return c.Name == peers.PlainDo })]
	bad := errors.New("broken")
	tests := []struct {
		reason string
		lie    func(context.Context, string, int, int) (peers.Outcome, error)
		want   error
	}{
		{"sends less than it says", func(ctx context.Context, url string, c, n int) (peers.Outcome, error) {
			_, err := plain.Run(ctx, url, c, n-1)
			return peers.Outcome{Succeeded: n}, err
		}, peers.ErrWork},
		{"sends more than it was to", func(ctx context.Context, url string, c, n int) (peers.Outcome, error) {
			_, err := plain.Run(ctx, url, c, n+1)
			return peers.Outcome{Succeeded: n}, err
		}, peers.ErrWork},
		{"admits that some failed", func(ctx context.Context, url string, c, n int) (peers.Outcome, error) {
			_, err := plain.Run(ctx, url, c, n)
			return peers.Outcome{Succeeded: n - 1}, err
		}, peers.ErrWork},
		{"fails", func(context.Context, string, int, int) (peers.Outcome, error) {
			return peers.Outcome{}, bad
		}, bad},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			_, err := peers.Measure(t.Context(), peers.Contestant{Name: "liar", Run: tt.lie}, serve(t), 2, 10)
			if !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want one that matches %v", err, tt.want)
			}
		})
	}
	if _, err := peers.Measure(t.Context(), plain, serve(t), 5, 4); err == nil {
		t.Error("got no error for fewer requests than workers")
	}
}

func TestPlan(t *testing.T) {
	p, err := target.Spawn(t.Context(), target.Fast, target.Anywhere)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	plan := peers.Plan{Contestants: peers.All(), Concurrencies: []int{2, 3}, Requests: 60, Rounds: 3, Seed: 1}
	r, err := plan.Run(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range plan.Contestants {
		for _, concurrency := range plan.Concurrencies {
			s, ok := r.Of(c.Name, concurrency, peers.Measurement.Rate)
			if !ok || len(s.Values) != plan.Rounds || s.Min <= 0 {
				t.Errorf("%s at %d: got rates %v, want %d above 0", c.Name, concurrency, s.Values, plan.Rounds)
			}
		}
	}
	for _, b := range peers.Bounds(plan.Concurrencies) {
		if v := r.Judge(b); !v.Known {
			t.Errorf("%v: not measured", b)
		}
	}
}

func TestPlanValidate(t *testing.T) {
	one := []peers.Contestant{{Name: "one"}}
	tests := []struct {
		reason string
		plan   peers.Plan
	}{
		{"nobody", peers.Plan{Concurrencies: []int{1}, Requests: 1, Rounds: 1}},
		{"a name twice", peers.Plan{Contestants: append(one, one...), Concurrencies: []int{1}, Requests: 1, Rounds: 1}},
		{"no concurrency", peers.Plan{Contestants: one, Requests: 1, Rounds: 1}},
		{"a concurrency twice", peers.Plan{Contestants: one, Concurrencies: []int{1, 1}, Requests: 1, Rounds: 1}},
		{"a concurrency of 0", peers.Plan{Contestants: one, Concurrencies: []int{0}, Requests: 1, Rounds: 1}},
		{"more workers than requests", peers.Plan{Contestants: one, Concurrencies: []int{2}, Requests: 1, Rounds: 1}},
		{"no round", peers.Plan{Contestants: one, Concurrencies: []int{1}, Requests: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			if tt.plan.Validate() == nil {
				t.Error("got no error")
			}
		})
	}
}
