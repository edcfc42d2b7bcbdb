package benchgate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"
)

// recorded is an A/A run: brunt's own quick benchmarks in resilience, 120 shuffled
// pairs of two copies of one binary, 5 ms each, on a shared machine of 2 cores
// with others at work. Restless data is what the gate has to stand.
func recorded(t *testing.T) *Set {
	t.Helper()
	set := new(Set)
	require.NoError(t, set.ReadFile(Base, "testdata/aa-base.txt"))
	require.NoError(t, set.ReadFile(Head, "testdata/aa-head.txt"))
	return set
}

// byName groups results, in the order they were measured.
func byName(results []*benchfmt.Result) map[string][]*benchfmt.Result {
	m := make(map[string][]*benchfmt.Result)
	for _, r := range results {
		m[r.Name.String()] = append(m[r.Name.String()], r)
	}
	return m
}

// Twelve comparisons of ten pairs each in which nothing changed.
func TestRecordedAAHasNoFalseFailure(t *testing.T) {
	all := recorded(t)
	base, head := byName(all.Results[Base]), byName(all.Results[Head])
	require.Len(t, base, 21)
	for trial := range 12 {
		set := new(Set)
		for name := range base {
			set.Results[Base] = append(set.Results[Base], base[name][trial*10:trial*10+10]...)
			set.Results[Head] = append(set.Results[Head], head[name][trial*10:trial*10+10]...)
		}
		rep, err := Judge(set, &Rules{Looks: 3})
		require.NoError(t, err)
		require.Empty(t, rep.With(Worse), "trial %d", trial)
		require.Empty(t, rep.Faults)
		require.Greater(t, rep.Family, 10)
	}
}

// Planted slowdowns are found in fresh samples about as often as Power predicts
// from others: half of each benchmark's samples predict, the other half are slowed.
func TestPredictedRatesHold(t *testing.T) {
	all := recorded(t)
	base, head := byName(all.Results[Base]), byName(all.Results[Head])
	rng := rand.New(rand.NewPCG(1, 2))
	for _, change := range []float64{.05, .1, .2, .5, 1} {
		predicted, found, trials := 0.0, 0, 0
		for name := range base {
			values := func(rs []*benchfmt.Result) (v []float64) {
				for _, r := range rs {
					sec, _ := r.Value("sec/op")
					v = append(v, sec)
				}
				return v
			}
			noise, fresh := values(base[name]), values(head[name])
			p := Power{N: 30, Family: 1, Looks: 3, Alpha: 0.05, Threshold: 0.05, Seed: 1}
			predicted += p.Rate(noise, change)
			for range 40 {
				trials++
				set := new(Set)
				for side := range 2 {
					for range p.N {
						v := fresh[rng.IntN(len(fresh))]
						if side == int(Head) {
							v *= 1 + change
						}
						set.Results[side] = append(set.Results[side], &benchfmt.Result{Name: benchfmt.Name("A"), Iters: 1, Values: []benchfmt.Value{{Value: v, Unit: "sec/op"}}})
					}
				}
				rep, err := Judge(set, &Rules{Looks: 3})
				require.NoError(t, err)
				found += len(rep.With(Worse))
			}
		}
		want, got := predicted/float64(len(base)), float64(found)/float64(trials)
		t.Logf("%+.0f %%: predicted %.3f, found %.3f", 100*change, want, got)
		require.InDelta(t, want, got, 0.12)
	}
}

// A slowdown by the threshold is hardly ever called unchanged, whatever the noise
// and at any look; what has not changed is, if the threshold is well above the noise.
func TestUnchangedIsShown(t *testing.T) {
	all := recorded(t)
	base, head := byName(all.Results[Base]), byName(all.Results[Head])
	rng := rand.New(rand.NewPCG(5, 6))
	for _, share := range []float64{.05, .2, 1} {
		rules := &Rules{Looks: 3, Thresholds: []Threshold{{Metric: "sec/op", Share: share}}}
		for _, n := range []int{10, 30} {
			var unchanged [2]float64 // of what did not change, and of what did by the threshold
			for i := range unchanged {
				const each = 10
				for name := range base {
					for range each {
						set := new(Set)
						for side, fresh := range [2][]*benchfmt.Result{base[name], head[name]} {
							for range n {
								v, _ := fresh[rng.IntN(len(fresh))].Value("sec/op")
								v *= 1 + share*float64(i*side)
								set.Results[side] = append(set.Results[side], &benchfmt.Result{Name: benchfmt.Name("A"), Iters: 1, Values: []benchfmt.Value{{Value: v, Unit: "sec/op"}}})
							}
						}
						rep, err := Judge(set, rules)
						require.NoError(t, err)
						unchanged[i] += float64(len(rep.With(Unchanged))) / float64(each*len(base))
					}
				}
			}
			t.Logf("threshold %v, %d samples: %.3f of the same are unchanged, %.3f of what is slower", share, n, unchanged[0], unchanged[1])
			require.Less(t, unchanged[1], .025)
			if share == 1 && n == 30 {
				require.Greater(t, unchanged[0], .4) // this machine was not left alone
			}
		}
	}
}

// The quick U test of the prediction agrees with the one that judges.
func TestCriticalUAgreesWithTheTest(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := 6 + rng.IntN(15)
		a, b := make([]float64, n), make([]float64, n)
		for i := range n {
			a[i], b[i] = 100+rng.Float64(), 100+rng.Float64()*1.5
		}
		set := new(Set)
		for i := range n {
			for side, v := range [2]float64{a[i], b[i]} {
				set.Results[side] = append(set.Results[side], &benchfmt.Result{Name: benchfmt.Name("A"), Iters: 1, Values: []benchfmt.Value{{Value: v, Unit: "sec/op"}}})
			}
		}
		rep, err := Judge(set, new(Rules))
		require.NoError(t, err)
		slices.Sort(a)
		slices.Sort(b)
		for _, level := range []float64{.2, .05, .01, .001} {
			require.Equal(t, rep.Rows[0].Comparison.P < level, smallerU(a, b) <= criticalU(n, level), "n %d level %v p %v", n, level, rep.Rows[0].Comparison.P)
		}
	}
}

func TestSmallestP(t *testing.T) {
	for n, want := range map[int]float64{4: 0.02857142857142857, 6: 0.0021645021645021645, 9: 4.113533525298231e-05} {
		require.InEpsilon(t, want, smallestP(n, n), 1e-9) // the table of x/perf/benchmath
	}
	require.Equal(t, 6, samplesFor(1, 1, 0.05))
	require.Equal(t, 7, samplesFor(24, 1, 0.05))
}

func TestVisible(t *testing.T) {
	p := Power{N: 10, Family: 1, Looks: 1, Alpha: 0.05, Threshold: 0.05, Seed: 1}
	quiet := []float64{100, 100.5, 101, 99.5, 100.2, 99.8}
	require.InDelta(t, .06, p.Visible(quiet), .011)
	require.Zero(t, p.Visible([]float64{0, 0}))
	require.InEpsilon(t, 1, p.Rate(quiet, .2), 1e-12)
	require.Zero(t, p.Rate(quiet, .01), "below the threshold")
	require.Zero(t, p.Rate(nil, 1))
	p.N = 3
	p.Family = 100
	require.Zero(t, p.Rate(quiet, 4), "no three samples are significant")
}
