package pace

import (
	"sync"
	"time"
)

// taken is the first n arrivals of a node.
type taken struct {
	node
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
	n := t.node.len()
	return t.node.endless() && n != unknown && n <= t.n
}

func (t *taken) length() time.Duration { return t.ends() }

func (t *taken) len() int64 {
	if n := t.node.len(); n != unknown {
		return min(n, t.n)
	}
	return unknown
}

func (t *taken) until(d time.Duration) Schedule { return t.node.until(d).Take(t.n) }
func (t *taken) scale(factor float64) Schedule  { return t.node.scale(factor).Take(t.n) }

func (t *taken) steps() stepper {
	of, left := t.node.steps(), t.n
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
	node
	i, n int64
}

func (d *sharded) len() int64 {
	switch n := d.node.len(); {
	case n == unknown || n == unbounded:
		return n
	case n <= d.i:
		return 0
	default:
		return (n-d.i-1)/d.n + 1
	}
}

func (d *sharded) rate(at time.Duration) float64 { return d.node.rate(at) / float64(d.n) }

func (d *sharded) until(t time.Duration) Schedule {
	return d.node.until(t).Shard(int(d.i), int(d.n))
}

func (d *sharded) scale(factor float64) Schedule {
	return d.node.scale(factor).Shard(int(d.i), int(d.n))
}

func (d *sharded) steps() stepper {
	of, gap := d.node.steps(), d.i
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
	node
	d time.Duration
}

func (c *cut) endless() bool                  { return false }
func (c *cut) length() time.Duration          { return min(c.node.length(), c.d) }
func (c *cut) len() int64                     { return unknown }
func (c *cut) until(d time.Duration) Schedule { return Schedule{root: &cut{c.node, min(c.d, d)}} }
func (c *cut) scale(factor float64) Schedule  { return c.node.scale(factor).Until(c.d) }

func (c *cut) steps() stepper {
	of := c.node.steps()
	return func(skip int64) (time.Duration, int64, bool) {
		if at, k, ok := of(skip); ok && at < c.d {
			return at, k, true
		}
		return 0, 0, false
	}
}
