package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/peers/internal/machine"
)

// contestant is a search in a place, and what it has found, in order.
type contestant struct {
	search
	place string
	truth float64 // the highest rate for runs as long as its trials
	all   []found
}

func measure(ctx context.Context, o options, progress io.Writer) (string, error) {
	service, err := fixtures.NewService(o.service.config())
	if err != nil {
		return "", err
	}
	var contestants []*contestant
	for _, place := range o.places {
		for _, s := range o.searches {
			objective := o.objective
			objective.Run = s.trial(o)
			truth, err := service.MaxRate(objective)
			if err != nil {
				return "", err
			}
			contestants = append(contestants, &contestant{search: s, place: place, truth: truth})
		}
	}
	endless, err := service.MaxRate(o.objective)
	if err != nil {
		return "", err
	}
	began, before := time.Now(), machine.Load()
	order := rand.New(rand.NewPCG(o.seed, 1))
	for range o.runs {
		for _, i := range order.Perm(len(contestants)) {
			if time.Since(began) > o.most {
				break
			}
			c := contestants[i]
			f, err := o.once(ctx, c)
			if err != nil {
				return "", err
			}
			c.all = append(c.all, f)
			fmt.Fprintf(progress, "%s, %s: %.1f/s in %v and %d trials, of %.1f/s %v\n", c.name, c.place, f.rate, f.took.Round(time.Second), f.trials, c.truth, faultText(f.fault))
		}
	}
	return o.report(service.Capacity(), endless, contestants, before, time.Since(began))
}

// once lets a contestant search, against a service of its own.
func (o options) once(ctx context.Context, c *contestant) (f found, err error) {
	service, err := spawn(ctx, serviceVariable, o.service)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	if c.place == beside {
		role := o.neighbor
		role.Seed += uint64(len(c.all)) // another one each time, and the same for each search
		neighbor, err := spawn(ctx, neighborVariable, role)
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, neighbor.Close()) }()
	}
	bounded, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	began := time.Now()
	f, err = c.find(bounded, o, service.says)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		f, err = found{fault: fmt.Errorf("not found within %v", deadline)}, nil
	}
	f.took = time.Since(began)
	return f, err
}

func faultText(err error) string {
	if err == nil {
		return ""
	}
	return "(" + err.Error() + ")"
}
