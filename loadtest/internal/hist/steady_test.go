package hist

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// How a latency moves in the course of a run, by the share of it that is over.
var (
	drift  = func(x float64) float64 { return 1 + 0.5*x }
	step   = func(x float64) float64 { return 1 + 0.5*float64(int(2*x)) }
	warmup = func(x float64) float64 {
		if x < 0.2 {
			return 1.5
		}
		return 1
	}
)

func flagged(p synthetic, runs, seconds, rate int, factor func(float64) float64) (percent float64) {
	for i := range runs {
		_, blocks := p.run(uint64(i), seconds, rate, factor)
		if _, moved := Unsteady(blocks); moved {
			percent += 100 / float64(runs)
		}
	}
	return percent
}

func TestSteadyRunsAreSeldomFlagged(t *testing.T) {
	if race.Enabled {
		t.Skip("arithmetic in one goroutine")
	}
	for _, tt := range []struct {
		process       synthetic
		seconds, rate int
		most          float64 // of 100
	}{
		{independent, 10, 1000, 2},
		{independent, 60, 100, 2},
		{bimodal, 10, 100, 5},
		{queue(0.8), 10, 1000, 2},
		{queue(0.8), 60, 100, 2},
		{levels(0.3), 10, 100, 3},
		{levels(0.5), 60, 100, 3},
	} {
		t.Run(fmt.Sprintf("%s/%d s at %d per s", tt.process.name, tt.seconds, tt.rate), func(t *testing.T) {
			got := flagged(tt.process, 100, tt.seconds, tt.rate, nil)
			t.Logf("%.1f %%", got)
			require.LessOrEqual(t, got, tt.most)
		})
	}
}

func TestUnsteadyRunsAreFlagged(t *testing.T) {
	for _, tt := range []struct {
		reason        string
		process       synthetic
		seconds, rate int
		factor        func(float64) float64
		least         float64 // of 100
	}{
		{"drift", independent, 10, 1000, drift, 100},
		{"step", independent, 10, 1000, step, 100},
		{"warm-up", independent, 10, 1000, warmup, 100},
		{"drift, bimodal", bimodal, 10, 1000, drift, 100},
		{"step, bimodal", bimodal, 10, 1000, step, 100},
		{"warm-up, bimodal", bimodal, 10, 1000, warmup, 100},
		{"step, at a hundredth of the requests", independent, 10, 100, step, 90},
		{"warm-up, at a hundredth of the requests", independent, 10, 100, warmup, 85},
		{"step, levels", levels(0.5), 60, 100, step, 90},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			got := flagged(tt.process, 20, tt.seconds, tt.rate, tt.factor)
			t.Logf("%.0f %%", got)
			require.GreaterOrEqual(t, got, tt.least)
		})
	}
}

// evenly returns blocks of a second in each of which all latencies are the same.
func evenly(ms ...float64) (out []Block) {
	for i, v := range ms {
		h := New()
		h.Record(time.Duration(v * 1e6))
		b := NewBlock(h)
		b.From, b.To = time.Duration(i)*time.Second, time.Duration(i+1)*time.Second
		out = append(out, b)
	}
	return out
}

func TestUnsteady(t *testing.T) {
	for _, tt := range []struct {
		reason string
		blocks []Block
		moved  bool
		step   int
		by     float64 // the whole change, as a factor
	}{
		{"nothing", nil, false, 0, 0},
		{"level", evenly(10, 10, 10, 10, 10, 10, 10, 10), false, 0, 0},
		{"too few to tell", evenly(10, 10, 10, 10, 20, 20, 20), false, 0, 0},
		{"a step of less than a tenth", evenly(10, 10, 10, 10, 10.9, 10.9, 10.9, 10.9), false, 0, 0},
		{"a step of more than a tenth", evenly(10, 10, 10, 10, 11.1, 11.1, 11.1, 11.1), true, 4, 1.11},
		{"one slow second in the middle is a stall, not a level", evenly(10, 10, 10, 10, 1000, 10, 10, 10, 10, 10), false, 0, 0},
		{"one slow second at the end", evenly(10, 10, 10, 10, 10, 10, 10, 10, 10, 20), false, 0, 0},
		{"up and down", evenly(10, 15, 10, 15, 10, 15, 10, 15, 10, 15), false, 0, 0},
		{"a step", evenly(10, 10, 10, 10, 15, 15, 15, 15), true, 4, 1.5},
		{"a step down", evenly(15, 15, 10, 10, 10, 10, 10, 10), true, 2, 1 / 1.5},
		{"a first second", evenly(30, 10, 10, 10, 10, 10, 10, 10), true, 1, 1. / 3},
		{"a drift", evenly(10, 11, 12, 13, 14, 15, 16, 17, 18), true, 0, 1.8},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			got, moved := Unsteady(tt.blocks)
			require.Equal(t, tt.moved, moved)
			if moved {
				require.Equal(t, tt.step, got.Step)
				require.InEpsilon(t, math.Log(tt.by), got.Size, 0.05)
			}
		})
	}
}
