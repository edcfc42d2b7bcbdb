package hist

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// synthetic is a process that is steady, and whose quantiles in the long run are known.
type synthetic struct {
	name     string
	quantile func(q float64, rate int) float64                                    // milliseconds
	draw     func(rng *rand.Rand, seconds, rate int, end func(s int, ms float64)) // end gets the requests that end in second s
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

func logNormal(sd float64) func(float64, int) float64 {
	return func(q float64, _ int) float64 { return 10 * math.Exp(sd*normalQuantile(q)) }
}

func independently(draw func(rng *rand.Rand) float64) func(*rand.Rand, int, int, func(int, float64)) {
	return func(rng *rand.Rand, seconds, rate int, end func(int, float64)) {
		for s := range seconds {
			for range rate {
				end(s, draw(rng))
			}
		}
	}
}

// queue is M/M/1: the response time is exponential.
func queue(busy float64) synthetic {
	return synthetic{
		fmt.Sprintf("queue, %v busy", busy),
		func(q float64, rate int) float64 { return -1000 * math.Log(1-q) / (float64(rate)/busy - float64(rate)) },
		func(rng *rand.Rand, seconds, rate int, end func(int, float64)) {
			serve, waits, now := float64(rate)/busy, 0.0, 0.0
			if rng.Float64() < busy {
				waits = rng.ExpFloat64() / (serve - float64(rate))
			}
			for {
				gap := rng.ExpFloat64() / float64(rate)
				if now += gap; now >= float64(seconds) {
					return
				}
				waits = max(waits-gap, 0) + rng.ExpFloat64()/serve
				end(min(int(now+waits), seconds-1), 1000*waits)
			}
		},
	}
}

// levels is log-normal with a level that changes by the second, as an autoregression.
func levels(phi float64) synthetic {
	const levelSD, sd = 0.1, 0.5
	return synthetic{
		fmt.Sprintf("level by the second, correlation %v", phi),
		logNormal(math.Hypot(levelSD, sd)),
		func(rng *rand.Rand, seconds, rate int, end func(int, float64)) {
			level := levelSD * rng.NormFloat64()
			for s := range seconds {
				for range rate {
					end(s, 10*math.Exp(level+sd*rng.NormFloat64()))
				}
				level = phi*level + math.Sqrt(1-phi*phi)*levelSD*rng.NormFloat64()
			}
		},
	}
}

var (
	independent = synthetic{"independent", logNormal(0.5), independently(func(rng *rand.Rand) float64 { return 10 * math.Exp(0.5*rng.NormFloat64()) })}
	bimodal     = synthetic{
		"bimodal",
		func(q float64, _ int) float64 {
			if q > 0.97 {
				return 50 * math.Exp(0.3*normalQuantile((q-0.97)/0.03))
			}
			return 2 * math.Exp(0.2*normalQuantile(q/0.97))
		},
		independently(func(rng *rand.Rand) float64 {
			if rng.Float64() < 0.03 {
				return 50 * math.Exp(0.3*rng.NormFloat64())
			}
			return 2 * math.Exp(0.2*rng.NormFloat64())
		}),
	}
)

// run returns the latencies of a run and its blocks. Every latency is multiplied by factor
// of the share of the run that is over when its second begins; nil is 1.
func (s synthetic) run(seed uint64, seconds, rate int, factor func(float64) float64) (*Histogram, []Block) {
	total, second, blocks := New(), New(), NewBlocks(time.Second)
	ended := make([][]float64, seconds) // requests need not end in their order
	s.draw(rand.New(rand.NewPCG(seed, 0)), seconds, rate, func(s int, ms float64) { ended[s] = append(ended[s], ms) })
	for i, all := range ended {
		by := 1e6
		if factor != nil {
			by *= factor(float64(i) / float64(seconds))
		}
		for _, ms := range all {
			second.Record(time.Duration(ms * by))
		}
		total.Merge(second)
		b := NewBlock(second)
		b.From, b.To = time.Duration(i)*time.Second, time.Duration(i+1)*time.Second
		blocks.Add(b)
		second.Reset()
	}
	return total, blocks.Close()
}

// The requirement: in 93 to 97 of 100 runs the interval of the 99th percentile holds that
// of the long run. So many runs are within two standard errors of it.
func TestConfidenceCoversTheLongRun(t *testing.T) {
	if race.Enabled {
		t.Skip("arithmetic in one goroutine")
	}
	for _, tt := range []struct {
		process       synthetic
		seconds, rate int
		q             float64
		runs          int
		least, most   float64 // of 100 intervals
		none          float64 // at most so many of 100 runs have no interval
	}{
		{independent, 10, 1000, 0.50, 100, 93, 98, 0},
		{independent, 10, 1000, 0.99, 200, 93, 98, 0},
		{independent, 10, 100, 0.99, 300, 93, 98, 10},
		{independent, 60, 1000, 0.99, 100, 92, 99, 0},
		{bimodal, 10, 1000, 0.99, 200, 93, 98, 0},
		{bimodal, 10, 100, 0.99, 300, 93, 98, 10},
		{queue(0.7), 30, 1000, 0.99, 100, 92, 98, 5},
		{queue(0.8), 10, 1000, 0.50, 100, 93, 98, 0},
		{queue(0.8), 60, 1000, 0.99, 60, 90, 99, 20},
		{levels(0.3), 10, 1000, 0.99, 100, 92, 98, 10},
		{levels(0.3), 60, 100, 0.99, 200, 93, 98, 0},
		{levels(0.5), 60, 100, 0.50, 200, 91, 98, 0},
		// What the documentation warns of: a level that holds for seconds, and a queue, in ten.
		{levels(0.5), 10, 1000, 0.50, 100, 70, 92, 0},
		{levels(0.5), 10, 1000, 0.99, 100, 80, 96, 15},
		{queue(0.8), 10, 1000, 0.99, 150, 25, 75, 90},
		{queue(0.8), 30, 1000, 0.99, 60, 78, 96, 45},
	} {
		t.Run(fmt.Sprintf("%s/%d s at %d per s/p%v", tt.process.name, tt.seconds, tt.rate, 100*tt.q), func(t *testing.T) {
			want := time.Duration(tt.process.quantile(tt.q, tt.rate) * 1e6)
			held, none := 0, 0
			for i := range tt.runs {
				h, blocks := tt.process.run(uint64(i), tt.seconds, tt.rate, nil)
				lo, hi, _, ok := Confidence(h, blocks, tt.q)
				if !ok {
					none++
					continue
				}
				require.LessOrEqual(t, lo, h.Quantile(tt.q))
				require.GreaterOrEqual(t, hi, h.Quantile(tt.q))
				if lo <= want && want <= hi {
					held++
				}
			}
			covered, without := 100*float64(held)/float64(tt.runs-none), 100*float64(none)/float64(tt.runs)
			t.Logf("%.1f %% of the intervals hold %v; %.1f %% of the runs have none", covered, want, without)
			require.GreaterOrEqual(t, covered, tt.least)
			require.LessOrEqual(t, covered, tt.most)
			require.LessOrEqual(t, without, tt.none)
		})
	}
}

// The order statistics np ± 1.96·sqrt(np(1−p)) hold for independent requests only: that
// the blocks are needed is seen where they fail.
func TestOrderStatisticsAreTooNarrowInAQueue(t *testing.T) {
	process, held := queue(0.8), 0
	const runs, q = 100, 0.95
	want := time.Duration(process.quantile(q, 1000) * 1e6)
	for i := range runs {
		h, _ := process.run(uint64(i), 10, 1000, nil)
		n := float64(h.Count())
		d := 1.96 * math.Sqrt(n*q*(1-q))
		if h.Quantile((n*q-d)/n) <= want && want <= h.Quantile((n*q+d+1)/n) {
			held++
		}
	}
	require.Less(t, held, 50)
}

// Where all is the same there is nothing to doubt, and nothing to divide by.
func TestConfidenceOfEqualLatencies(t *testing.T) {
	same := synthetic{draw: independently(func(*rand.Rand) float64 { return 10 })}
	h, blocks := same.run(1, 10, 1000, nil)
	for _, q := range []float64{0.001, 0.5, 0.99} {
		lo, hi, _, ok := Confidence(h, blocks, q)
		require.True(t, ok)
		require.Equal(t, 10*time.Millisecond, lo)
		require.Equal(t, 10*time.Millisecond, hi)
	}
	n := 0
	exactly := synthetic{draw: independently(func(*rand.Rand) float64 { n++; return float64(1 + 9*(n%100/99)) })}
	h, blocks = exactly.run(1, 10, 1000, nil)
	lo, hi, _, ok := Confidence(h, blocks, 0.99)
	require.True(t, ok)
	require.InEpsilon(t, time.Millisecond, lo, 0.001)
	require.InEpsilon(t, 10*time.Millisecond, hi, 0.001, "the value next to the rank")
}

// Few latencies beyond the quantile, or many that amount to few.
func TestConfidenceNeedsIndependentLatencies(t *testing.T) {
	h, blocks := independent.run(1, 10, 100, nil)
	_, _, amount, ok := Confidence(h, blocks, 0.999)
	require.False(t, ok)
	require.InDelta(t, 1.1, amount, 0.05)
	h, blocks = queue(0.8).run(1, 10, 1000, nil)
	_, _, amount, ok = Confidence(h, blocks, 0.99)
	require.False(t, ok)
	require.InDelta(t, 1.0, amount, 0.05)
}

func TestStudentT(t *testing.T) {
	for freedom, want := range map[float64]float64{2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622, 15: 2.1314, 31: 2.0395, 1e9: 1.96} {
		within := 3e-4
		if freedom < 4 {
			within = 0.008
		}
		require.InEpsilon(t, want, studentT(freedom), within, "%v degrees of freedom", freedom)
	}
}

func TestGammaQuantiles(t *testing.T) {
	// From tables of the chi-squared distribution: twice a gamma variable of this shape.
	for _, tt := range []struct{ shape, few, many float64 }{{4, 1.0899, 8.7673}, {10, 4.7954, 17.0848}, {50, 37.1110, 64.7806}} {
		few, many := gammaQuantiles(tt.shape, tt.shape, 1.959964)
		require.InEpsilon(t, tt.few, few, 0.02)
		require.InEpsilon(t, tt.many, many, 0.02)
	}
}

// split returns blocks of 100 requests, of which so many are slow.
func split(slow ...int) (blocks []Block) {
	for _, n := range slow {
		h := New()
		for i := range 100 {
			if i < n {
				h.Record(time.Second)
			} else {
				h.Record(time.Millisecond)
			}
		}
		blocks = append(blocks, NewBlock(h))
	}
	return blocks
}

// A tenth of the requests is slow: 1 s and 1 ms are on either side of p90.
func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		reason              string
		slow                []int
		clustering, freedom float64
	}{
		{"none at all", []int{10, 10, 10, 10, 10, 10}, 0, 5},
		// Which of them are below the quantile is not seen, and so as by chance.
		{"all in the cell of the quantile", []int{0, 0, 0, 0, 0, 0}, 1, 5},
		// ±3 in each: 9·6/5 each, of 100·0.9·0.1.
		{"as by chance", []int{13, 7, 13, 7, 7, 13}, 1.2, 5},
		{"ten at a time", []int{20, 0, 20, 0, 0, 20}, 13.33, 5},
		// Of ten blocks nine have 5 and one 55: a variance that one block makes.
		{"all in one block", []int{5, 5, 5, 5, 55, 5, 5, 5, 5, 5}, 27.78, 20. / 7.1},
		// Neighbors that are alike: r = 7/10 − a tenth for the mean, so (1 + 0.8)/(1 − 0.8).
		{"slow for half of the run", []int{15, 15, 15, 15, 15, 5, 5, 5, 5, 5}, 3.086 * 9, 9},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			blocks := split(tt.slow...)
			clustering, freedom := spread(blocks, JoinAll(blocks), 0.9)
			require.InDelta(t, tt.clustering, clustering, 0.01)
			require.InDelta(t, tt.freedom, freedom, 0.05)
		})
	}
}
