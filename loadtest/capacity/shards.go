package capacity

import (
	"context"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// order says what all shards send in a trial.
type order struct {
	Trial       int           `json:"trial"` // from 1
	Rate        float64       `json:"rate"`  // of all together
	Length      time.Duration `json:"length_ns"`
	MaxInFlight int           `json:"max_in_flight"`
	Null        bool          `json:"null,omitempty"` // to something that does nothing
	HTTP        bool          `json:"http,omitempty"` // over HTTP
}

// carryOut sends src when schedule says, or has all shards do so together.
func (d *driver) carryOut(ctx context.Context, o order, schedule pace.Schedule, src loadtest.Source) (*loadtest.EngineResult, error) {
	if d.crew == nil {
		return d.engine.RunSchedule(ctx, schedule, o.MaxInFlight, src)
	}
	return d.crew.Lead(ctx, o, func(ctx context.Context) (*loadtest.EngineResult, error) {
		return d.part(ctx, o, schedule, src)
	})
}

// part sends this shard's part of src.
func (d *driver) part(ctx context.Context, o order, schedule pace.Schedule, src loadtest.Source) (*loadtest.EngineResult, error) {
	s := d.crew.Shard()
	return d.engine.RunSchedule(ctx, schedule, (o.MaxInFlight+s.Count-1)/s.Count, src.Shard(s.Index, s.Count))
}

// follow carries out the orders of shard 0, and returns what it has found.
func (d *driver) follow(ctx context.Context) (r Result, err error) {
	r.follower = true
	var null []*loadtest.Request
	stop := func() {} // what null is sent to
	defer func() { stop() }()
	var schedule pace.Schedule
	trial := 0 // that schedule is of; an order may come again
	for more := true; more && err == nil; {
		var o order
		more, err = d.crew.Follow(ctx, &o, &r, func(ctx context.Context) (_ *loadtest.EngineResult, err error) {
			src := d.source
			if o.Null {
				if null == nil {
					if null, stop, err = d.null(o.HTTP); err != nil {
						return nil, err
					}
				}
				src = loadtest.Cycle(null...)
			}
			if o.Trial != trial {
				schedule, trial = d.options.schedule(o.Rate, o.Length), o.Trial
			}
			return d.part(ctx, o, schedule, src)
		})
	}
	return r, err
}
