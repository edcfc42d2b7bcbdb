package stats

import "testing"

func TestSpread(t *testing.T) {
	tests := []struct {
		reason string
		values []float64
		want   [3]float64 // median, min, max
	}{
		{"odd", []float64{3, 1, 2}, [3]float64{2, 1, 3}},
		{"even", []float64{4, 1, 3, 2}, [3]float64{2.5, 1, 4}},
		{"one", []float64{7}, [3]float64{7, 7, 7}},
		{"none", nil, [3]float64{}},
	}
	for _, tt := range tests {
		if s := Of(tt.values); [3]float64{s.Median, s.Min, s.Max} != tt.want {
			t.Errorf("%s: got %+v, want %v", tt.reason, s, tt.want)
		}
	}
}

// The cuts are those of the tables of the sign test for 95 %.
func TestTrim(t *testing.T) {
	for n, want := range map[int]int{1: 0, 5: 0, 6: 0, 8: 0, 9: 1, 12: 2, 16: 3, 20: 5, 25: 7} {
		if got := trim(n); got != want {
			t.Errorf("trim(%d): got %d, want %d", n, got, want)
		}
	}
}
