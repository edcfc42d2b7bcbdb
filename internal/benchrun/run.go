package benchrun

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/benchgate"
)

// calibration is how long the run takes that finds the benchmarks and their speed.
const calibration = 20 * time.Millisecond

// Outcome is everything a run has found.
type Outcome struct {
	Set    *benchgate.Set
	Report *benchgate.Report
	// Noise is the results of the A/A phase.
	Noise [2][]*benchfmt.Result
	// Visible is, for the rows of the report, the smallest change that would be
	// confirmed nine times out of ten, as the A/A phase predicts it; +Inf if none
	// of up to 400 %. Empty without an A/A phase.
	Visible map[*benchgate.Row]float64
	// Restless are the metrics that differed between the base and itself.
	Restless []*benchgate.Row
	// Iterations and Rounds say how much work each benchmark did, by pkg.Name.
	Iterations map[string]int
	Rounds     map[string]int

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
	if cfg.Bench == "" {
		cfg.Bench = "."
	}
	cfg.Rules.Looks = cfg.looks()
	o := &Outcome{
		Set: &benchgate.Set{Skip: cfg.Skip}, cfg: cfg,
		Visible:    make(map[*benchgate.Row]float64),
		Iterations: make(map[string]int), Rounds: make(map[string]int),
	}
	missing, err := o.discover(ctx)
	if err != nil {
		return nil, err
	}
	if len(o.jobs) == 0 && len(missing.Faults)+len(o.Set.Faults)+len(missing.New)+len(missing.Gone) == 0 {
		return nil, fmt.Errorf("%w: -bench %q matches none", ErrNothing, cfg.Bench)
	}
	order := rand.New(rand.NewPCG(cfg.Seed, 0))
	if err := o.measureNoise(ctx, order); err != nil {
		return nil, err
	}
	if err := o.measure(ctx, order); err != nil {
		return nil, err
	}
	o.arrange()
	rep, err := o.judge()
	if err != nil {
		return nil, err
	}
	rep.Faults = append(rep.Faults, missing.Faults...)
	rep.New, rep.Gone = missing.New, missing.Gone
	o.Report = rep
	for _, j := range o.jobs {
		o.Iterations[j.String()], o.Rounds[j.String()] = j.iterations, j.rounds
	}
	o.predict()
	return o, nil
}

// discover runs everything briefly on both sides, to learn what there is and how
// much of it takes the time wanted.
func (o *Outcome) discover(ctx context.Context) (*benchgate.Report, error) {
	found := new(benchgate.Report)
	for _, pkg := range o.cfg.Packages {
		var leaves [2]map[leaf]*benchfmt.Result
		var names [2][]leaf
		var failures [2][]benchgate.Fault
		for side, bin := range pkg.Binaries {
			leaves[side] = make(map[leaf]*benchfmt.Result)
			if bin.Path == "" && pkg.Broken[side] == "" {
				continue
			}
			o.cfg.say("calibrating %s at %s", pkg.Path, benchgate.Side(side))
			p := process{&o.cfg, o.Set, pkg, benchgate.Side(side), o.cfg.Bench, calibration.String(), nil}
			if o.cfg.Iterations > 0 {
				p.time = strconv.Itoa(o.cfg.Iterations) + "x"
			}
			results, faults, err := p.run(ctx)
			if err != nil {
				return nil, err
			}
			// A metric counts when it is measured.
			faults = slices.DeleteFunc(faults, ofMetric)
			failures[side] = faults
			found.Faults = append(found.Faults, faults...)
			for _, r := range results {
				l := o.cfg.leaf(r)
				if leaves[side][l] == nil {
					names[side] = append(names[side], l)
				}
				leaves[side][l] = r
			}
		}
		for _, l := range names[benchgate.Base] {
			switch {
			case leaves[benchgate.Head][l] != nil:
				j := &job{leaf: l, pkg: pkg, iterations: o.cfg.Iterations}
				if j.iterations == 0 {
					j.iterations = iterations(leaves[benchgate.Base][l], o.cfg.time())
				}
				o.jobs = append(o.jobs, j)
			case blamed(failures[benchgate.Head], l):
			case o.cfg.Rules.RemovedOK != nil && o.cfg.Rules.RemovedOK.MatchString(l.String()):
				found.Gone = append(found.Gone, l.String())
			default:
				found.Faults = append(found.Faults, benchgate.VanishedFault(l.pkg, l.name))
			}
		}
		for _, l := range names[benchgate.Head] {
			if leaves[benchgate.Base][l] == nil && !blamed(failures[benchgate.Base], l) {
				found.New = append(found.New, l.String())
			}
		}
	}
	return found, nil
}

