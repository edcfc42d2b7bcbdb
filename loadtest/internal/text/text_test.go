package text

import (
	"math"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumbersAsTheyAreShown(t *testing.T) {
	for _, tt := range []struct{ want, got string }{
		{"0", Count(0)},
		{"999", Count(999)},
		{"1,000", Count(1000)},
		{"1,234,567", Count(1234567)},
		{"-12,345", Count(-12345)},
		{"-9,223,372,036,854,775,808", Count(math.MinInt64)},
		{"0s", Duration(0)},
		{"7ns", Duration(7)},
		{"9.999µs", Duration(9999)},
		{"12.35µs", Duration(12345)},
		{"1.235ms", Duration(1234567)},
		{"10ms", Duration(9_999_999)},
		{"-1.235ms", Duration(-1234567)},
		{"12.35s", Duration(12345678901)},
		{"1m23.46s", Duration(83_456_789_012)},
		{"0", Rate(0)},
		{"0.123", Rate(0.123456)},
		{"42.4", Rate(42.42)},
		{"99.9", Rate(99.94)},
		{"100", Rate(99.96)},
		{"1,235", Rate(1234.5)},
		{"0 B", Bytes(0)},
		{"1023 B", Bytes(1023)},
		{"1.0 KiB", Bytes(1024)},
		{"1.0 MiB", Bytes(1<<20 - 1)}, // not 1024.0 KiB
		{"1023.9 KiB", Bytes(1<<20 - 100)},
		{"23.0 MiB", Bytes(23 << 20)},
		{"5.0 GiB", Bytes(5 << 30)},
		{"3.0 PiB", Bytes(3 << 50)},
		{"1.0 PiB", Bytes(1<<50 - 1)}, // not 1024.0 TiB
		{"16.0 EiB", Bytes(math.MaxUint64)},
		{"0 %", Percent(0)},
		{"1.23 %", Percent(0.0123456)},
		{"100 %", Percent(1)},
		{"200 %", Percent(2)},
		{"0 %", Share(3, 0)},
		{"0 %", Share(0, 5)},
		{"100 %", Share(5, 5)},
		{"33.3 %", Share(1, 3)},
		{"< 0.001 %", Share(1, 1e9)},    // not 0 %
		{"> 99.9 %", Share(1e6-1, 1e6)}, // not 100 %
	} {
		require.Equal(t, tt.want, tt.got)
	}
}

func TestRoundKeepsFourDigits(t *testing.T) {
	require.NoError(t, quick.Check(func(d time.Duration) bool {
		d %= 1000 * time.Hour
		got := Round(d)
		return math.Abs(float64(got-d)) <= 0.0005*math.Abs(float64(d)) && Round(got) == got
	}, nil))
}

func TestBytesNeverShows1024(t *testing.T) {
	require.NoError(t, quick.Check(func(n uint64, shift uint8) bool {
		n >>= shift % 64
		return !strings.HasPrefix(Bytes(n), "1024")
	}, &quick.Config{MaxCount: 10_000}))
}

func TestPerSecond(t *testing.T) {
	require.Zero(t, PerSecond(5, 0))
	require.Zero(t, PerSecond(5, -time.Second))
	require.InDelta(t, 2.5, PerSecond(5, 2*time.Second), 1e-12)
}

// A quantile needs so many samples that one of them lies beyond it.
func TestSamplesToShow(t *testing.T) {
	for q, want := range map[float64]int64{0.5: 2, 0.9: 10, 0.95: 20, 0.99: 100, 0.999: 1000, 2.0 / 3: 3} {
		require.Equal(t, want, SamplesToShow(q), "%v", q)
	}
}

func TestByCount(t *testing.T) {
	require.Equal(t, []string{"b", "a", "c", "d"}, ByCount(map[string]int64{"a": 2, "b": math.MaxInt64, "c": 2, "d": -1}))
	require.Empty(t, ByCount[string](nil))
}

func TestCut(t *testing.T) {
	require.Equal(t, "abc", Cut("abc", 3))
	require.Equal(t, "äöü", Cut("äöü", 3), "characters, not bytes")
	require.Equal(t, "ab…", Cut("abcd", 3))
	require.Equal(t, "äö…", Cut("äöüß", 3))
	require.Equal(t, "…", Cut("abcd", 0))
}
