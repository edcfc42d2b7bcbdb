package benchrun

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/benchgate"
)

// Outcome is everything a run has found.
type Outcome struct {
	Set    *benchgate.Set
	Report *benchgate.Report
	// Noise is the results of the A/A phase.
	Noise [2][]*benchfmt.Result
	// Restless are the metrics that differed between the base and itself.
	Restless []*benchgate.Row
	// Rounds says how many pairs each benchmark took.
	Rounds []int

	cfg  Config
	jobs []*job
}

// job is one benchmark to run in pairs.
type job struct {
	leaf
	pkg        Package
	iterations int
	rounds     int
	done       bool // settled, or failed
}

// Run carries the plan out. A benchmark that fails or cannot be read is a fault in
// the report, as is one that only the base has; everything else goes on.
func Run(ctx context.Context, cfg Config) (*Outcome, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	set := &benchgate.Set{Skip: cfg.Skip}
	if cfg.Baseline != nil {
		set, cfg.AA, cfg.Max = cfg.Baseline, 0, cfg.Count
		// What is not asked for is not missed at the head.
		set.Results[benchgate.Base] = slices.DeleteFunc(set.Results[benchgate.Base], func(r *benchfmt.Result) bool {
			l := cfg.leaf(r)
			return !slices.ContainsFunc(cfg.Packages, func(p Package) bool { return p.Path == l.pkg }) || !benchgate.Selects(cfg.Bench, l.name)
		})
	}
	cfg.Rules.Looks = cfg.looks()
	o := &Outcome{Set: set, cfg: cfg}
	found, err := o.discover(ctx)
	if err != nil {
		return nil, err
	}
	order := rand.New(rand.NewPCG(cfg.Seed, 0))
	if err := o.measureNoise(ctx, order); err != nil {
		return nil, err
	}
	if err := o.measure(ctx, order); err != nil {
		return nil, err
	}
	o.arrange()
	if o.Report, err = o.judge(); err != nil {
		return nil, err
	}
	o.Report.Faults = append(o.Report.Faults, found.Faults...)
	o.Report.New, o.Report.Gone = append(o.Report.New, found.New...), append(o.Report.Gone, found.Gone...)
	for _, j := range o.jobs {
		o.Rounds = append(o.Rounds, j.rounds)
	}
	o.predict()
	return o, nil
}

// pair runs a job on two sides in random order and stores what it gives. A
// failure ends the job and takes its results back.
func (o *Outcome) pair(ctx context.Context, j *job, sides [2]benchgate.Side, into *[2][]*benchfmt.Result, order *rand.Rand) error {
	for _, column := range columns(order) {
		side := sides[column]
		if side == benchgate.Base && o.cfg.Baseline != nil {
			continue
		}
		results, faults, err := o.process(ctx, j.pkg, side, j.pattern(), strconv.Itoa(j.iterations)+"x")
		if err != nil {
			return fmt.Errorf("%s: %w", j.leaf, err)
		}
		faults = o.ofWhole(faults)
		results = slices.DeleteFunc(results, func(r *benchfmt.Result) bool { return o.cfg.leaf(r) != j.leaf })
		if len(faults) == 0 && len(results) != 1 {
			f := benchgate.Fault{Kind: benchgate.Failed, Side: side.String(), Pkg: j.leaf.pkg, Text: fmt.Sprintf("it gave %d results in one run", len(results))}
			if len(results) == 0 {
				f.Kind, f.Text = benchgate.Vanished, "it gave no result when it ran alone"
			}
			faults = append(faults, f)
		}
		if len(faults) > 0 {
			o.give(j, faults)
			return nil
		}
		into[column] = append(into[column], results...)
	}
	return nil
}

// ofWhole returns the faults of a whole benchmark; those of a single metric are stored.
func (o *Outcome) ofWhole(faults []benchgate.Fault) []benchgate.Fault {
	return slices.DeleteFunc(faults, func(f benchgate.Fault) bool {
		if ofMetric(f) {
			o.Set.AddFault(f)
		}
		return ofMetric(f)
	})
}

// columns returns the order in which the two sides of a pair run.
func columns(order *rand.Rand) [2]int {
	first := order.IntN(2)
	return [2]int{first, 1 - first}
}

