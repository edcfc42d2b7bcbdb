package benchgate

import (
	"cmp"
	"math"
	"slices"
)

// holm adjusts p-values after Holm's step-down procedure: rejecting where the
// adjusted value is below alpha keeps the chance of any false rejection below
// alpha, whatever the dependence between the tests.
func holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	adjusted, running := make([]float64, len(p)), 0.0
	for rank, i := range order {
		running = max(running, p[i]*float64(len(p)-rank))
		adjusted[i] = min(1, running)
	}
	return adjusted
}

// smallestP returns the least two-sided p that the Mann-Whitney test gives for samples
// of these sizes: 2 over the number of ways to interleave them.
func smallestP(n1, n2 int) float64 {
	a, _ := math.Lgamma(float64(n1 + n2 + 1))
	b, _ := math.Lgamma(float64(n1 + 1))
	c, _ := math.Lgamma(float64(n2 + 1))
	return min(1, 2*math.Exp(b+c-a))
}

// samplesFor returns how many samples a side are needed before a test of a family of
// m, with so many looks, can be rejected at all.
func samplesFor(m, looks, alpha float64) int {
	n := MinSamples
	for smallestP(n, n)*m*looks >= alpha {
		n++
	}
	return n
}
