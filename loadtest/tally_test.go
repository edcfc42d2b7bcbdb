package loadtest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The three times of requests are kept, in whichever order requests with a lag and
// without come, and results of open and of closed loops are merged.
func TestTimingsKeepTheThreeTimes(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var whole timings
		var good, bad, service, lag []time.Duration
		for range rng.IntN(6) {
			var part timings
			lags := rng.IntN(3) // no, some or all requests have one
			for range rng.IntN(20) {
				s, l, failed := time.Duration(rng.IntN(1000)), time.Duration(0), rng.IntN(3) == 0
				if rng.IntN(2) < lags {
					l = time.Duration(1 + rng.IntN(1000))
				}
				part.record(s, l, failed)
				service, lag = append(service, s), append(lag, l)
				if failed {
					bad = append(bad, s+l)
				} else {
					good = append(good, s+l)
				}
			}
			if lags == 0 {
				require.Nil(t, part.lag, "a closed loop has no memory of its lags")
			}
			if rng.IntN(2) == 0 {
				var copied timings
				copied.merge(&part)
				part = copied
			}
			whole.merge(&part)
		}
		all := Stats{timings: whole}
		for _, tt := range []struct {
			name   string
			got    func(float64) time.Duration
			values []time.Duration
		}{
			{"latency", all.Quantile, slices.Concat(good, bad)},
			{"of successes", all.SuccessQuantile, good},
			{"of errors", all.ErrorQuantile, bad},
			{"service time", all.ServiceQuantile, service},
			{"lag", all.LagQuantile, lag},
		} {
			slices.Sort(tt.values)
			for i, want := range tt.values { // each below 2,048 ns, and so exact
				require.Equal(t, want, tt.got(float64(i+1)/float64(len(tt.values))), "%s, rank %d, seed %d", tt.name, i+1, seed)
			}
			if len(tt.values) > 0 {
				require.Equal(t, tt.values[0], tt.got(0), "%s, seed %d", tt.name, seed)
			}
		}
	}
}
