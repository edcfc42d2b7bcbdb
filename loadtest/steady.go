package loadtest

import (
	"fmt"
	"math"
	"time"

	"example.com/brunt/loadtest/internal/text"
)

const (
	// minSteady is how many blocks it takes to tell a run that is not steady.
	minSteady = 8
	// minChange is how much of the smaller latency a change has to be to be worth a
	// warning.
	minChange = 0.1
)

// change is how a quantile moved in the course of a run.
type change struct {
	q    float64
	step int     // the index of the first block after a step; 0 for a drift
	size float64 // the logarithm of what the quantile was multiplied by
	t    float64 // size, in standard errors
}

// unsteady returns how the median or the 99th percentile moved, whichever is clearer, and
// whether it did by more than chance explains, and more than matters. Blocks must not be
// empty.
func unsteady(blocks []block) (change, bool) {
	n := float64(len(blocks))
	if n < minSteady {
		return change{}, false
	}
	var found change
	for _, q := range []float64{0.50, 0.99} {
		y := make([]float64, len(blocks))
		for i, b := range blocks {
			y[i] = math.Log(float64(b.quantile(q)))
		}
		if c := fit(y); c.t > found.t && math.Abs(c.size) > math.Log1p(minChange) {
			found, found.q = c, q
		}
	}
	// By simulation: few blocks leave more to chance, and every step was tried.
	return found, found.t > 4+16/n
}

// fit lays a line and every possible step (Quandt 1960) through y and returns the one that
// leaves least, by least squares.
func fit(y []float64) change {
	n := float64(len(y))
	mid := (n - 1) / 2
	var sum, xx, xy float64
	for i, v := range y {
		x := float64(i) - mid
		sum += v
		xx += x * x
		xy += x * v
	}
	mean := sum / n
	best := change{size: xy / xx * (n - 1)}
	total := residuals(y, func(int) float64 { return mean })
	least := residuals(y, func(i int) float64 { return mean + xy/xx*(float64(i)-mid) })
	// A step leaves two blocks on each side, or one where a warm-up ends.
	before := 0.0
	for k := 1; k <= len(y)-2; k++ {
		before += y[k-1]
		first, rest := before/float64(k), (sum-before)/(n-float64(k))
		left := residuals(y, func(i int) float64 {
			if i < k {
				return first
			}
			return rest
		})
		if left.squares < least.squares {
			best, least = change{step: k, size: rest - first}, left
		}
	}
	// No block is known better than by a third of a cell.
	const grain = 0.005
	squares := max(least.squares, n*grain*grain)
	// Neighbors that are alike leave fewer independent blocks.
	r := correlation(least.neighbors, squares, n)
	best.t = math.Sqrt(max(total.squares-squares, 0) / squares * (n - 2) / inflation(r))
	return best
}

type residual struct{ squares, neighbors float64 }

func residuals(y []float64, model func(i int) float64) (sum residual) {
	last := 0.0
	for i, v := range y {
		x := v - model(i)
		sum.squares += x * x
		sum.neighbors += x * last
		last = x
	}
	return sum
}

// unsteadyText says what moved and by how much; empty if the run was steady.
func (r *EngineResult) unsteadyText() string {
	blocks := busy(r.blocks)
	c, ok := unsteady(blocks)
	if !ok {
		return ""
	}
	at := func(blocks []block) string { return text.Duration(joinAll(blocks).quantile(c.q)) }
	name := fmt.Sprintf("p%v", 100*c.q)
	if c.step == 0 {
		third := (len(blocks) + 2) / 3
		return fmt.Sprintf("not steady: %s drifted from %v in the first third of the run to %v in the last: a longer run would have other percentiles",
			name, at(blocks[:third]), at(blocks[len(blocks)-third:]))
	}
	when := blocks[c.step].from.Round(100 * time.Millisecond)
	line := fmt.Sprintf("not steady: %s was %v until %v and %v from then on", name, at(blocks[:c.step]), when, at(blocks[c.step:]))
	if c.size < 0 && c.step <= len(blocks)/3 {
		return line + ": leave the warm-up out, in a run of its own"
	}
	return line + ": the percentiles are of neither"
}
