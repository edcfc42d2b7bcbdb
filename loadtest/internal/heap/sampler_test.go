package heap

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSamplerKeepsTheLargest(t *testing.T) {
	const size = 64 << 20
	s := NewSampler()
	require.Positive(t, s.Recent())
	large := make([]byte, size)
	require.GreaterOrEqual(t, s.Recent(), uint64(size))
	runtime.KeepAlive(large)
	runtime.GC()
	require.GreaterOrEqual(t, s.Recent(), uint64(size), "as large as that when the time began")
	require.Less(t, s.Recent(), uint64(size), "and then no more")
}

func TestWatchEndsAfterALastLook(t *testing.T) {
	s := NewSampler()
	stop := make(chan struct{})
	large := make([]byte, 64<<20)
	close(stop)
	s.Watch(stop)
	require.GreaterOrEqual(t, s.Recent(), uint64(len(large)))
	runtime.KeepAlive(large)
}

func TestALongWatchLooksLessOften(t *testing.T) {
	for age, want := range map[time.Duration]time.Duration{0: time.Millisecond, 2 * time.Second: 2 * time.Millisecond, time.Hour: 10 * time.Millisecond} {
		require.Equal(t, want, period(age))
	}
}
