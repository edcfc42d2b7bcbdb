package heap

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heaps makes intervals of a second with these heaps, in MB.
func heaps(mb ...uint64) []Interval {
	var out []Interval
	for i, n := range mb {
		out = append(out, Interval{From: time.Duration(i) * time.Second, To: time.Duration(i+1) * time.Second, Bytes: n * 1e6})
	}
	return out
}

func TestGrowth(t *testing.T) {
	short := heaps(10, 10, 10, 10, 1)
	short[4].To = short[4].From + time.Millisecond
	for _, tt := range []struct {
		reason string
		rows   []Interval
		from   time.Duration
		want   float64
		within float64
	}{
		{"nothing", nil, 0, 0, 0},
		{"too few to tell", heaps(1, 100), 0, 0, 0},
		{"flat", heaps(10, 10, 10, 10), 0, 0, 1e-12},
		{"a line: from 0.5 to 4.5 over 5 s of the peak of 50", heaps(10, 20, 30, 40, 50), 0, 1, 1e-12},
		{"a fall", heaps(50, 40, 30, 20, 10), 0, -1, 1e-12},
		{"warming up does not count", heaps(1, 5, 10, 10, 10, 10), 2 * time.Second, 0, 1e-12},
		{"but does if asked", heaps(1, 5, 10, 10, 10, 10), 0, 1, 0.3},
		{"too few after from", heaps(1, 2, 3, 4), 2 * time.Second, 0, 0},
		{"the peak is the whole run's", heaps(100, 1, 2, 3), time.Second, 0.03, 1e-12},
		{"sawtooth", heaps(10, 14, 10, 14, 10, 14, 10, 14, 10), 0, 0, 1e-12},
		{"a single collection late", heaps(10, 10, 10, 10, 10, 10, 10, 10, 10, 12), 0, 0.1, 0.05},
		{"a short last interval weighs little", short, 0, 0, 0.01},
		{"no heap", heaps(0, 0, 0), 0, 0, 0},
		{"no time", make([]Interval, 5), 0, 0, 0},
		{"all at one time", []Interval{{To: 5, Bytes: 1}, {To: 5, Bytes: 2}, {To: 5, Bytes: 3}}, 0, 0, 0},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			require.InDelta(t, tt.want, Growth(tt.rows, tt.from), tt.within)
		})
	}
}
