package benchrun

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/benchgate"
)

// calibration is how long the run takes that finds the benchmarks and their speed.
const calibration = 20 * time.Millisecond

// discover runs everything briefly on each side that runs, to learn what there is and
// how much of it takes the time wanted, and makes a job of what both sides have.
func (o *Outcome) discover(ctx context.Context) (*benchgate.Report, error) {
	found := new(benchgate.Report)
	for _, pkg := range o.cfg.Packages {
		var leaves [2]map[leaf]*benchfmt.Result
		var names [2][]leaf
		var failures [2][]benchgate.Fault
		for side := range benchgate.Head + 1 {
			results, faults, err := o.brief(ctx, pkg, side)
			if err != nil {
				return nil, err
			}
			// A metric counts when it is measured.
			failures[side] = slices.DeleteFunc(faults, ofMetric)
			found.Faults = append(found.Faults, failures[side]...)
			leaves[side] = make(map[leaf]*benchfmt.Result)
			for _, r := range results {
				l := o.cfg.leaf(r)
				if leaves[side][l] == nil {
					names[side] = append(names[side], l)
				}
				leaves[side][l] = r
			}
		}
		base, head := leaves[benchgate.Base], leaves[benchgate.Head]
		for _, l := range names[benchgate.Base] {
			switch {
			case head[l] != nil:
				o.jobs = append(o.jobs, &job{leaf: l, pkg: pkg, iterations: o.iterations(base[l])})
			case blamed(failures[benchgate.Head], l):
				o.forget(l) // what has failed is not to be missed as well
			case o.cfg.Baseline != nil:
				// It stays in the set: Judge misses it there, and may know why.
				i := strings.LastIndexByte(l.name, '-')
				if cpu, err := strconv.Atoi(l.name[i+1:]); err == nil && i > 0 && head[leaf{l.pkg, l.name[:i]}] != nil {
					return nil, fmt.Errorf("%w: the baseline has %s at GOMAXPROCS %d, this run would be at %d: set -cpu", ErrConfig, l, cpu, o.cfg.CPU)
				}
			case o.cfg.Rules.RemovedOK != nil && o.cfg.Rules.RemovedOK.MatchString(l.String()):
				found.Gone = append(found.Gone, l.String())
			default:
				found.Faults = append(found.Faults, benchgate.VanishedFault(l.pkg, l.name))
			}
		}
		for _, l := range names[benchgate.Head] {
			if base[l] == nil && !blamed(failures[benchgate.Base], l) {
				found.New = append(found.New, l.String())
			}
		}
	}
	what := ""
	if o.cfg.Baseline != nil {
		what = " of the baseline's that these packages have"
	}
	if len(o.jobs) == 0 && len(found.Faults) == 0 && (what != "" || len(found.New)+len(found.Gone) == 0) {
		return nil, fmt.Errorf("%w: -bench %q matches none%s", ErrNothing, o.cfg.Bench, what)
	}
	return found, nil
}

// brief returns what a package has on a side: its binary tells, or the baseline.
func (o *Outcome) brief(ctx context.Context, pkg Package, side benchgate.Side) (results []*benchfmt.Result, faults []benchgate.Fault, err error) {
	if side == benchgate.Base && o.cfg.Baseline != nil {
		for _, r := range o.Set.Results[side] {
			if o.cfg.leaf(r).pkg == pkg.Path {
				results = append(results, r)
			}
		}
		return results, nil, nil
	}
	if pkg.Binaries[side].Path == "" && pkg.Broken[side] == "" {
		return nil, nil, nil
	}
	o.cfg.say("calibrating %s at %s", pkg.Path, side)
	benchtime := calibration.String()
	switch {
	case o.cfg.Baseline != nil:
		benchtime = "1x"
	case o.cfg.Iterations > 0:
		benchtime = strconv.Itoa(o.cfg.Iterations) + "x"
	}
	return o.process(ctx, pkg, side, o.cfg.Bench, benchtime)
}

// iterations returns how much work a benchmark is to do in each process.
func (o *Outcome) iterations(base *benchfmt.Result) int {
	switch {
	case o.cfg.Baseline != nil:
		return base.Iters
	case o.cfg.Iterations > 0:
		return o.cfg.Iterations
	}
	return iterations(base, o.cfg.Time)
}

// blamed reports whether the faults explain that a benchmark has no result.
func blamed(faults []benchgate.Fault, l leaf) bool {
	return slices.ContainsFunc(faults, func(f benchgate.Fault) bool {
		return f.Bench == "" || f.Bench == l.name || strings.HasPrefix(l.name, f.Bench+"/")
	})
}

func ofMetric(f benchgate.Fault) bool { return f.Unit != "" }
