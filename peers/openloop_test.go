package peers

import (
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestDistances(t *testing.T) {
	tests := []struct {
		reason    string
		log, want []time.Duration
	}{
		{"none", nil, []time.Duration{}},
		{"exact, whenever it began", []time.Duration{700 * ms, 800 * ms, 900 * ms}, []time.Duration{0, 0, 0}},
		{"one late", []time.Duration{0, 100 * ms, 240 * ms, 300 * ms}, []time.Duration{0, 0, 0, 40 * ms}},
		{"the first late: the schedule is fitted to the earliest", []time.Duration{50 * ms, 100 * ms, 200 * ms}, []time.Duration{0, 0, 50 * ms}},
		{"two at once", []time.Duration{0, 0, 200 * ms, 200 * ms}, []time.Duration{0, 0, 100 * ms, 100 * ms}},
		{"half the rate", []time.Duration{0, 200 * ms, 400 * ms}, []time.Duration{0, 100 * ms, 200 * ms}},
	}
	for _, tt := range tests {
		if got := Distances(tt.log, 10); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.reason, got, tt.want)
		}
	}
}

// A freeze is the same to users, however a contestant fared in it.
func TestFrozen(t *testing.T) {
	const rate, n, frozen = 10, 20, 500 * ms
	// Due at 0, 100, …: those of 700, 800, 900, 1000 and 1100 ms wait until 1150.
	want := append(make([]time.Duration, n-5), 50*ms, 150*ms, 250*ms, 350*ms, 450*ms)
	var prompt, dropped []time.Duration
	for i := range n {
		at := time.Duration(i) * 100 * ms
		if at > 650*ms && at < 1150*ms {
			prompt = append(prompt, 1150*ms)
			continue
		}
		prompt, dropped = append(prompt, at), append(dropped, at)
	}
	dropped = slices.Insert(dropped, 7, 1150*ms) // the one that found a free connection
	for reason, log := range map[string][]time.Duration{
		"all sent":               prompt,
		"most in it dropped":     dropped,
		"silent for longer":      slices.Concat(prompt[:3], prompt[7:]),
		"the schedule cut short": prompt[:15],
	} {
		if got := Frozen(log, rate, n, frozen); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", reason, got, want)
		}
	}
}

func TestLatencyOf(t *testing.T) {
	var all []time.Duration
	for i := range 1000 {
		all = append(all, time.Duration(i+1)*ms)
	}
	if got, want := LatencyOf(all), (Latency{P50: 500 * ms, P90: 900 * ms, P99: 990 * ms, P999: 999 * ms, Max: 1000 * ms}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := LatencyOf(all[:1]), (Latency{ms, ms, ms, ms, ms}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := LatencyOf(nil); got != (Latency{}) {
		t.Errorf("got %v of none", got)
	}
}
