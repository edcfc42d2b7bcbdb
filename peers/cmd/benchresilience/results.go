package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/brunt/peers/internal/stats"
)

// variant is one benchmark, named Benchmark<group>/impl=<impl>/by=<by>.
type variant struct{ group, impl, by string }

// parseName is the reverse of the name, with or without the number of CPUs that
// package testing appends to it.
func parseName(name string) (variant, error) {
	parts := strings.Split(name, "/")
	if len(parts) == 3 {
		group, ok := strings.CutPrefix(parts[0], "Benchmark")
		impl, okImpl := strings.CutPrefix(parts[1], "impl=")
		by, okBy := strings.CutPrefix(parts[2], "by=")
		if ok && okImpl && okBy {
			by, _, _ = strings.Cut(by, "-")
			return variant{group, impl, by}, nil
		}
	}
	return variant{}, fmt.Errorf("read a name: %q is not Benchmark<group>/impl=<impl>/by=<by>", name)
}

// sample is what one run of a variant came to.
type sample struct{ ns, bytes, allocs float64 }

// parseOutput reads what a test binary prints.
func parseOutput(out string) (map[variant]sample, []variant, error) {
	samples := make(map[variant]sample)
	var order []variant
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		v, err := parseName(fields[0])
		if err != nil {
			return nil, nil, err
		}
		var s sample
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, nil, fmt.Errorf("read a result: %w", err)
			}
			switch fields[i+1] {
			case "ns/op":
				s.ns = value
			case "B/op":
				s.bytes = value
			case "allocs/op":
				s.allocs = value
			}
		}
		samples[v] = s
		order = append(order, v)
	}
	return samples, order, nil
}

// results holds one sample for each round, in order.
type results struct {
	order   []variant
	samples map[variant][]sample
}

func (r *results) values(v variant, of func(sample) float64) ([]float64, bool) {
	values := make([]float64, 0, len(r.samples[v]))
	for _, s := range r.samples[v] {
		values = append(values, of(s))
	}
	return values, len(values) > 0
}

func ns(s sample) float64     { return s.ns }
func bytes(s sample) float64  { return s.bytes }
func allocs(s sample) float64 { return s.allocs }

func (r *results) of(v variant, metric func(sample) float64) (stats.Spread, bool) {
	values, ok := r.values(v, metric)
	return stats.Of(values), ok
}

// pairs combines the times of two variants, round by round: what else the machine
// did in a round has met both.
func (r *results) pairs(a, b variant, combine func(a, b float64) float64) (stats.Spread, bool) {
	as, ok := r.values(a, ns)
	bs, okB := r.values(b, ns)
	if !ok || !okB || len(as) != len(bs) {
		return stats.Spread{}, false
	}
	for i := range as {
		as[i] = combine(as[i], bs[i])
	}
	return stats.Of(as), true
}

func minus(a, b float64) float64 { return a - b }
func over(a, b float64) float64  { return a / b }

// groups lists groups and, within a group, its ways to be called.
func (r *results) groups() (out []variant) {
	for _, v := range r.order {
		if g := (variant{group: v.group, by: v.by}); !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b variant) int { return strings.Compare(a.group, b.group) })
	return out
}

// twin ends the name of an implementation that is measured a second time.
const twin = ".again"

// clock is the implementation that does nothing but read the clock: C.
const clock = "timesince"

// bare is the implementation that does nothing but make the call.
const bare = "direct"

// own is the first part of the names of brunt's implementations.
const own = "brunt"

func isOwn(impl string) bool { return impl == own || strings.HasPrefix(impl, own+".") }

// counterpart is the implementation of brunt's that does the same as impl.
func counterpart(impl string) string {
	if strings.HasSuffix(impl, ".permits") {
		return own + ".permits"
	}
	return own
}
