package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// Plan is a run of several rounds.
type Plan struct {
	Contestants []Contestant
	// Connections are the numbers of connections to measure with.
	Connections []int
	Rounds      int
	// Seed decides the order within the rounds.
	Seed uint64
	// Measure does a single measurement; see [Bench.Measure].
	Measure func(ctx context.Context, c Contestant, connections int) (Measurement, error)
	// Progress is told about each round; nil for silence.
	Progress io.Writer
}

// Validate reports every fault.
func (p Plan) Validate() error {
	var faults []error
	if len(p.Contestants) == 0 {
		faults = append(faults, errors.New("peers: a plan without contestants"))
	}
	names := make(map[string]bool)
	for _, c := range p.Contestants {
		if names[c.Name] {
			faults = append(faults, fmt.Errorf("peers: contestant %q comes twice", c.Name))
		}
		names[c.Name] = true
	}
	if len(p.Connections) == 0 {
		faults = append(faults, errors.New("peers: a plan without connections"))
	}
	for i, n := range p.Connections {
		if n < 1 {
			faults = append(faults, fmt.Errorf("peers: %d connections: must be 1 at least", n))
		}
		if slices.Contains(p.Connections[:i], n) {
			faults = append(faults, fmt.Errorf("peers: %d connections come twice", n))
		}
	}
	if p.Rounds < 1 {
		faults = append(faults, fmt.Errorf("peers: %d rounds", p.Rounds))
	}
	if p.Measure == nil {
		faults = append(faults, errors.New("peers: a plan with nothing to measure by"))
	}
	return errors.Join(faults...)
}

// Takes is about how long Run will take, if takes says it of one measurement.
func (p Plan) Takes(takes func(Contestant) time.Duration) time.Duration {
	var round time.Duration
	for _, c := range p.Contestants {
		round += takes(c)
	}
	return round * time.Duration(len(p.Connections)*p.Rounds)
}

// Run carries the plan out. A contestant that fails is out, at this number of
// connections, and all that was measured of it there is dropped; the results say
// why. Run fails only with ctx.
func (p Plan) Run(ctx context.Context) (*Results, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := &Results{plan: p, samples: make(map[cell][]Measurement), out: make(map[cell]error)}
	order := rand.New(rand.NewPCG(p.Seed, 0))
	connections, contestants := slices.Clone(p.Connections), slices.Clone(p.Contestants)
	for round := range p.Rounds {
		p.say("round %d of %d\n", round+1, p.Rounds)
		// All contestants at one number of connections, then all at the next: what is
		// divided by each other should be as close in time as it can be.
		order.Shuffle(len(connections), func(i, j int) { connections[i], connections[j] = connections[j], connections[i] })
		for _, n := range connections {
			order.Shuffle(len(contestants), func(i, j int) { contestants[i], contestants[j] = contestants[j], contestants[i] })
			for _, c := range contestants {
				at := cell{c.Name, n}
				if r.out[at] != nil {
					continue
				}
				m, err := p.Measure(ctx, c, n)
				if ctx.Err() != nil {
					return nil, fmt.Errorf("peers: round %d: %w", round+1, context.Cause(ctx))
				}
				if err != nil {
					p.say("%s is out at %d connections: %v\n", c.Name, n, err)
					r.out[at] = err
					delete(r.samples, at)
					continue
				}
				r.samples[at] = append(r.samples[at], m)
			}
		}
	}
	return r, nil
}

func (p Plan) say(format string, args ...any) {
	if p.Progress != nil {
		fmt.Fprintf(p.Progress, format, args...)
	}
}
