package benchgate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// missing explains results that one side has and the other has not.
type missing struct {
	rules *Rules
	// configs are, for a metric, the configurations that each side has it under;
	// benches, how many results each side has of a benchmark; most, of any.
	configs [2]map[rowKey][]string
	benches [2]map[[2]string]int
	most    [2]int
	pkgs    [2]map[string]bool
	procs   [2]string // the GOMAXPROCS that all names of a side end in; "" if they do not
	failed  []Fault
	told    map[string]bool
}

func newMissing(set *Set, rules *Rules, keys []rowKey, values map[rowKey]*[2][]float64, results map[rowKey][2]int) *missing {
	m := &missing{rules: rules, failed: set.Faults, told: make(map[string]bool)}
	for side := range 2 {
		m.configs[side] = make(map[rowKey][]string)
		m.benches[side] = make(map[[2]string]int)
		m.pkgs[side] = make(map[string]bool)
		for _, k := range keys {
			if len(values[k][side]) > 0 {
				bare := rowKey{pkg: k.pkg, bench: k.bench, unit: k.unit}
				m.configs[side][bare] = append(m.configs[side][bare], k.config)
			}
		}
		for k, n := range results {
			if n[side] > 0 {
				m.benches[side][[2]string{k.pkg, k.bench}] += n[side]
				m.most[side] = max(m.most[side], m.benches[side][[2]string{k.pkg, k.bench}])
				m.pkgs[side][k.pkg] = true
			}
		}
		m.procs[side] = procsOf(m.benches[side])
	}
	return m
}

// procsOf returns the GOMAXPROCS that all names end in, "1" if none ends in a number.
func procsOf(names map[[2]string]int) string {
	common := ""
	for name := range names {
		procs := cmp.Or(strings.TrimPrefix(procsSuffix.FindString(name[1]), "-"), "1")
		if common != "" && procs != common {
			return ""
		}
		common = procs
	}
	return common
}

func (m *missing) report(rep *Report, k rowKey, atBase bool) {
	name := fullName(k.pkg, k.bench)
	side, other := Head, Base
	if atBase {
		side, other = Base, Head
	}
	differ := func(k rowKey, text string) {
		// Once for each benchmark, not for each of its metrics or sides.
		if m.tell("differs\n" + fullName(k.pkg, k.bench)) {
			rep.Faults = append(rep.Faults, Fault{Kind: Incomparable, Pkg: k.pkg, Bench: k.bench, Text: text})
		}
	}
	if theirs := m.configs[other][rowKey{pkg: k.pkg, bench: k.bench, unit: k.unit}]; len(theirs) > 0 {
		configs := [2]string{k.config, theirs[0]}
		if !atBase {
			slices.Reverse(configs[:])
		}
		differ(k, difference(configs[0], configs[1]))
		return
	}
	if m.benches[other][[2]string{k.pkg, k.bench}] > 0 {
		// The benchmark is there, one of its metrics is not.
		if atBase && !m.rules.off(k.unit, name) && m.tell(name+"\n"+k.unit) {
			rep.Faults = append(rep.Faults, Fault{Kind: Vanished, Side: Head.String(), Pkg: k.pkg, Bench: k.bench, Unit: k.unit, Text: "the head does not report the metric"})
		}
		return
	}
	if twin, why := m.twin(k, side, other); why != "" {
		if !atBase {
			k = twin
		}
		differ(k, why)
		return
	}
	if !m.tell(name) {
		return
	}
	if n := m.benches[side][[2]string{k.pkg, k.bench}]; n < MinSamples && m.most[side] >= MinSamples {
		rep.Faults = append(rep.Faults, Fault{Kind: Incomplete, Side: side.String(), Pkg: k.pkg, Bench: k.bench, Text: fmt.Sprintf(
			"only the %s has it, in %d of what are %d results of others: was something printed into its name?", side, n, m.most[side])})
		return
	}
	switch {
	case !atBase:
		if !m.hasFailed(Base, k.bench) {
			rep.New = append(rep.New, name)
		}
	case m.hasFailed(Head, k.bench):
		// Reported as failed.
	case m.rules.RemovedOK != nil && m.rules.RemovedOK.MatchString(name):
		rep.Gone = append(rep.Gone, name)
	default:
		rep.Faults = append(rep.Faults, VanishedFault(k.pkg, k.bench))
	}
}

// twin returns the benchmark of the other side that differs in nothing but the
// GOMAXPROCS or the package that its whole side was recorded in.
func (m *missing) twin(k rowKey, side, other Side) (twin rowKey, why string) {
	twin = k
	says := func(what string, ours, theirs string) {
		if side == Head {
			ours, theirs = theirs, ours
		}
		if why != "" {
			why += ", "
		}
		why += fmt.Sprintf("recorded %s %s and %s", what, ours, theirs)
	}
	if ours, theirs := m.procs[side], m.procs[other]; ours != theirs && ours != "" && theirs != "" {
		twin.bench = strings.TrimSuffix(k.bench, "-"+ours)
		if theirs != "1" {
			twin.bench += "-" + theirs
		}
		says("at GOMAXPROCS", ours, theirs)
		if m.benches[other][[2]string{twin.pkg, twin.bench}] > 0 {
			return twin, why + "; record both with the same -cpu"
		}
	}
	if m.pkgs[other][k.pkg] {
		return k, ""
	}
	for _, pkg := range slices.Sorted(maps.Keys(m.pkgs[other])) {
		if !m.pkgs[side][pkg] && m.benches[other][[2]string{pkg, twin.bench}] > 0 {
			says("in package", cmp.Or(k.pkg, "(none)"), cmp.Or(pkg, "(none)"))
			twin.pkg = pkg
			return twin, why + "; if the package does not matter, say -ignore pkg"
		}
	}
	return k, ""
}

// VanishedFault returns the fault of a benchmark that the head no longer has.
func VanishedFault(pkg, bench string) Fault {
	return Fault{Kind: Vanished, Side: Head.String(), Pkg: pkg, Bench: bench, Text: "only the base has it"}
}

func (m *missing) tell(what string) bool {
	first := !m.told[what]
	m.told[what] = true
	return first
}

func (m *missing) hasFailed(side Side, bench string) bool {
	return slices.ContainsFunc(m.failed, func(f Fault) bool {
		return f.Side == side.String() && f.Bench != "" && (f.Bench == bench || strings.HasPrefix(bench, f.Bench+"/"))
	})
}

// difference returns what sets two configurations apart.
func difference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	only := func(x, y []string) string {
		var lines []string
		for _, line := range x {
			if line != "" && !slices.Contains(y, line) {
				lines = append(lines, line)
			}
		}
		if len(lines) == 0 {
			return "nothing of the kind"
		}
		return strings.Join(lines, ", ")
	}
	return "recorded under " + only(as, bs) + " and under " + only(bs, as) + "; if that does not matter, say -ignore and the key"
}
