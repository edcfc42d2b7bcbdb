package capacity

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

// Options say what is searched, by which objectives, and how.
type Options struct {
	// SLO has the objectives: at least one of P50, P95, P99, P999 and Max, and besides
	// MaxErrorRate if it is not 0. What counts are the arrivals scheduled: with a P99 of
	// 50 ms at least 99 % of them must have been answered without an error, and within 50 ms
	// of the instant at which they were due. Errors count as lost in every objective, so
	// that a MaxErrorRate of 0 sets none of its own. Other fields must be zero: a trial is
	// too short to judge them by.
	SLO loadtest.SLO
	// Engine makes the trials. Its Schedule must be zero: the search has its own. A Timeout
	// of 0 means ten times the longest objective, at least 1 s; and a MaxInFlight of 0 as
	// many as twice what can be in flight while the objectives are met. With a smaller one
	// than that, what it drops is the generator's fault, and otherwise the service's. Where
	// users arrive, 0 means 1,000,000: it is not known how long they stay.
	Engine loadtest.ArrivalConfig
	// Source is what is sent, from its beginning in each trial, if there are no requests in
	// the arguments. It must not end: see [loadtest.Cycle], [loadtest.Mix].
	Source loadtest.Source
	// Arrivals returns how arrivals fall at a rate, such as pace.Poisson(rate, 1); a trial
	// cuts it at its end. nil means pace.Constant.
	Arrivals func(rate float64) pace.Schedule

	// MinRate, MaxRate and Width are as in Config.
	MinRate, MaxRate, Width float64
	// ExceedRatio, TrialDuration and DurationSum are as in Goal.
	ExceedRatio                float64
	TrialDuration, DurationSum time.Duration
	// Budget is how long the search may take in all. 0 means 40 s, or as many trials' time
	// if TrialDuration is not 1 s.
	Budget time.Duration
	// Settle is how long the service may take to recover from a trial, until a single
	// request takes as long as at the beginning. 0 means 5 s.
	Settle time.Duration
	// Null is a request that is answered at once, by something that does nothing: with it
	// the generator is checked in the end. nil means a server on the loopback interface
	// that does nothing or, if functions are called instead, a function that does nothing.
	// That is so as well if Engine.Conn has a Transport or a DialContext of its own: for a
	// check of these set Null.
	Null *loadtest.Request
	// OnTrial, if not nil, is called after each trial, by the goroutine that called
	// Search.
	OnTrial func(Trial)
	// Sharded has the shards that the environment names make each trial together, see
	// package shards: shard 0 decides what is tried, and each sends its part. Probes are
	// shard 0's alone. A process that is alone searches as without.
	Sharded bool

	name    string         // of the benchmark
	process *shards.Config // which shard this is, in a test; nil: what the environment says
}

const (
	defaultTrials = 40 // in the budget
	defaultSettle = 5 * time.Second
	timeoutFactor = 10
	minTimeout    = time.Second
	// minInFlight is room for a few requests that happen to be slow.
	minInFlight = 64
	maxInFlight = 1_000_000
)

// goals returns the objectives of the SLO, in the order of its fields.
func (o Options) goals() (out []Goal) {
	add := func(name string, loss float64, limit time.Duration) {
		out = append(out, Goal{
			Name: name, LossRatio: loss, Limit: limit, ExceedRatio: o.ExceedRatio, TrialDuration: o.TrialDuration, DurationSum: o.DurationSum,
		})
	}
	for _, q := range []struct {
		name  string
		q     float64
		limit time.Duration
	}{{"p50", 0.5, o.SLO.P50}, {"p95", 0.95, o.SLO.P95}, {"p99", 0.99, o.SLO.P99}, {"p99.9", 0.999, o.SLO.P999}, {"max", 1, o.SLO.Max}} {
		if q.limit != 0 {
			add(fmt.Sprintf("%s ≤ %v", q.name, q.limit), 1-q.q, q.limit)
		}
	}
	if most := o.SLO.MaxErrorRate; most != 0 {
		add("errors ≤ "+text.Percent(most), most, 0)
	}
	return out
}

// config returns that of the searcher.
func (o Options) config() Config {
	return Config{Goals: o.goals(), MinRate: o.MinRate, MaxRate: o.MaxRate, Width: o.Width, Budget: o.Budget}
}

// Validate reports every fault; each matches [ErrConfig] or [loadtest.ErrConfig].
func (o Options) Validate() error {
	faults := []error{o.SLO.Validate()}
	c := o.config()
	c.Goals = []Goal{{}} // those there are have faults that are not theirs
	faults = append(faults, c.Validate())
	faults = append(faults, Goal{ExceedRatio: o.ExceedRatio, TrialDuration: o.TrialDuration, DurationSum: o.DurationSum}.faults("Options")...)
	if o.longest() <= 0 {
		faults = append(faults, fault("SLO has no limit on response times: set one of P50, P95, P99, P999 and Max"))
	}
	if o.SLO.MaxErrorRate == 1 {
		faults = append(faults, fault("SLO.MaxErrorRate is 1: must be below 1"))
	}
	judged := o.SLO
	judged.P50, judged.P95, judged.P99, judged.P999, judged.Max, judged.MaxErrorRate = 0, 0, 0, 0, 0, 0
	for field, v := range reflect.ValueOf(judged).Fields() {
		if !v.IsZero() {
			faults = append(faults, fault("SLO.%s is set: a trial is too short to judge it", field.Name))
		}
	}
	if !reflect.ValueOf(o.Engine.Schedule).IsZero() {
		faults = append(faults, fault("Engine.Schedule is set: the search has its own; set Arrivals"))
	}
	if o.Engine.OnProgress != nil || o.Engine.Abort != nil {
		faults = append(faults, fault("Engine.OnProgress or Engine.Abort is set: trials are too short for them; set OnTrial"))
	}
	faults = append(faults, o.engine().Validate())
	if o.Settle < 0 {
		faults = append(faults, fault("Settle is %v: must be 0 for the default, or positive", o.Settle))
	}
	return errors.Join(faults...)
}

// engine returns the configuration of the engine, with a schedule of one arrival.
func (o Options) engine() loadtest.ArrivalConfig {
	c := o.Engine
	c.Schedule = pace.Recorded(0)
	c.Timeout = cmp.Or(c.Timeout, max(timeoutFactor*o.longest(), minTimeout))
	c.MaxInFlight = cmp.Or(c.MaxInFlight, maxInFlight)
	return c
}

// longest returns the longest limit of an objective.
func (o Options) longest() (d time.Duration) {
	for _, g := range o.goals() {
		d = max(d, g.Limit)
	}
	return d
}

// schedule returns that of a trial.
func (o Options) schedule(rate float64, d time.Duration) pace.Schedule {
	if o.Arrivals == nil {
		return pace.Constant(rate).Until(d)
	}
	return o.Arrivals(rate).Until(d)
}

// inFlight returns how many requests there must be room for at a rate, so that none is
// dropped that a service which meets the objectives would take: twice as many as are in
// flight, by Little's law, if of what an objective allows to be lost each takes until
// the timeout.
func (o Options) inFlight(rate float64) int {
	timeout := o.engine().Timeout.Seconds()
	most := 0.0
	for _, g := range o.goals() {
		if g.Limit > 0 {
			most = max(most, (1-g.LossRatio)*g.Limit.Seconds()+g.LossRatio*timeout)
		}
	}
	return int(min(math.Ceil(2*rate*most)+minInFlight, maxInFlight))
}
