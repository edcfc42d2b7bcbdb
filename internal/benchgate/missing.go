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
	rep     *Report
	set     *Set
	rules   *Rules
	metrics []Metric
	values  samples
	benches [2]map[Metric]int  // the results of each benchmark, under whatever configuration
	pkgs    [2]map[string]bool // that have any
	procs   [2]string          // the GOMAXPROCS that all names of a side end in; "" if they do not
	told    map[string]bool

	differing int // benchmarks
}

func newMissing(rep *Report, set *Set, rules *Rules, metrics []Metric, values samples) *missing {
	m := &missing{rep: rep, set: set, rules: rules, metrics: metrics, values: values, told: make(map[string]bool)}
	for side := range m.benches {
		m.benches[side], m.pkgs[side] = make(map[Metric]int), make(map[string]bool)
		for _, k := range metrics {
			if n := len(values[k][side]); k.Unit == "" && n > 0 {
				m.benches[side][Metric{Pkg: k.Pkg, Bench: k.Bench}] += n
				m.pkgs[side][k.Pkg] = true
			}
		}
		m.procs[side] = procsOf(m.benches[side])
	}
	return m
}

// procsOf returns the GOMAXPROCS that all names end in, "1" if none ends in a number.
func procsOf(benches map[Metric]int) string {
	common := ""
	for b := range benches {
		procs := cmp.Or(strings.TrimPrefix(procsSuffix.FindString(b.Bench), "-"), "1")
		if common != "" && procs != common {
			return ""
		}
		common = procs
	}
	return common
}

// report records why only a side has the metric, or that there is no reason.
func (m *missing) report(k Metric, side Side) {
	other, name := 1-side, k.Name()
	bench := Metric{Pkg: k.Pkg, Bench: k.Bench}
	sameButConfig := func(o Metric) bool {
		return o.Pkg == k.Pkg && o.Bench == k.Bench && o.Unit == k.Unit && len(m.values[o][other]) > 0
	}
	if i := slices.IndexFunc(m.metrics, sameButConfig); i >= 0 {
		m.differ(bench, difference(baseFirst(side, k.Config, m.metrics[i].Config)))
		return
	}
	if m.benches[other][bench] > 0 {
		// The benchmark is there, one of its metrics is not.
		if side == Base && !m.rules.off(k.Unit, name) && m.tell(name+"\n"+k.Unit) {
			m.rep.fault(Vanished, Head.String(), k, "the head does not report the metric")
		}
		return
	}
	if twin, why := m.twin(bench, side); why != "" {
		if side == Head {
			bench = twin // the base's name for it
		}
		m.differ(bench, why)
		return
	}
	if !m.tell(name) {
		return
	}
	n, most := m.benches[side][bench], slices.Max(slices.Collect(maps.Values(m.benches[side])))
	switch {
	case n < MinSamples && most >= MinSamples:
		m.rep.fault(Incomplete, side.String(), bench, "only the %s has it, in %d of what are %d results of others: was something printed into its name?", side, n, most)
	case m.hasFailed(other, k.Bench):
		// Reported as failed.
	case side == Head:
		m.rep.New = append(m.rep.New, name)
	case m.rules.RemovedOK != nil && m.rules.RemovedOK.MatchString(name):
		m.rep.Gone = append(m.rep.Gone, name)
	default:
		m.rep.Faults = append(m.rep.Faults, VanishedFault(k.Pkg, k.Bench))
	}
}

// baseFirst puts what a side and the other one have into the order of the columns.
func baseFirst(side Side, ours, theirs string) (base, head string) {
	if side == Head {
		return theirs, ours
	}
	return ours, theirs
}

// differ records, once for each benchmark and not for each of its metrics or sides, that
// the sides recorded it under conditions that differ.
func (m *missing) differ(bench Metric, text string) {
	if m.tell("differs\n" + bench.Name()) {
		// It explains whatever else is wrong, so it goes first.
		m.rep.Faults = slices.Insert(m.rep.Faults, m.differing, Fault{Kind: Incomparable, Pkg: bench.Pkg, Bench: bench.Bench, Text: text})
		m.differing++
	}
}

// twin returns the benchmark of the other side that differs in nothing but the
// GOMAXPROCS or the package that its whole side was recorded in.
func (m *missing) twin(bench Metric, side Side) (twin Metric, why string) {
	twin = bench
	other := 1 - side
	says := func(what, ours, theirs string) string {
		base, head := baseFirst(side, ours, theirs)
		return fmt.Sprintf("recorded %s %s and %s", what, base, head)
	}
	if ours, theirs := m.procs[side], m.procs[other]; ours != theirs && ours != "" && theirs != "" {
		twin.Bench = strings.TrimSuffix(bench.Bench, "-"+ours)
		if theirs != "1" {
			twin.Bench += "-" + theirs
		}
		why = says("at GOMAXPROCS", ours, theirs)
		if m.benches[other][twin] > 0 {
			return twin, why + "; record both with the same -cpu"
		}
		why += ", "
	}
	for _, pkg := range slices.Sorted(maps.Keys(m.pkgs[other])) {
		twin.Pkg = pkg
		if !m.pkgs[other][bench.Pkg] && !m.pkgs[side][pkg] && m.benches[other][twin] > 0 {
			return twin, why + says("in package", cmp.Or(bench.Pkg, "(none)"), cmp.Or(pkg, "(none)")) + "; if the package does not matter, say -ignore pkg"
		}
	}
	return bench, ""
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
	return slices.ContainsFunc(m.set.Faults, func(f Fault) bool {
		return f.Side == side.String() && f.Bench != "" && (f.Bench == bench || strings.HasPrefix(bench, f.Bench+"/"))
	})
}

// difference returns what sets two configurations apart.
func difference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	only := func(x, y []string) string {
		x = slices.DeleteFunc(slices.Clone(x), func(line string) bool { return line == "" || slices.Contains(y, line) })
		return cmp.Or(strings.Join(x, ", "), "nothing of the kind")
	}
	return "recorded under " + only(as, bs) + " and under " + only(bs, as) + "; if that does not matter, say -ignore and the key"
}
