package pace

import (
	"sync"
	"time"
)

// taken is the first n arrivals of a node.
type taken struct {
	of   node
	n    int64
	ends func() time.Duration
}

func newTaken(of node, n int64) Schedule {
	return Schedule{root: &taken{of, n, sync.OnceValue(func() time.Duration {
		if at, _, ok := of.steps()(n); ok {
			return at
		}
		return of.length()
	})}}
}

// endless reports whether the n arrivals never come together.
func (t *taken) endless() bool {
	n := t.of.len()
	return t.of.endless() && n != unknown && n <= t.n
}

func (t *taken) length() time.Duration { return t.ends() }

func (t *taken) len() int64 {
	if n := t.of.len(); n != unknown {
		return min(n, t.n)
	}
	return unknown
}

func (t *taken) rate(at time.Duration) float64  { return t.of.rate(at) }
func (t *taken) until(d time.Duration) Schedule { return t.of.until(d).Take(t.n) }
func (t *taken) scale(factor float64) Schedule  { return t.of.scale(factor).Take(t.n) }

func (t *taken) steps() stepper {
	of, left := t.of.steps(), t.n
	return func(skip int64) (time.Duration, int64, bool) {
		if skip >= left {
			left = 0
			return 0, 0, false
		}
		left -= skip + 1
		return of(skip)
	}
}

// sharded is every n-th arrival of a node, from number i on.
type sharded struct {
	of   node
	i, n int64
}

func (d *sharded) endless() bool         { return d.of.endless() }
func (d *sharded) length() time.Duration { return d.of.length() }

func (d *sharded) len() int64 {
	switch n := d.of.len(); {
	case n == unknown || n == unbounded:
		return n
	case n <= d.i:
		return 0
	default:
		return (n-d.i-1)/d.n + 1
	}
}

func (d *sharded) rate(at time.Duration) float64 { return d.of.rate(at) / float64(d.n) }

func (d *sharded) until(t time.Duration) Schedule {
	return d.of.until(t).Shard(int(d.i), int(d.n))
}

func (d *sharded) scale(factor float64) Schedule {
	return d.of.scale(factor).Shard(int(d.i), int(d.n))
}

func (d *sharded) steps() stepper {
	of, gap := d.of.steps(), d.i
	return func(skip int64) (time.Duration, int64, bool) {
		if skip > (unbounded-gap)/d.n {
			return of(unbounded) // there are never so many
		}
		skip, gap = gap+skip*d.n, d.n-1
		return of(skip)
	}
}

// cut is the arrivals of a node that are due before d.
type cut struct {
	of node
	d  time.Duration
}

func (c *cut) endless() bool                  { return false }
func (c *cut) length() time.Duration          { return min(c.of.length(), c.d) }
func (c *cut) len() int64                     { return unknown }
func (c *cut) rate(at time.Duration) float64  { return c.of.rate(at) }
func (c *cut) until(d time.Duration) Schedule { return Schedule{root: &cut{c.of, min(c.d, d)}} }
func (c *cut) scale(factor float64) Schedule  { return c.of.scale(factor).Until(c.d) }

func (c *cut) steps() stepper {
	of := c.of.steps()
	return func(skip int64) (time.Duration, int64, bool) {
		if at, k, ok := of(skip); ok && at < c.d {
			return at, k, true
		}
		return 0, 0, false
	}
}