// blamed reports whether the faults explain that a benchmark has no result.
func blamed(faults []benchgate.Fault, l leaf) bool {
	return slices.ContainsFunc(faults, func(f benchgate.Fault) bool {
		return f.Bench == "" || f.Bench == l.name || strings.HasPrefix(l.name, f.Bench+"/")
	})
}

// pair runs a job on two sides in random order and stores what it gives. A
// failure ends the job and takes its results back.
func (o *Outcome) pair(ctx context.Context, j *job, sides [2]benchgate.Side, into *[2][]*benchfmt.Result, order *rand.Rand) error {
	for _, column := range columns(order) {
		p := process{&o.cfg, o.Set, j.pkg, sides[column], j.pattern(), strconv.Itoa(j.iterations) + "x", nil}
		results, faults, err := p.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", j.leaf, err)
		}
		faults = o.ofWhole(faults)
		results = slices.DeleteFunc(results, func(r *benchfmt.Result) bool { return o.cfg.leaf(r) != j.leaf })
		if len(faults) == 0 && len(results) == 0 {
			faults = append(faults, silent(j, sides[column]))
		} else if len(faults) == 0 && len(results) > 1 {
			faults = append(faults, benchgate.Fault{
				Kind: benchgate.Failed, Side: sides[column].String(), Pkg: j.leaf.pkg,
				Text: fmt.Sprintf("it gave %d results in one run", len(results)),
			})
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

func ofMetric(f benchgate.Fault) bool { return f.Unit != "" }

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
	o.forget(j)
}

func (o *Outcome) forget(j *job) {
	for _, results := range []*[2][]*benchfmt.Result{&o.Set.Results, &o.Noise} {
		for side := range results {
			results[side] = slices.DeleteFunc(results[side], func(r *benchfmt.Result) bool { return o.cfg.leaf(r) == j.leaf })
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
		next := min(o.cfg.limit(), (n+o.cfg.count()-1)/o.cfg.count()*o.cfg.count())
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

// noiseOf returns the A/A values of a row's metric, both columns together.
func (o *Outcome) noiseOf(row *benchgate.Row) (values []float64) {
	for _, results := range o.Noise {
		for _, r := range results {
			if r.GetConfig("pkg") == row.Pkg && r.Name.String() == row.Bench {
				if v, ok := r.Value(row.Unit); ok {
					values = append(values, v)
				}
			}
		}
	}
	return values
}

// predict finds for each gated row what could have been seen, and which metrics
// differ though nothing did.
func (o *Outcome) predict() {
	if o.cfg.AA == 0 {
		return
	}
	for _, row := range o.Report.Rows {
		noise := o.noiseOf(row)
		if !row.Gated() || len(noise) < 2 {
			continue
		}
		power := o.power(row)
		power.Trials = 200
		o.Visible[row] = power.Visible(noise)
	}
	aa := benchgate.Set{Results: o.Noise}
	rules := o.cfg.Rules
	rules.Looks = 1
	if rep, err := benchgate.Judge(&aa, &rules); err == nil {
		for _, row := range rep.Rows {
			if row.Gated() && row.Comparison.P*float64(max(1, rep.Family)) < rep.Alpha && math.Abs(row.Delta) >= row.Threshold {
				o.Restless = append(o.Restless, row)
			}
		}
	}
}

func (o *Outcome) power(row *benchgate.Row) benchgate.Power {
	return benchgate.Power{
		N: o.cfg.limit(), Family: o.Report.Family, Looks: o.cfg.looks(),
		Alpha: o.Report.Alpha, Threshold: row.Threshold, Seed: o.cfg.Seed,
	}
}

// PredictedRate returns how often a change of the row's metric by the given share
// would be confirmed, from the A/A phase; NaN without one.
func (o *Outcome) PredictedRate(row *benchgate.Row, change float64) float64 {
	noise := o.noiseOf(row)
	if len(noise) < 2 {
		return math.NaN()
	}
	return o.power(row).Rate(noise, change)
}
