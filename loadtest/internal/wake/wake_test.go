package wake

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// In a bubble each instant is met exactly.
func TestInstants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		timer := New(base)
		defer timer.Close()
		for _, tt := range []struct {
			reason   string
			at, want time.Duration
		}{
			{"the base itself", 0, 0},
			{"before it", -time.Second, 0},
			{"a nanosecond", 1, 1},
			{"a second", time.Second, time.Second},
			{"the same again", time.Second, time.Second},
			{"what has passed", time.Millisecond, time.Second},
			{"not a whole number of milliseconds", 1_500_000_001, 1_500_000_001},
			{"days", 100 * time.Hour, 100 * time.Hour},
		} {
			require.True(t, timer.WaitUntil(tt.at), tt.reason)
			require.Equal(t, tt.want, time.Since(base), tt.reason)
		}
	})
}

func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		timer := New(base)
		defer timer.Close()

		time.AfterFunc(time.Second, timer.Interrupt)
		require.False(t, timer.WaitUntil(time.Minute))
		require.Equal(t, time.Second, time.Since(base), "the wait under way")
		require.True(t, timer.WaitUntil(2*time.Second), "only that one")
		require.Equal(t, 2*time.Second, time.Since(base))

		timer.Interrupt()
		timer.Interrupt()
		require.False(t, timer.WaitUntil(time.Minute), "the next one")
		require.Equal(t, 2*time.Second, time.Since(base))
		require.True(t, timer.WaitUntil(time.Minute), "two calls are one")
		require.Equal(t, time.Minute, time.Since(base))

		timer.Interrupt()
		require.False(t, timer.WaitUntil(0), "even if it is late")
		require.True(t, timer.WaitUntil(0))
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		timer := New(base)
		time.AfterFunc(time.Second, func() { timer.Close() })
		require.False(t, timer.WaitUntil(time.Minute))
		require.Equal(t, time.Second, time.Since(base))
		require.False(t, timer.WaitUntil(time.Minute), "all later ones")
		require.False(t, timer.WaitUntil(0), "even if it is late")
		timer.Interrupt()
		require.NoError(t, timer.Close(), "again")
	})
}

// eachReal runs f with the timers there are where time passes.
func eachReal(t *testing.T, f func(t *testing.T, timer *Timer)) {
	for _, kind := range []string{"timerfd", "runtime"} {
		t.Run(kind, func(t *testing.T) {
			timer := newReal(kind)
			if timer == nil {
				t.Skip("only on Linux")
			}
			defer func() { require.NoError(t, timer.Close()) }()
			f(t, timer)
		})
	}
}

// newReal returns nil for a kind that the system does not have.
func newReal(kind string) *Timer {
	timer := New(time.Now())
	if kind == "timerfd" {
		if timer.fd == nil && runtime.GOOS != "linux" {
			return nil
		}
		return timer
	}
	timer.Close()
	return withoutFD(time.Now())
}

func TestNeverEarly(t *testing.T) {
	eachReal(t, func(t *testing.T, timer *Timer) {
		require.True(t, timer.WaitUntil(-1))
		for i := range 500 {
			at := time.Since(timer.base) + time.Duration(i%100)*3*time.Microsecond
			require.True(t, timer.WaitUntil(at))
			require.GreaterOrEqual(t, time.Since(timer.base), at)
		}
	})
}

// What was set before Interrupt is seen after the wait that it ends, and no call is
// lost: a wait that nobody ended would last for centuries.
func TestInterruptRaces(t *testing.T) {
	const rounds = 2000
	eachReal(t, func(_ *testing.T, timer *Timer) {
		var told, seen atomic.Int64
		done := make(chan struct{})
		go func() { // ends when it has seen the last round
			defer close(done)
			for i := int64(0); i < rounds; i = told.Load() {
				seen.Store(i)
				at := time.Duration(math.MaxInt64)
				if i%3 == 0 {
					at = time.Since(timer.base) + time.Duration(i%7)*10*time.Microsecond // the timer expires meanwhile
				}
				timer.WaitUntil(at)
			}
		}()
		for i := range int64(rounds) {
			told.Store(i + 1)
			timer.Interrupt()
			for i%5 == 0 && i+1 < rounds && seen.Load() < i+1 {
				runtime.Gosched()
			}
		}
		<-done
	})
}

