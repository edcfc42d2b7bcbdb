package pace

import (
	"errors"
	"time"
)

// Burst returns a schedule without end of n arrivals at once, at the start and every
// d from there on. Both are positive.
func Burst(n int64, every time.Duration) Schedule {
	if err := errors.Join(checkPositive("Burst: n", n), checkPositive("Burst: every", every)); err != nil {
		return Schedule{err: err}
	}
	return Schedule{root: &bursts{n, every, forever}}
}

type bursts struct {
	n        int64
	every, d time.Duration
}

func (b *bursts) endless() bool              { return b.d == forever }
func (b *bursts) length() time.Duration      { return b.d }
func (b *bursts) rate(time.Duration) float64 { return float64(b.n) / b.every.Seconds() }

func (b *bursts) len() int64 {
	if times := int64((b.d-1)/b.every) + 1; times <= unbounded/b.n {
		return times * b.n
	}
	return unbounded
}

func (b *bursts) until(d time.Duration) Schedule {
	return Schedule{root: &bursts{b.n, b.every, min(d, b.d)}}
}

func (b *bursts) scale(factor float64) Schedule {
	every := float64(b.every) / factor
	if every < 1 || every >= float64(forever) {
		return Schedule{err: fault("Scale: factor is %v: must leave between bursts that come every %v from 1ns to 292 years", factor, b.every)}
	}
	return Schedule{root: &bursts{b.n, time.Duration(every + 0.5), b.d}}
}

func (b *bursts) steps() stepper {
	return numbered(b.len(), func(k int64) time.Duration { return time.Duration(k/b.n) * b.every })
}
