package capacity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

const (
	// patience is how long closing the engine waits for requests.
	patience = 5 * time.Second
	// probes are made before the first trial, one after the other.
	probes = 5
	// hopeless is the largest share that an objective may allow to be lost for it to be out
	// of reach if all probes miss it.
	hopeless = 0.1
	// settlePause is between probes after a trial.
	settlePause = 10 * time.Millisecond
	// staysInTrial is how many times as long as users stay a trial must last.
	staysInTrial = 5
	// slack is how much longer than the slowest of the first probes a healthy one may
	// take, besides twice as long.
	slack = time.Millisecond
	// guessInFlight is how many requests the first trial keeps in flight, if the service
	// has no room for more; twice as many is the most. It comes at guessRate at most.
	guessInFlight = 64
	guessRate     = 50_000
	// maxInvalid is how many trials in a row may be invalid.
	maxInvalid = 3
)

// Search looks for the highest rate at which what the requests, or else o.Source, are
// sent to meets the objectives. It makes its trials one after the other with an
// [loadtest.ArrivalEngine], and waits for the service to recover in between.
//
// The error matches [ErrConfig] or [loadtest.ErrConfig] if the options are at fault, and
// is the result's End if the search has ended without a capacity; the result then has
// what is known so far. A search whose ctx is done ends with its cause.
func Search(ctx context.Context, o Options, reqs ...*loadtest.Request) (r Result, err error) {
	if ctx == nil {
		return Result{}, loadtest.ErrNilContext
	}
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	engine, err := loadtest.NewArrivalEngine(o.engine())
	if err != nil {
		return Result{}, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if closing := engine.Close(ctx); closing != nil {
			err = errors.Join(err, closing)
		}
	}()
	d := &driver{options: o, goals: o.goals(), engine: engine, requests: reqs, source: o.Source}
	if len(reqs) > 0 || reflect.ValueOf(o.Source).IsZero() { // a Func needs no request
		d.source = loadtest.Cycle(reqs...)
	}
	if d.options.Budget == 0 {
		d.options.Budget = defaultTrials * d.longestTrial()
	}
	if d.options.Settle == 0 {
		d.options.Settle = defaultSettle
	}
	if o.Sharded {
		c := o.process
		if c == nil {
			env, err := shards.FromEnv()
			if err != nil {
				return Result{}, err
			}
			c = &env
		}
		if d.crew, err = c.Exchange(ctx, cmp.Or(o.name, "capacity")); err != nil {
			return Result{}, err
		}
	}
	d.began = time.Now()
	switch {
	case d.crew == nil:
		return d.result(d.search(ctx))
	case d.crew.Shard().Index > 0:
		return d.follow(ctx)
	}
	r, err = d.result(d.search(ctx))
	return r, errors.Join(err, d.crew.End(r, err))
}

// driver makes the trials of one search.
type driver struct {
	options  Options
	goals    []Goal
	engine   *loadtest.ArrivalEngine
	requests []*loadtest.Request
	source   loadtest.Source
	began    time.Time
	crew     *shards.Exchange // nil if this process is alone
	orders   int              // trials and controls begun

	http     bool          // the first request had a response with a status
	users    bool          // an arrival is a user, of whom it is not known how long they stay
	sends    float64       // requests for each of the first arrivals
	busy     time.Duration // how long the first arrivals kept the service busy, at least
	stay     time.Duration // how long the same one stayed
	quickest time.Duration // of the first probes
	healthy  time.Duration // a probe that takes longer is not
	searcher *Searcher
	trials   []Trial // all, those too that the searcher has not seen
}

func (d *driver) longestTrial() (longest time.Duration) {
	for _, g := range d.goals {
		longest = max(longest, g.withDefaults().TrialDuration)
	}
	return longest
}

// search returns an *EndError if the search ends without a capacity for a reason that the
// searcher does not know, or another error if it cannot go on.
func (d *driver) search(ctx context.Context) error {
	if err := d.examine(ctx); err != nil {
		return err
	}
	c := d.options.config()
	c.Guess = min(guessInFlight/max(d.busy.Seconds(), 1e-9), guessRate)
	// The control takes as many trials at the most.
	c.Budget = max(d.options.Budget-time.Since(d.began)-controlTrials*d.longestTrial(), 1)
	var err error
	if d.searcher, err = New(c); err != nil {
		return err
	}
	invalid := 0
	for {
		rate, length, ok := d.searcher.Next()
		if !ok {
			break
		}
		t, err := d.try(ctx, rate, length)
		if err != nil {
			return err
		}
		if t.Kind != TrialInvalid || len(d.trials) == 0 { // the first counts for nothing anyway
			invalid = 0
			d.searcher.Observe(t)
			if len(d.trials) == 0 {
				t.Kind = TrialWarmup
			}
			d.add(t)
			continue
		}
		d.add(t)
		d.searcher.Spend(t.Elapsed)
		if invalid++; invalid == maxInvalid {
			return &EndError{ErrGenerator, fmt.Sprintf("at %s/s %s", text.Rate(rate), t.Note)}
		}
	}
	if r := d.searcher.Result(); r.End == nil {
		return d.control(ctx, r.Upper)
	}
	return nil
}