// give ends a job that cannot be judged.
func (o *Outcome) give(j *job, faults []benchgate.Fault) {
	for _, f := range faults {
		if f.Bench == "" {
			f.Bench = j.name // nothing else was running
		}
		o.Set.Faults = append(o.Set.Faults, f)
	}
	j.done = true
	o.forget(j.leaf)
}

func (o *Outcome) forget(l leaf) {
	for _, results := range []*[2][]*benchfmt.Result{&o.Set.Results, &o.Noise} {
		for side := range results {
			results[side] = slices.DeleteFunc(results[side], func(r *benchfmt.Result) bool { return o.cfg.leaf(r) == l })
		}
	}
}

// arrange puts the results, which came in shuffled order, into that of the source.
func (o *Outcome) arrange() {
	place := make(map[leaf]int)
	for i, j := range o.jobs {
		place[j.leaf] = i
	}
	for _, results := range []*[2][]*benchfmt.Result{&o.Set.Results, &o.Noise} {
		for side := range results {
			slices.SortStableFunc(results[side], func(a, b *benchfmt.Result) int { return place[o.cfg.leaf(a)] - place[o.cfg.leaf(b)] })
		}
	}
}

// round gives every open job one pair.
func (o *Outcome) round(ctx context.Context, sides [2]benchgate.Side, into *[2][]*benchfmt.Result, order *rand.Rand) error {
	jobs := slices.Clone(o.jobs)
	order.Shuffle(len(jobs), func(a, b int) { jobs[a], jobs[b] = jobs[b], jobs[a] })
	for _, j := range jobs {
		if j.done {
			continue
		}
		if err := o.pair(ctx, j, sides, into, order); err != nil {
			return err
		}
	}
	return nil
}

func (o *Outcome) open() (n int) {
	for _, j := range o.jobs {
		if !j.done {
			n++
		}
	}
	return n
}

// measureNoise compares the base with itself.
func (o *Outcome) measureNoise(ctx context.Context, order *rand.Rand) error {
	for i := range o.cfg.AA {
		if o.open() == 0 {
			return nil
		}
		o.cfg.say("noise: the base against itself, round %d of %d", i+1, o.cfg.AA)
		if err := o.round(ctx, [2]benchgate.Side{}, &o.Noise, order); err != nil {
			return err
		}
	}
	return nil
}

// measure runs rounds and looks after each Count of them.
func (o *Outcome) measure(ctx context.Context, order *rand.Rand) error {
	for n := 1; n <= o.cfg.limit() && o.open() > 0; n++ {
		began := time.Now()
		open := o.open()
		if err := o.round(ctx, [2]benchgate.Side{benchgate.Base, benchgate.Head}, &o.Set.Results, order); err != nil {
			return err
		}
		for _, j := range o.jobs {
			if !j.done {
				j.rounds = n
			}
		}
		next := min(o.cfg.limit(), (n+o.cfg.Count-1)/o.cfg.Count*o.cfg.Count)
		o.cfg.say("round %d: %s; next look in %v", n, benchmarks(open), (time.Since(began) * time.Duration(next-n)).Round(time.Second))
		if n != next {
			continue
		}
		rep, err := o.judge()
		if err != nil {
			return err
		}
		o.settle(rep)
		if left := o.open(); left > 0 && n < o.cfg.limit() {
			o.cfg.say("look after %d rounds: %d of %s not settled", n, left, benchmarks(len(o.jobs)))
		}
	}
	return nil
}

func benchmarks(n int) string {
	if n == 1 {
		return "1 benchmark"
	}
	return fmt.Sprintf("%d benchmarks", n)
}

// judge is a look. Its rows' samples are sorted, not the set's results.
func (o *Outcome) judge() (*benchgate.Report, error) { return benchgate.Judge(o.Set, &o.cfg.Rules) }

// settle closes the jobs of which every metric has its verdict.
func (o *Outcome) settle(rep *benchgate.Report) {
	open := make(map[string]bool)
	for _, row := range rep.Rows {
		if !row.Settled() {
			open[row.Pkg+"."+o.cfg.strip(row.Bench)] = true
		}
	}
	for _, j := range o.jobs {
		if !open[j.String()] {
			j.done = true
		}
	}
}
