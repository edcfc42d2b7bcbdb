package htmlreport

import (
	"fmt"
	"strconv"
	"time"
)

// duration shows three significant digits, or whole units beyond them.
func duration(d time.Duration) string {
	switch abs := d.Abs(); {
	case abs == 0:
		return "0"
	case abs < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case abs < 999500*time.Nanosecond:
		return digits(float64(d)/1e3) + " µs"
	case abs < 999500*time.Microsecond:
		return digits(float64(d)/1e6) + " ms"
	case abs < 100*time.Second:
		return digits(d.Seconds()) + " s"
	default:
		return d.Round(time.Second).String()
	}
}

// digits shows three significant digits, and all of those before the point; 0
// is exact.
func digits(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f > -9.995 && f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f > -99.95 && f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return count(int64(f + 0.5))
}

// count groups digits: 1,234,567.
func count(n int64) string {
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

func byteSize(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; f < 1023.5 {
			break
		}
	}
	return digits(f) + " " + unit
}

// share shows part ÷ whole in per cent, and never rounds something to nothing.
func share(part, whole int64) string {
	switch {
	case part == 0 || whole == 0:
		return "0 %"
	case part == whole:
		return "100 %"
	}
	p := 100 * float64(part) / float64(whole)
	switch {
	case p < 0.001:
		return "< 0.001 %"
	case p > 99.9:
		return "> 99.9 %"
	}
	return strconv.FormatFloat(p, 'g', 3, 64) + " %"
}

func perSecond(f float64) string { return digits(f) + "/s" }
