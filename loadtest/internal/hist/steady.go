package hist

import "math"

const (
	// minSteady is how many blocks it takes to tell that they are not steady.
	minSteady = 8
	// minChange is how much of the smaller latency a change has to be to be worth a
	// warning.
	minChange = 0.1
)

// Change is how a quantile moved in the course of some blocks.
type Change struct {
	Q    float64 // which
	Step int     // the index of the first block after a step; 0 for a drift
	Size float64 // the logarithm of what the quantile was multiplied by
	t    float64 // Size, in standard errors
}

// Unsteady returns how the median or the 99th percentile moved, whichever is clearer, and
// whether it did by more than chance explains, and more than matters. Blocks must not be
// empty.
func Unsteady(blocks []Block) (Change, bool) {
	n := float64(len(blocks))
	if n < minSteady {
		return Change{}, false
	}
	var found Change
	for _, q := range []float64{0.50, 0.99} {
		y := make([]float64, len(blocks))
		for i, b := range blocks {
			y[i] = math.Log(float64(b.Quantile(q)))
		}
		if c := fit(y); c.t > found.t && math.Abs(c.Size) > math.Log1p(minChange) {
			found, found.Q = c, q
		}
	}
	// By simulation: few blocks leave more to chance, and every step was tried.
	return found, found.t > 4+16/n
}

// fit lays a line and every possible step (Quandt 1960) through y and returns the one that
// leaves least, by least squares.
func fit(y []float64) Change {
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
	best := Change{Size: xy / xx * (n - 1)}
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
			best, least = Change{Step: k, Size: rest - first}, left
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
