package peers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func measureNothing(_ context.Context, c Contestant, n int) (Measurement, error) {
	return Measurement{Contestant: c.Name, Connections: n, Succeeded: n, Elapsed: time.Second, CPU: time.Second}, nil
}

func TestPlanGoesRoundByRound(t *testing.T) {
	var asked []string
	plan := Plan{
		Contestants: []Contestant{{Name: "a"}, {Name: "b"}, {Name: "c"}}, Connections: []int{1, 20}, Rounds: 8, Seed: 1,
		Measure: func(ctx context.Context, c Contestant, n int) (Measurement, error) {
			asked = append(asked, fmt.Sprint(c.Name, n))
			return measureNothing(ctx, c, n)
		},
	}
	r, err := plan.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	orders := make(map[string]bool)
	for round := range slices.Chunk(asked, 6) {
		orders[strings.Join(round, " ")] = true
		for part := range slices.Chunk(round, 3) { // of one number of connections
			sorted := slices.Sorted(slices.Values(part))
			if got := strings.Join(sorted, " "); got != "a1 b1 c1" && got != "a20 b20 c20" {
				t.Errorf("got %q within one round", got)
			}
		}
	}
	if len(orders) < 2 {
		t.Errorf("every round has the order %v", orders)
	}
	if s, ok := r.Of("b", 20, Measurement.Rate); !ok || len(s.Values) != 8 || s.Median != 20 {
		t.Errorf("got rates %+v", s)
	}
	first := slices.Clone(asked)
	asked = nil
	if _, err := plan.Run(t.Context()); err != nil || !slices.Equal(first, asked) {
		t.Errorf("the same seed gave another order, or error %v", err)
	}
}

func TestPlanLeavesOutWhoFails(t *testing.T) {
	late := 0
	plan := Plan{
		Contestants: []Contestant{{Name: "steady"}, {Name: "late"}, {Name: "absent"}}, Connections: []int{1, 2}, Rounds: 3,
		Measure: func(ctx context.Context, c Contestant, n int) (Measurement, error) {
			switch {
			case c.Name == "absent":
				return Measurement{}, fmt.Errorf("absent: %w", ErrNotInstalled)
			case c.Name == "late" && n == 2:
				if late++; late == 2 {
					return Measurement{}, ErrWork
				}
			}
			return measureNothing(ctx, c, n)
		},
	}
	r, err := plan.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[cell]int{{"steady", 1}: 3, {"steady", 2}: 3, {"late", 1}: 3, {"late", 2}: 0, {"absent", 1}: 0} {
		if s, _ := r.Of(at.contestant, at.connections, Measurement.Rate); len(s.Values) != want {
			t.Errorf("%v: got %d rounds, want %d", at, len(s.Values), want)
		}
	}
	if late != 2 {
		t.Errorf("it was asked %d times, want no more after it had failed", late)
	}
	if err := r.Failed(); !errors.Is(err, ErrWork) || errors.Is(err, ErrNotInstalled) {
		t.Errorf("got %v as failures, want those of who was there", err)
	}
	var b strings.Builder
	if err := r.WriteTables(&b, View{Quantity: "req/s", Metric: Measurement.Rate}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| absent     | not installed |", "| late       |        failed |", "- absent: not installed\n", "- late, 2 connections: peers: not the work"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the tables lack %q:\n%s", want, b.String())
		}
	}
}

func TestPlanEndsWithItsContext(t *testing.T) {
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	plan := Plan{
		Contestants: []Contestant{{Name: "a"}}, Connections: []int{1}, Rounds: 3,
		Measure: func(context.Context, Contestant, int) (Measurement, error) {
			cancel(enough)
			return Measurement{}, ctx.Err()
		},
	}
	if _, err := plan.Run(ctx); !errors.Is(err, enough) {
		t.Errorf("got error %v, want %v", err, enough)
	}
}

func TestPlanTakes(t *testing.T) {
	plan := Plan{Contestants: []Contestant{{Name: "a"}, {Name: "wrk", Tool: &wrk}, {Name: "b"}}, Connections: []int{1, 2}, Rounds: 3}
	got := plan.Takes(func(c Contestant) time.Duration {
		if c.Tool != nil {
			return 2 * time.Second
		}
		return time.Second
	})
	if want := 24 * time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPlanValidate(t *testing.T) {
	one := []Contestant{{Name: "one"}}
	tests := []struct {
		reason string
		plan   Plan
	}{
		{"nobody", Plan{Connections: []int{1}, Rounds: 1, Measure: measureNothing}},
		{"a name twice", Plan{Contestants: slices.Repeat(one, 2), Connections: []int{1}, Rounds: 1, Measure: measureNothing}},
		{"no connections", Plan{Contestants: one, Rounds: 1, Measure: measureNothing}},
		{"connections twice", Plan{Contestants: one, Connections: []int{1, 1}, Rounds: 1, Measure: measureNothing}},
		{"0 connections", Plan{Contestants: one, Connections: []int{0}, Rounds: 1, Measure: measureNothing}},
		{"no round", Plan{Contestants: one, Connections: []int{1}, Measure: measureNothing}},
		{"nothing to measure by", Plan{Contestants: one, Connections: []int{1}, Rounds: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			if _, err := tt.plan.Run(t.Context()); err == nil {
				t.Error("got no error")
			}
		})
	}
}