func (d *driver) add(t Trial) {
	d.trials = append(d.trials, t)
	if d.options.OnTrial != nil {
		d.options.OnTrial(t)
	}
}

// result returns what is known; err is what has ended the search, if not the searcher.
func (d *driver) result(err error) (Result, error) {
	r := Result{Width: d.options.config().withDefaults().Width}
	if d.searcher != nil {
		r = d.searcher.Result()
	}
	r.Trials = d.trials
	if err != nil {
		r.Capacity = 0
		if !errors.As(err, &r.End) {
			r.End = &EndError{Reason: err}
		}
	}
	return r, r.Err()
}

// try makes a trial when the service has settled.
func (d *driver) try(ctx context.Context, rate float64, length time.Duration) (Trial, error) {
	began := time.Now()
	most, needed := d.options.Engine.MaxInFlight, d.options.inFlight(rate)
	if d.users {
		needed = maxInFlight
	}
	if len(d.trials) == 0 {
		// Of users so many that as many of their requests are in flight.
		needed = int(2 * guessInFlight * max(float64(d.stay)/float64(max(d.busy, 1)), 1))
	} else if err := d.settle(ctx); err != nil {
		return Trial{}, err
	}
	if most == 0 {
		most = needed
	}
	r, err := d.run(ctx, order{Rate: rate, Length: length, MaxInFlight: most}, d.source)
	if err != nil {
		return Trial{}, err
	}
	t := judge(d.goals, r, most < needed)
	if d.users { // the run ends with the last of them
		t.Throughput = text.PerSecond(r.Scheduled, length) * float64(r.Requests-r.ErrorCount) / float64(max(due(r), 1))
	}
	t.Rate, t.Duration, t.Elapsed = rate, length, time.Since(began)
	return t, nil
}

// run sends src as o says, or has all shards do so.
func (d *driver) run(ctx context.Context, o order, src loadtest.Source) (*loadtest.EngineResult, error) {
	d.orders++
	o.Trial = d.orders
	schedule := d.options.schedule(o.Rate, o.Length)
	r, err := d.carryOut(ctx, o, schedule, src)
	if err != nil {
		return nil, err
	}
	due := schedule.Len()
	if due < 0 {
		due = 0
		for range schedule.All() {
			due++
		}
	}
	if r.Scheduled < due {
		return nil, fmt.Errorf("capacity: the source has ended after %s of %s arrivals: use one without an end, such as loadtest.Cycle", text.Count(r.Scheduled), text.Count(due))
	}
	return r, nil
}

// probe sends one request.
func (d *driver) probe(ctx context.Context) (*loadtest.EngineResult, error) {
	return d.engine.RunSchedule(ctx, pace.Recorded(0), 1, d.source)
}

// examine looks at the service before the first trial.
func (d *driver) examine(ctx context.Context) error {
	var slowest time.Duration
	for i := range probes + 1 { // the first opens a connection
		r, err := d.probe(ctx)
		if err != nil {
			return err
		}
		if r.Users > 0 && r.Elapsed > d.longestTrial()/staysInTrial {
			return fault("TrialDuration is %v: users stay for %v, and a trial in which their number does not level off says little; set it to %v or more",
				d.longestTrial(), text.Duration(r.Elapsed), (staysInTrial*r.Elapsed).Round(time.Second)+time.Second)
		}
		if failed(r) {
			return &EndError{ErrMinRate, "one request at a time: " + errorText(r)}
		}
		d.http, d.users = d.http || len(r.StatusCodes) > 0, r.Users > 0
		if took := r.P99(); i > 0 {
			slowest = max(slowest, took)
			if i == 1 || took < d.quickest {
				d.quickest, d.busy, d.stay = took, r.Mean()*time.Duration(r.Requests), r.Elapsed
			}
			d.sends += float64(r.Requests) / probes
		}
	}
	d.healthy = max(2*slowest, slowest+slack)
	for _, g := range d.goals {
		if g.Limit > 0 && g.LossRatio <= hopeless && d.quickest > g.Limit {
			return &EndError{ErrMinRate, fmt.Sprintf("of %d requests, one at a time, the quickest took %v: %s", probes, text.Duration(d.quickest), g.Name)}
		}
	}
	return nil
}

// settle waits until a request takes no longer than at the beginning. None is in flight
// then: a run of the engine ends with the last.
func (d *driver) settle(ctx context.Context) error {
	began := time.Now()
	for pause := settlePause; ; pause *= 2 {
		r, err := d.probe(ctx)
		if err != nil {
			return err
		}
		if !failed(r) && r.P99() <= d.healthy {
			return nil
		}
		if waited := time.Since(began); waited >= d.options.Settle {
			seen := fmt.Sprintf("took %v", text.Duration(r.P99()))
			if failed(r) {
				seen = "failed: " + errorText(r)
			}
			last := d.trials[len(d.trials)-1]
			return &EndError{ErrUnsettled, fmt.Sprintf("%v after one at %s/s, a single request %s, where it took %v at the beginning; raise Settle, or see what the service still does",
				waited.Round(time.Millisecond), text.Rate(last.Rate), seen, text.Duration(d.quickest))}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(pause, d.options.Settle/4)):
		}
	}
}