func TestCloseRaces(t *testing.T) {
	for _, kind := range []string{"timerfd", "runtime"} {
		for i := range 200 {
			timer := newReal(kind)
			if timer == nil {
				t.Skip("only on Linux")
			}
			done := make(chan struct{})
			go func() { // ends with the timer
				defer close(done)
				for timer.WaitUntil(time.Since(timer.base) + time.Duration(i)*time.Microsecond) {
				}
				timer.WaitUntil(time.Hour)
				timer.WaitUntil(time.Hour)
			}()
			go timer.Interrupt() // ends by itself
			for range i % 4 {
				runtime.Gosched()
			}
			require.NoError(t, timer.Close())
			<-done
		}
	}
}

func TestNoAllocations(t *testing.T) {
	eachReal(t, func(t *testing.T, timer *Timer) {
		t.Helper()
		require.Zero(t, testing.AllocsPerRun(100, func() {
			timer.WaitUntil(time.Since(timer.base) + 100*time.Microsecond)
			timer.Interrupt()
			timer.WaitUntil(time.Hour)
		}))
	})
}

// Of wake-ups that are late by anything up to 20 µs, 20 µs more than 30, one in four
// is to come early.
func TestLead(t *testing.T) {
	var l lead
	late := func(i int) time.Duration { return 30*time.Microsecond + time.Duration(i*7%20)*time.Microsecond }
	for i := range 10_000 {
		l.learn(l.d - late(i))
		require.GreaterOrEqual(t, l.d, time.Duration(0))
	}
	early := 0
	for i := range 1000 {
		left := l.d - late(i)
		if left > 0 {
			early++
		}
		l.learn(left)
	}
	require.InDelta(t, 250, early, 25)

	for range 10_000 {
		l.learn(-time.Second)
	}
	require.Equal(t, maxLead, l.d, "on a busy machine")
	for range 10_000 {
		l.learn(1)
	}
	require.Zero(t, l.d, "where each wake-up is prompt")
}

// BenchmarkLateness waits for each of b.N instants, as many a second as it says.
func BenchmarkLateness(b *testing.B) {
	for _, rate := range []int{1000, 10_000} {
		for _, kind := range []string{"timerfd", "runtime"} {
			b.Run(fmt.Sprintf("rate=%d/timer=%s", rate, kind), func(b *testing.B) {
				timer := newReal(kind)
				if timer == nil {
					b.Skip("only on Linux")
				}
				defer timer.Close()
				b.ReportAllocs()
				from, cpu := time.Since(timer.base), cpuTime()
				late := make([]time.Duration, b.N)
				b.ResetTimer()
				for i := range late {
					at := from + time.Duration(i)*time.Second/time.Duration(rate)
					timer.WaitUntil(at)
					late[i] = time.Since(timer.base) - at
				}
				b.StopTimer()
				cpu = cpuTime() - cpu
				slices.Sort(late)
				b.ReportMetric(float64(late[b.N/2].Nanoseconds()), "p50-late-ns")
				b.ReportMetric(float64(late[b.N*99/100].Nanoseconds()), "p99-late-ns")
				b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// Others that can run do so during a Yield, and an Interrupt outlasts it.
func TestYieldLetsOthersRun(t *testing.T) {
	for name, timer := range map[string]*Timer{"as it is": New(time.Now()), "without a descriptor": withoutFD(time.Now())} {
		t.Run(name, func(t *testing.T) {
			defer timer.Close()
			done := make(chan struct{})
			go close(done) // ends at once
			for ran := false; !ran; {
				timer.Yield()
				select {
				case <-done:
					ran = true
				default:
				}
			}
			timer.Interrupt()
			timer.Yield()
			require.False(t, timer.WaitUntil(time.Hour))
			require.Zero(t, testing.AllocsPerRun(100, timer.Yield))
			require.NoError(t, timer.Close())
			timer.Yield()
		})
	}
}
