//go:build linux

package wake

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// With the last descriptor there is, a timer works all the same.
func TestNoDescriptor(t *testing.T) {
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 3 // the standard ones
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	timer := New(time.Now())
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	require.Nil(t, timer.fd)
	require.True(t, timer.WaitUntil(time.Millisecond))
	require.NoError(t, timer.Close())
	timer = New(time.Now())
	defer timer.Close()
	require.NotNil(t, timer.fd, "the limit was the reason")
}

// A timer that somebody else has set to now makes no wait end early, nor one last.
func TestExpiredBefore(t *testing.T) {
	timer := New(time.Now())
	defer timer.Close()
	for range 100 {
		timer.fd.wake()
		at := time.Since(timer.base) + 200*time.Microsecond
		require.True(t, timer.WaitUntil(at))
		require.GreaterOrEqual(t, time.Since(timer.base), at)
	}
}

// Nor is one right after that look, at which the timer is set already: set after it,
// the timer would be set from now to an hour.
func TestCalledJustAfter(t *testing.T) {
	var fd *timerFD
	fd = newTimerFD(func() bool {
		defer fd.wake() // what another goroutine does next
		return false
	})
	require.NotNil(t, fd)
	for range 1000 {
		fd.sleep(time.Hour)
	}
	require.NoError(t, fd.close())
}

// A call between the waiter's last look and its setting of the timer is not lost: the
// sleep would last an hour.
func TestCalledJustBefore(t *testing.T) {
	timer := New(time.Now())
	defer timer.Close()
	timer.Interrupt()
	timer.fd.sleep(time.Hour)
	require.False(t, timer.WaitUntil(time.Hour))
}
