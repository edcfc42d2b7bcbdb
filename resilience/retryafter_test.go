package resilience

import (
	"math"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var retryAfterNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A library ignored dates, took a negative number for "at once", and slept for
// 99999999999 seconds.
func TestRetryAfterPeerBug19Forms(t *testing.T) {
	rows := []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"0", 0, true},
		{"120", 2 * time.Minute, true},
		{" 7\t", 7 * time.Second, true},
		{"007", 7 * time.Second, true},
		{"99999999999", math.MaxInt64, true},
		{"9223372036", 9223372036 * time.Second, true},
		{"9223372037", math.MaxInt64, true},
		{"92233720360", math.MaxInt64, true}, // a digit more than the largest
		{"18446744073709551617", math.MaxInt64, true},
		{strings.Repeat("9", 400), math.MaxInt64, true},
		{"Sun, 01 Mar 2026 12:00:30 GMT", 30 * time.Second, true},
		{"Sunday, 01-Mar-26 12:00:30 GMT", 30 * time.Second, true},
		{"Sun Mar  1 12:00:30 2026", 30 * time.Second, true},
		{"Sun, 01 Mar 2026 11:59:59 GMT", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64, true},
		{"", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1.5", 0, false},
		{"1s", 0, false},
		{"1 2", 0, false},
		{"soon", 0, false},
		{"٣", 0, false},
	}
	for _, row := range rows {
		got, ok := ParseRetryAfter(row.value, retryAfterNow)
		require.Equal(t, row.ok, ok, "%q", row.value)
		require.Equal(t, row.want, got, "%q", row.value)
	}
}

func TestRetryAfterDateIsReadByTheServersClock(t *testing.T) {
	header := http.Header{}
	header.Set("Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT")
	now := func() time.Time { return retryAfterNow.Add(10 * time.Second) }
	got, ok := retryAfterHeader(header, now)
	require.True(t, ok)
	require.Equal(t, 20*time.Second, got, "without a Date there is only our clock")

	header.Set("Date", "Sun, 01 Mar 2026 12:00:25 GMT")
	got, ok = retryAfterHeader(header, now)
	require.True(t, ok)
	require.Equal(t, 5*time.Second, got)

	_, ok = retryAfterHeader(http.Header{}, now)
	require.False(t, ok)
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"", "0", "1", "-1", "120", "99999999999", "9223372036", "9223372037", "1.5",
		" 3 ", "Sun, 01 Mar 2026 12:00:30 GMT", "Sunday, 01-Mar-26 12:00:30 GMT",
		"Sun Mar  1 12:00:30 2026", "Fri, 31 Dec 9999 23:59:59 GMT",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait, ok := ParseRetryAfter(value, retryAfterNow)
		if wait < 0 || (!ok && wait != 0) {
			t.Fatalf("ParseRetryAfter(%q) = %v, %v", value, wait, ok)
		}
		trimmed := strings.Trim(value, " \t")
		if trimmed == "" || strings.Trim(trimmed, "0123456789") != "" {
			return
		}
		seconds, _ := new(big.Int).SetString(trimmed, 10)
		want := new(big.Int).Mul(seconds, big.NewInt(int64(time.Second)))
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		if !ok || int64(wait) != want.Int64() {
			t.Fatalf("ParseRetryAfter(%q) = %v, %v, want %v", value, wait, ok, time.Duration(want.Int64()))
		}
	})
}
