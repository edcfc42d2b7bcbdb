package resilience

import (
	"errors"
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

// base keeps the clock's reading from being optimised away.
var base = time.Now()

// baselines are what a pattern can be compared with at the least.
var baselines = []impl{
	{"direct", succeed},
	{"timesince", func() error {
		if time.Since(base) < 0 {
			return errDown
		}
		return succeed()
	}},
}

// bench runs each of impls serially and in parallel. want is what every call must
// return: a breaker that has quietly opened would be fast.
func bench(b *testing.B, want error, impls ...impl) {
	b.Helper()
	for _, i := range impls {
		b.Run("impl="+i.name+"/by=one", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := i.call(); !errors.Is(err, want) {
					b.Fatalf("got error %v, want %v", err, want)
				}
			}
		})
		b.Run("impl="+i.name+"/by=all", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := i.call(); !errors.Is(err, want) {
						b.Errorf("got error %v, want %v", err, want)
						return
					}
				}
			})
		})
	}
}
