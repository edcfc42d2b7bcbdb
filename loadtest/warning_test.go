package loadtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/hist"
)

// ofSeconds returns the result of a run in whose seconds requests took so many
// milliseconds.
func ofSeconds(seconds ...[]float64) *EngineResult {
	r := new(EngineResult)
	for i, all := range seconds {
		h := hist.New()
		for _, ms := range all {
			h.Record(time.Duration(ms * 1e6))
		}
		b := hist.NewBlock(h)
		b.From, b.To = time.Duration(i)*time.Second, time.Duration(i+1)*time.Second
		r.blocks = append(r.blocks, b)
		hist.MergeInto(&r.good, h)
		r.Requests += b.N
		r.SuccessCount += b.N
	}
	return r
}

// evenly returns a result in each of whose seconds one request took so many milliseconds.
func evenly(ms ...float64) *EngineResult {
	seconds := make([][]float64, len(ms))
	for i := range ms {
		seconds[i] = ms[i : i+1]
	}
	return ofSeconds(seconds...)
}

func TestUnsteadyText(t *testing.T) {
	late := evenly(10, 10, 10, 10, 15, 15, 15, 15)
	for i := range late.blocks { // as a harvest is on a busy machine
		late.blocks[i].From += 3 * time.Millisecond
	}
	for _, tt := range []struct {
		reason string
		r      *EngineResult
		want   string
	}{
		{"nothing", new(EngineResult), ""},
		{"level", evenly(10, 10, 10, 10, 10, 10, 10, 10), ""},
		{"a step", evenly(10, 10, 10, 10, 15, 15, 15, 15), "not steady: p50 was 10.03ms until 4s and 15.01ms from then on: the percentiles are of neither"},
		{"a warm-up", evenly(15, 15, 10, 10, 10, 10, 10, 10), "not steady: p50 was 15.01ms until 2s and 10.03ms from then on: leave the warm-up out, in a run of its own"},
		{"a first second", evenly(30, 10, 10, 10, 10, 10, 10, 10), "not steady: p50 was 30.02ms until 1s and 10.03ms from then on: leave the warm-up out, in a run of its own"},
		{"a better end", evenly(15, 15, 15, 15, 15, 15, 10, 10), "not steady: p50 was 15.01ms until 6s and 10.03ms from then on: the percentiles are of neither"},
		{"a worse end", evenly(10, 10, 15, 15, 15, 15, 15, 15), "not steady: p50 was 10.03ms until 2s and 15.01ms from then on: the percentiles are of neither"},
		{"harvested late", late, "not steady: p50 was 10.03ms until 4s and 15.01ms from then on: the percentiles are of neither"},
		{"a drift", evenly(10, 11, 12, 13, 14, 15, 16, 17, 18), "not steady: p99 drifted from 12.05ms in the first third of the run to 18.08ms in the last: a longer run would have other percentiles"},
	} {
		t.Run(tt.reason, func(t *testing.T) { require.Equal(t, tt.want, tt.r.unsteadyText()) })
	}
}
