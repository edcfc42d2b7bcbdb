package resilience

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// window is what breakers look back on.
const window = 10 * time.Second

var errDown = errors.New("down")

func succeed() error { return nil }

func fail() error { return errDown }

// impl is one library's way to run a call.
type impl struct {
	name string
	call func() error
}

// again is i under another name: what the two differ by is the noise.
func (i impl) again() impl { return impl{i.name + ".again", i.call} }

// base keeps the clock's reading from being optimised away.
var base = time.Now()

var clock = impl{"timesince", func() error {
	if time.Since(base) < 0 {
		return errDown
	}
	return succeed()
}}

// baselines are what a pattern can be compared with at the least.
var baselines = []impl{{"direct", succeed}, clock, clock.again()}

// word is what floor counts on.
var word atomic.Uint64

// floor is the bare call, adds atomic additions and, if timed, one reading of the
// clock: no more than it takes to count what happens at all, without a lock. On
// some processors an atomic addition takes 3 ns, on others 10; without this a
// difference to the clock would say more about the processor than about a library.
func floor(timed bool, adds int) impl {
	return impl{"floor", func() error {
		if timed && time.Since(base) < 0 {
			return errDown
		}
		for range adds {
			word.Add(1)
		}
		return succeed()
	}}
}

// bench runs each of impls serially and in parallel. want is what every call must
// return: a breaker that has quietly opened would be fast.
func bench(b *testing.B, want error, impls ...impl) {
	b.Helper()
	for _, i := range impls {
		b.Run("impl="+i.name+"/by=one", func(b *testing.B) {
			b.ReportAllocs()
			var got error
			for b.Loop() {
				if got = i.call(); unexpected(got, want) {
					break
				}
			}
			check(b, got, want)
		})
		b.Run("impl="+i.name+"/by=all", func(b *testing.B) { parallel(b, want, i) })
	}
}

// crowd runs each of impls from many goroutines.
func crowd(b *testing.B, goroutines string, n int, impls ...impl) {
	b.Helper()
	for _, i := range impls {
		b.Run("impl="+i.name+"/by="+goroutines, func(b *testing.B) {
			procs := runtime.GOMAXPROCS(0)
			b.SetParallelism((n + procs - 1) / procs)
			parallel(b, nil, i)
		})
	}
}

func parallel(b *testing.B, want error, i impl) {
	b.Helper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		got := want
		for pb.Next() {
			if got = i.call(); unexpected(got, want) {
				break
			}
		}
		check(b, got, want)
	})
}

// unexpected is cheap, so that it weighs the same on all: errors.Is takes longer
// for an error with an Is method than for a bare one. check is for the last call.
func unexpected(got, want error) bool { return (got == nil) != (want == nil) }

func check(b *testing.B, got, want error) {
	b.Helper()
	if !errors.Is(got, want) {
		b.Errorf("got error %v, want %v", got, want)
	}
}
