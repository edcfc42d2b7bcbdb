package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// synthetic is a process that is steady, and whose quantiles in the long run are known.
type synthetic struct {
	name     string
	quantile func(q float64, rate int) float64                                    // milliseconds
	run      func(rng *rand.Rand, seconds, rate int, end func(s int, ms float64)) // end gets the requests that end in second s
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

// result returns the result of a run. Every latency is multiplied by factor of the share
// of the run that is over when its second begins; nil is 1.
func (s synthetic) result(seed uint64, seconds, rate int, factor func(float64) float64) *EngineResult {
	total, second := newHistogram(), newHistogram()
	series := series[block]{most: maxBlocks}
	now := 0
	flush := func() {
		total.merge(second)
		b := newBlock(second)
		b.from, b.to = time.Duration(now)*time.Second, time.Duration(now+1)*time.Second
		series.add(b)
		second.reset()
		now++
	}
	ended := make([][]float64, seconds) // requests need not end in their order
	s.run(rand.New(rand.NewPCG(seed, 0)), seconds, rate, func(s int, ms float64) { ended[s] = append(ended[s], ms) })
	for i, all := range ended {
		by := 1e6
		if factor != nil {
			by *= factor(float64(i) / float64(seconds))
		}
		for _, ms := range all {
			second.record(time.Duration(ms * by))
		}
		flush()
	}
	r := &EngineResult{blocks: series.close()}
	r.good, r.Requests = total, total.count()
	return r
}

// The requirement: in 93 to 97 of 100 runs the interval of the 99th percentile holds that
// of the long run. So many runs are within two standard errors of it.
func TestConfidenceIntervalCoversTheLongRun(t *testing.T) {
	if raceEnabled {
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
				r := tt.process.result(uint64(i), tt.seconds, tt.rate, nil)
				lo, hi, err := r.ConfidenceInterval(tt.q)
				if err != nil {
					require.ErrorIs(t, err, ErrNoInterval)
					none++
					continue
				}
				require.LessOrEqual(t, lo, r.Quantile(tt.q))
				require.GreaterOrEqual(t, hi, r.Quantile(tt.q))
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
		r := process.result(uint64(i), 10, 1000, nil)
		n := float64(r.Requests)
		d := 1.96 * math.Sqrt(n*q*(1-q))
		if r.Quantile((n*q-d)/n) <= want && want <= r.Quantile((n*q+d+1)/n) {
			held++
		}
	}
	require.Less(t, held, 50)
}

func TestConfidenceIntervalSaysWhyThereIsNone(t *testing.T) {
	long := independent.result(1, 10, 100, nil)
	other := independent.result(1, 10, 100, nil)
	other.Requests++
	for _, tt := range []struct {
		reason string
		r      *EngineResult
		q      float64
		want   string
	}{
		{"nothing", new(EngineResult), 0.5, "loadtest: no confidence interval of p50: parts of the run with requests: 0, needed: 5; run for longer"},
		{"four seconds", independent.result(1, 4, 1000, nil), 0.99, "loadtest: no confidence interval of p99: parts of the run with requests: 4, needed: 5; run for longer"},
		{"one request beyond", long, 0.999, "loadtest: no confidence interval of p99.9: requests beyond it: 1, which amount to 1.1 independent ones, needed: 4; run for longer"},
		{"slow together", queue(0.8).result(1, 10, 1000, nil), 0.99, "loadtest: no confidence interval of p99: requests beyond it: 101, which amount to 1.0 independent ones, needed: 4; run for longer"},
		{"the minimum", long, 0, "loadtest: no confidence interval of p0: q is 0: must be between 0 and 1"},
		{"the maximum", long, 1, "loadtest: no confidence interval of p100: q is 1: must be between 0 and 1"},
		{"no number", long, math.NaN(), "loadtest: no confidence interval of pNaN: q is NaN: must be between 0 and 1"},
		{"merged with a result that has no parts", other, 0.5, "loadtest: no confidence interval of p50: requests: 1,001, of them in a known part of the run: 1,000"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			lo, hi, err := tt.r.ConfidenceInterval(tt.q)
			require.ErrorIs(t, err, ErrNoInterval)
			require.EqualError(t, err, tt.want)
			require.Zero(t, lo)
			require.Zero(t, hi)
		})
	}
}

