package benchgate

import (
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// missing explains results that one side has and the other has not.
type missing struct {
	rules *Rules
	// configs are, for a metric, the configurations that each side has it under;
	// benches, the benchmarks that each side has.
	configs [2]map[rowKey][]string
	benches [2]map[[2]string]bool
	failed  []Fault
	told    map[string]bool
	units   benchfmt.UnitMetadataMap
}

func newMissing(set *Set, rules *Rules, keys []rowKey, values map[rowKey]*[2][]float64) *missing {
	m := &missing{rules: rules, failed: set.Faults, told: make(map[string]bool), units: set.Units()}
	for side := range 2 {
		m.configs[side] = make(map[rowKey][]string)
		m.benches[side] = make(map[[2]string]bool)
		for _, k := range keys {
			if len(values[k][side]) > 0 {
				bare := rowKey{pkg: k.pkg, bench: k.bench, unit: k.unit}
				m.configs[side][bare] = append(m.configs[side][bare], k.config)
				m.benches[side][[2]string{k.pkg, k.bench}] = true
			}
		}
	}
	return m
}

func (m *missing) report(rep *Report, k rowKey, atBase bool) {
	name := fullName(k.pkg, k.bench)
	other := Base
	if atBase {
		other = Head
	}
	if theirs := m.configs[other][rowKey{pkg: k.pkg, bench: k.bench, unit: k.unit}]; len(theirs) > 0 {
		// Once for each benchmark and difference, not for each of its metrics.
		diff := difference(k.config, theirs[0])
		if !m.tell(name + "\n" + diff) {
			return
		}
		rep.Faults = append(rep.Faults, Fault{Kind: Incomparable, Pkg: k.pkg, Bench: k.bench, Text: diff})
		return
	}
	if m.benches[other][[2]string{k.pkg, k.bench}] {
		// The benchmark is there, one of its metrics is not.
		bench := fullName(k.pkg, k.bench)
		gated := m.rules.better(m.units, k.unit) != 0 && m.rules.threshold(k.unit, bench) < 1e300
		if atBase && gated {
			rep.Faults = append(rep.Faults, Fault{Kind: Vanished, Side: Head.String(), Pkg: k.pkg, Bench: k.bench, Unit: k.unit, Text: "the head does not report the metric"})
		}
		return
	}
	if !m.tell(name) {
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

// VanishedFault is the fault of a benchmark that the head no longer has.
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

// difference says what sets two configurations apart.
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
	return "recorded under " + only(as, bs) + " and under " + only(bs, as) + "; if that does not matter, ignore the key"
}

// sortedUnits is the metadata in a fixed order.
func sortedUnits(units benchfmt.UnitMetadataMap) []*benchfmt.UnitMetadata {
	var list []*benchfmt.UnitMetadata
	for _, u := range units {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *benchfmt.UnitMetadata) int {
		return strings.Compare(a.Unit+" "+a.Key, b.Unit+" "+b.Key)
	})
	return list
}
