// Package text says how numbers are shown: in reports, on pages and on live lines
// alike.
package text

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Count groups digits: 1,234,567.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Duration shows four significant digits, as in 12.35ms, which is what a histogram
// is exact to.
func Duration(d time.Duration) string { return Round(d).String() }

// Round returns d to four significant digits.
func Round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for limit := time.Microsecond; d.Abs() >= 10*limit; limit *= 10 {
		unit *= 10
	}
	return d.Round(unit)
}

// Rate shows whole numbers from 100 on, three significant digits below.
func Rate(f float64) string {
	if f >= 99.95 {
		return Count(int64(f + 0.5))
	}
	return digits(f)
}

// Percent shows a share of 1 in per cent. It never shows some as none, nor some as
// all.
func Percent(share float64) string {
	p := 100 * share
	switch {
	case p > 0 && p < 0.001:
		return "< 0.001 %"
	case p > 99.9 && p < 100:
		return "> 99.9 %"
	}
	return digits(p) + " %"
}

// Share shows part ÷ whole as Percent does; 0 of 0 is none.
func Share(part, whole int64) string {
	if whole == 0 {
		return Percent(0)
	}
	return Percent(float64(part) / float64(whole))
}

// digits shows three significant digits, without zeros at the end.
func digits(f float64) string { return strconv.FormatFloat(f, 'g', 3, 64) }

// Bytes shows one decimal in the largest unit of which there is one.
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"} {
		if f /= 1024; f < 1023.95 { // else it would be 1024.0
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// PerSecond returns the rate of n in d; 0 if no time has passed.
func PerSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// SamplesToShow returns how many samples the q-quantile needs to differ from their
// maximum.
func SamplesToShow(q float64) int64 { return int64(math.Ceil(1/(1-q) - 1e-6)) }

// ByCount returns the keys of counts, those with the largest count first.
func ByCount[K cmp.Ordered](counts map[K]int64) []K {
	return slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

// Cut shortens s to n characters, of which the last then is an ellipsis.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:max(n-1, 0)]) + "…"
}
