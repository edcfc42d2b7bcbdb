package main

import (
	"fmt"

	"example.com/brunt/peers/internal/stats"
)

// kind is what a bound is about.
type kind int

const (
	atMost   kind = iota // subject takes at most limit ns more than the bare call
	above                // subject takes at most limit ns more than reference
	faster               // reference takes at least limit times as long as subject
	noAllocs             // subject never allocates
)

// bound is a claim about brunt that a run can confirm or refute.
type bound struct {
	kind           kind
	what           string
	group, by      string
	subject, other string
	limit          float64
}

// bounds are what brunt's resilience package is to achieve. Those in ns are about
// what a pattern adds to the call it is put around, so the bare call is taken off;
// with those against the clock it is as well, for C is measured around that call.
// Ratios are of whole times, which favours neither side. For each way to use a
// breaker the peer is used in the same way: Do beside Execute and an executor's
// Run, Allow and Done beside the two-step breaker and standalone permits.
func bounds(variants []variant) []bound {
	out := []bound{
		{above, "breaker success, Do", "BreakerSuccess", "one", "brunt", clock, 25},
		{above, "breaker success, Allow and Done", "BreakerSuccess", "one", "brunt.permits", clock, 25},
		{faster, "breaker success, Do", "BreakerSuccess", "one", "brunt", "gobreaker", 2},
		{faster, "breaker success, Do", "BreakerSuccess", "one", "brunt", "failsafe", 2},
		{faster, "breaker success, Allow and Done", "BreakerSuccess", "one", "brunt.permits", "gobreaker.permits", 2},
		{faster, "breaker success, Allow and Done", "BreakerSuccess", "one", "brunt.permits", "failsafe.permits", 2},
		{above, "rejection while open, Do", "BreakerOpen", "one", "brunt", clock, 20},
		{above, "rejection while open, Allow", "BreakerOpen", "one", "brunt.permits", clock, 20},
		{atMost, "limiter uncontended, Acquire and Release", "LimiterFree", "one", "brunt", "", 12},
		{faster, "limiter contended, 32 callers and 4 permits", "LimiterContended", "32", "brunt", "semaphore", 1},
		{faster, "limiter in parallel, 64 permits", "LimiterFree", "all", "brunt", "semaphore", 1},
		{atMost, "retry success", "RetrySuccess", "one", "brunt", "", 10},
		{above, "retry+breaker+limiter", "Composition", "one", "brunt", clock, 60},
		{faster, "retry+breaker+limiter", "Composition", "one", "brunt", "failsafe", 8},
	}
	seen := make(map[string]bool)
	for _, v := range variants {
		if isOwn(v.impl) && !seen[v.group] {
			seen[v.group] = true
			out = append(out, bound{kind: noAllocs, what: v.group, group: v.group})
		}
	}
	return out
}

// String states the bound.
func (b bound) String() string {
	switch b.kind {
	case above:
		return fmt.Sprintf("%s ≤ C + %g ns", b.what, b.limit)
	case faster:
		if b.limit == 1 {
			return fmt.Sprintf("%s: no slower than %s", b.what, b.other)
		}
		return fmt.Sprintf("%s ≥ %g × as fast as %s", b.what, b.limit, b.other)
	case noAllocs:
		return fmt.Sprintf("%s: no allocation, of all ways of brunt's", b.what)
	}
	return fmt.Sprintf("%s ≤ %g ns net", b.what, b.limit)
}

// verdict is what a run says of a bound.
type verdict struct {
	bound
	value  stats.Spread // in the unit of the limit
	raw    stats.Spread // of atMost: the same with the bare call
	known  bool         // what the bound is about was measured
	met    bool         // the median keeps the bound
	clear  bool         // so does, or does not, the whole interval of the median
	rounds int          // that keep it by themselves
}

func (b bound) keeps(value float64) bool {
	if b.kind == faster {
		return value >= b.limit
	}
	return value <= b.limit
}

func (r *results) judge(b bound) verdict {
	v := verdict{bound: b}
	subject := variant{b.group, b.subject, b.by}
	other := variant{b.group, b.other, b.by}
	switch b.kind {
	case atMost:
		v.value, v.known = r.pairs(subject, variant{b.group, bare, b.by}, minus)
		v.raw, _ = r.of(subject, ns)
	case above:
		v.value, v.known = r.pairs(subject, other, minus)
	case faster:
		v.value, v.known = r.pairs(other, subject, over)
	case noAllocs:
		// The most in any round of any way: one allocation is one too many.
		var worst []float64
		for _, at := range r.order {
			if at.group == b.group && isOwn(at.impl) {
				counts, _ := r.values(at, allocs)
				worst = append(worst, counts...)
			}
		}
		v.value, v.known = stats.Of(worst), len(worst) > 0
		v.met, v.clear = v.known && v.value.Max == 0, true
	}
	if !v.known {
		return v
	}
	for _, x := range v.value.Values {
		if b.keeps(x) {
			v.rounds++
		}
	}
	if b.kind != noAllocs {
		v.met = b.keeps(v.value.Median)
		v.clear = b.keeps(v.value.Lo) == b.keeps(v.value.Hi)
	}
	return v
}

// word is "met", "NOT met" or "not measured", and says so if the noise is too
// large to be sure of it.
func (v verdict) word() string {
	word := "NOT met"
	switch {
	case !v.known:
		return "not measured"
	case v.met:
		word = "met"
	}
	if !v.clear {
		word += ", within noise"
	}
	return word
}
