package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
)

// Plan is a run of several rounds.
type Plan struct {
	Contestants   []Contestant
	Concurrencies []int
	// Requests is how many each contestant sends in each round at each
	// concurrency. Before the first round it sends a tenth of that unmeasured.
	Requests int
	Rounds   int
	// Seed decides the order within the rounds.
	Seed uint64
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
	if len(p.Concurrencies) == 0 {
		faults = append(faults, errors.New("peers: a plan without a concurrency"))
	}
	for i, c := range p.Concurrencies {
		if c < 1 || c > p.Requests {
			faults = append(faults, fmt.Errorf("peers: a concurrency of %d: must be from 1 to the number of requests, %d", c, p.Requests))
		}
		if slices.Contains(p.Concurrencies[:i], c) {
			faults = append(faults, fmt.Errorf("peers: concurrency %d comes twice", c))
		}
	}
	if p.Rounds < 1 {
		faults = append(faults, fmt.Errorf("peers: %d rounds", p.Rounds))
	}
	return errors.Join(faults...)
}

// Run carries the plan out against the server at url. The first contestant that
// fails ends it.
func (p Plan) Run(ctx context.Context, url string) (*Results, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := &Results{plan: p, samples: make(map[sampleKey][]Measurement)}
	for _, concurrency := range p.Concurrencies {
		p.say("warm-up, %d connections\n", concurrency)
		for _, c := range p.Contestants {
			if _, err := Measure(ctx, c, url, concurrency, max(concurrency, p.Requests/10)); err != nil {
				return nil, fmt.Errorf("peers: warm-up: %w", err)
			}
		}
	}
	order := rand.New(rand.NewPCG(p.Seed, 0))
	concurrencies, contestants := slices.Clone(p.Concurrencies), slices.Clone(p.Contestants)
	for round := range p.Rounds {
		p.say("round %d of %d\n", round+1, p.Rounds)
		// All contestants at one concurrency, then all at the next: what is divided
		// by each other should be as close in time as it can be.
		order.Shuffle(len(concurrencies), func(i, j int) {
			concurrencies[i], concurrencies[j] = concurrencies[j], concurrencies[i]
		})
		for _, concurrency := range concurrencies {
			order.Shuffle(len(contestants), func(i, j int) { contestants[i], contestants[j] = contestants[j], contestants[i] })
			for _, c := range contestants {
				m, err := Measure(ctx, c, url, concurrency, p.Requests)
				if err != nil {
					return nil, fmt.Errorf("peers: round %d: %w", round+1, err)
				}
				key := sampleKey{c.Name, concurrency}
				r.samples[key] = append(r.samples[key], m)
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