// Where all is the same there is nothing to doubt, and nothing to divide by.
func TestConfidenceIntervalOfEqualLatencies(t *testing.T) {
	same := synthetic{run: independently(func(*rand.Rand) float64 { return 10 })}
	r := same.result(1, 10, 1000, nil)
	for _, q := range []float64{0.001, 0.5, 0.99} {
		lo, hi, err := r.ConfidenceInterval(q)
		require.NoError(t, err)
		require.Equal(t, 10*time.Millisecond, lo)
		require.Equal(t, 10*time.Millisecond, hi)
	}
	n := 0
	exactly := synthetic{run: independently(func(*rand.Rand) float64 { n++; return float64(1 + 9*(n%100/99)) })}
	lo, hi, err := exactly.result(1, 10, 1000, nil).ConfidenceInterval(0.99)
	require.NoError(t, err)
	require.InEpsilon(t, time.Millisecond, lo, 0.001)
	require.InEpsilon(t, 10*time.Millisecond, hi, 0.001, "the value next to the rank")
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

// noisy is a function that takes 5 to 25 ms.
func noisy() func(context.Context) error {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 1))
	return func(ctx context.Context) error {
		mu.Lock()
		d := 5*time.Millisecond + time.Duration(rng.Int64N(int64(20*time.Millisecond)))
		mu.Unlock()
		return sleep(d)(ctx)
	}
}

func TestARunHasIntervalsInEveryForm(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		if raceEnabled && c.name == "async" {
			t.Skip("as threaded, with ten times the requests")
		}
		run := func(d time.Duration) *EngineResult {
			e := newEngine(t, c.make(Func(noisy()), 0))
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), For(d))
			require.NoError(t, err)
			require.Equal(t, r.Requests, joinAll(r.blocks).n)
			require.LessOrEqual(t, len(r.blocks), maxBlocks)
			require.Equal(t, r.Elapsed, r.blocks[len(r.blocks)-1].to)
			return r
		}
		bounds := func(r *EngineResult, q float64) [2]time.Duration {
			lo, hi, err := r.ConfidenceInterval(q)
			require.NoError(t, err)
			require.Less(t, lo, hi)
			return [2]time.Duration{lo, hi}
		}
		r := run(50 * time.Second)
		median := bounds(r, 0.5)
		require.Less(t, median[0], 15*time.Millisecond)
		require.Greater(t, median[1], 15*time.Millisecond)
		require.Contains(t, r.String(), fmt.Sprintf("p50 %v  p95 ", r.quantileText(0.5)))
		require.Equal(t, 1, strings.Count(r.quantileText(0.5), "["))
		require.NotContains(t, r.String(), "not steady")

		data, err := json.Marshal(r)
		require.NoError(t, err)
		var keys struct {
			P50 []float64 `json:"p50_ci_ms"`
			P95 []float64 `json:"p95_ci_ms"`
		}
		require.NoError(t, json.Unmarshal(data, &keys))
		require.Equal(t, []float64{millis(median[0]), millis(median[1])}, keys.P50)
		require.Len(t, keys.P95, 2)
		back := roundTrip(t, r)
		require.Equal(t, r.blocks, back.blocks)
		require.Equal(t, median, bounds(back, 0.5))

		time.Sleep(time.Minute)
		other := run(50 * time.Second)
		sum := new(EngineResult)
		for _, part := range []*EngineResult{roundTrip(t, other), back} {
			sum.Merge(part)
		}
		require.LessOrEqual(t, len(sum.blocks), maxBlocks)
		merged := bounds(sum, 0.5)
		require.Less(t, merged[1]-merged[0], median[1]-median[0], "twice as much is known")
		sameResult(t, sum, roundTrip(t, sum))
	})
}

func TestAnUnsteadyRunSaysSo(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		start := time.Now()
		e := newEngine(t, c.make(Func(func(ctx context.Context) error {
			if time.Since(start) < 5*time.Second {
				return sleep(10 * time.Millisecond)(ctx)
			}
			return sleep(15 * time.Millisecond)(ctx)
		}), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(10*time.Second))
		require.NoError(t, err)
		last := r.Warnings[len(r.Warnings)-1]
		require.Equal(t, WarnUnsteady, last.Kind)
		require.Regexp(t, `^not steady: p(50|99) was 10\.\d+ms until 5s and 15\.\d+ms from then on`, last.Text)
		sum := new(EngineResult)
		sum.Merge(roundTrip(t, r))
		require.Equal(t, r.Warnings, sum.Warnings, "it travels")
	})
}

func TestBlocksThatDoNotAddUpAreRefused(t *testing.T) {
	r := independent.result(1, 10, 10, nil)
	r.SuccessCount = r.Requests
	require.Equal(t, r.blocks, roundTrip(t, r).blocks)
	r.blocks[3].cells[0].n += 2
	data, err := json.Marshal(r)
	require.NoError(t, err)
	require.EqualError(t, json.Unmarshal(data, new(EngineResult)), "loadtest: result does not add up: 100 requests, but more in its blocks")
}

// split returns blocks of 100 requests, of which so many are slow.
func split(slow ...int) (blocks []block) {
	for _, n := range slow {
		h := newHistogram()
		for i := range 100 {
			if i < n {
				h.record(time.Second)
			} else {
				h.record(time.Millisecond)
			}
		}
		blocks = append(blocks, newBlock(h))
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
			got := spreadAt(blocks, joinAll(blocks), 0.9)
			require.InDelta(t, tt.clustering, got.clustering, 0.01)
			require.InDelta(t, tt.freedom, got.freedom, 0.05)
		})
	}
}
