package benchrun

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/benchgate"
)

// AgainstBaseline runs only the head, Count times, against results that were
// recorded before, with the iterations recorded. The sides do not alternate, so a
// machine that has changed since looks like code that has.
func AgainstBaseline(ctx context.Context, cfg Config, set *benchgate.Set) (*Outcome, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Bench == "" {
		cfg.Bench = "."
	}
	cfg.Rules.Looks = 1
	o := &Outcome{Set: set, cfg: cfg, Iterations: make(map[string]int), Rounds: make(map[string]int), Visible: make(map[*benchgate.Row]float64)}
	set.Labels = [2]string{}
	missing, err := o.enlist(ctx)
	if err != nil {
		return nil, err
	}
	order := rand.New(rand.NewPCG(cfg.Seed, 0))
	for n := range cfg.count() {
		cfg.say("round %d of %d: the head alone, %s", n+1, cfg.count(), benchmarks(o.open()))
		jobs := slices.Clone(o.jobs)
		order.Shuffle(len(jobs), func(a, b int) { jobs[a], jobs[b] = jobs[b], jobs[a] })
		for _, j := range jobs {
			if err := o.alone(ctx, j); err != nil {
				return nil, err
			}
		}
	}
	o.arrange()
	for _, j := range o.jobs {
		o.Iterations[j.String()], o.Rounds[j.String()] = j.iterations, j.rounds
	}
	rep, err := o.judge()
	if err != nil {
		return nil, err
	}
	rep.New = append(rep.New, missing.New...)
	o.Report = rep
	return o, nil
}

// enlist makes a job of each benchmark that is asked for and that both the
// baseline and the head have. A look at the head, one iteration each, tells.
func (o *Outcome) enlist(ctx context.Context) (*benchgate.Report, error) {
	found := new(benchgate.Report)
	recorded := make(map[leaf]int) // iterations
	for _, r := range o.Set.Results[benchgate.Base] {
		recorded[o.cfg.leaf(r)] = r.Iters
	}
	asked := make(map[string]bool)
	for _, pkg := range o.cfg.Packages {
		asked[pkg.Path] = true
		o.cfg.say("looking for the benchmarks of %s", pkg.Path)
		p := process{&o.cfg, o.Set, pkg, benchgate.Head, o.cfg.Bench, "1x", nil}
		results, faults, err := p.run(ctx)
		if err != nil {
			return nil, err
		}
		faults = slices.DeleteFunc(faults, ofMetric)
		o.Set.Faults = append(o.Set.Faults, faults...)
		// What has failed is not to be missed as well.
		o.Set.Results[benchgate.Base] = slices.DeleteFunc(o.Set.Results[benchgate.Base], func(r *benchfmt.Result) bool {
			l := o.cfg.leaf(r)
			return l.pkg == pkg.Path && blamed(faults, l) && !slices.ContainsFunc(results, func(h *benchfmt.Result) bool { return o.cfg.leaf(h) == l })
		})
		have := make(map[leaf]bool)
		for _, r := range results {
			l := o.cfg.leaf(r)
			if n, ok := recorded[l]; ok && !have[l] {
				o.jobs = append(o.jobs, &job{leaf: l, pkg: pkg, iterations: n})
			} else if !have[l] {
				found.New = append(found.New, l.String())
			}
			have[l] = true
		}
		for l := range recorded {
			if bare, cpu, ok := cutCPU(l.name); ok && l.pkg == pkg.Path && !have[l] && have[leaf{l.pkg, bare}] {
				return nil, fmt.Errorf("%w: the baseline has %s at GOMAXPROCS %d, this run would be at %d: set -cpu", ErrConfig, l, cpu, o.cfg.CPU)
			}
		}
	}
	if len(o.jobs) == 0 && len(o.Set.Faults) == 0 {
		return nil, fmt.Errorf("%w: -bench %q matches none of the baseline's that these packages have", ErrNothing, o.cfg.Bench)
	}
	// What is not asked for is not missed at the head.
	o.Set.Results[benchgate.Base] = slices.DeleteFunc(o.Set.Results[benchgate.Base], func(r *benchfmt.Result) bool {
		l := o.cfg.leaf(r)
		return !asked[l.pkg] || !benchgate.Selects(o.cfg.Bench, l.name)
	})
	return found, nil
}

// alone gives a job one run of the head.
func (o *Outcome) alone(ctx context.Context, j *job) error {
	if j.done {
		return nil
	}
	p := process{&o.cfg, o.Set, j.pkg, benchgate.Head, j.pattern(), strconv.Itoa(j.iterations) + "x", nil}
	results, faults, err := p.run(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", j.leaf, err)
	}
	faults = o.ofWhole(faults)
	if len(faults) == 0 && len(results) == 0 {
		faults = append(faults, silent(j, benchgate.Head))
	}
	if len(faults) > 0 {
		o.give(j, faults)
		return nil
	}
	j.rounds++
	o.Set.Results[benchgate.Head] = append(o.Set.Results[benchgate.Head], results...)
	return nil
}

// silent returns the fault of a benchmark that ran without a result.
func silent(j *job, side benchgate.Side) benchgate.Fault {
	f := benchgate.VanishedFault(j.leaf.pkg, j.name)
	f.Side, f.Text = side.String(), "it gave no result when it ran alone"
	return f
}

var cpuSuffix = regexp.MustCompile(`^(.+)-([0-9]+)$`)

func cutCPU(name string) (bare string, cpu int, ok bool) {
	m := cpuSuffix.FindStringSubmatch(name)
	if m == nil {
		return name, 1, false
	}
	cpu, err := strconv.Atoi(m[2])
	return m[1], cpu, err == nil
}
