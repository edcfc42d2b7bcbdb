package peers

import "fmt"

// Bound is a claim about a ratio that a run can confirm or refute.
type Bound struct {
	Subject, Reference string
	Concurrency        int
	Quantity           string
	Metric             Metric
	Limit              float64
	AtLeast            bool // the ratio must be at least Limit, rather than at most
}

// Bounds are the claims brunt makes about its engines on the net/http wire:
// what they cost over plain loops, and what they are worth beside the libraries
// that do a comparable job. Both plain loops are there: the loop over RoundTrip
// is the harder one.
func Bounds(concurrencies []int) []Bound {
	var out []Bound
	for _, concurrency := range concurrencies {
		for _, engine := range []string{BruntThreaded, BruntAsync} {
			for _, loop := range []string{PlainRoundTrip, PlainDo} {
				out = append(out, Bound{engine, loop, concurrency, "CPU/request", Measurement.CPUPerRequest, 1.05, false})
			}
			for _, tool := range []string{Vegeta, FortioStandard} {
				out = append(out, Bound{engine, tool, concurrency, rate, Measurement.Rate, 1.35, true})
			}
		}
	}
	return out
}

// InCPUTime is what the bounds on the rate come to when the rate is taken per
// second of CPU time. On a machine that other programs use it is the steadier of
// the two; on a quiet one, with the client as the limit, they agree.
func InCPUTime(bounds []Bound) []Bound {
	var out []Bound
	for _, b := range bounds {
		if b.Quantity == rate {
			b.Quantity, b.Metric = "req/CPU s", Measurement.PerCPUSecond
			out = append(out, b)
		}
	}
	return out
}

// rate is the quantity of bounds on [Measurement.Rate].
const rate = "req/s"

// Verdict is what a run says of a bound.
type Verdict struct {
	Bound
	Ratio Spread
	// Met is true if the median keeps the bound; Clear, if the whole interval of
	// the median lies on one side of it, so that noise alone would hardly have
	// decided otherwise.
	Met, Clear bool
	// Rounds counts the rounds that keep the bound by themselves.
	Rounds int
	// Known is false if the run has not measured what the bound is about.
	Known bool
}

// Judge holds b against r.
func (r *Results) Judge(b Bound) Verdict {
	v := Verdict{Bound: b}
	v.Ratio, v.Known = r.Ratio(b.Subject, b.Reference, b.Concurrency, b.Metric)
	if !v.Known {
		return v
	}
	v.Met = b.keeps(v.Ratio.Median)
	v.Clear = b.keeps(v.Ratio.Lo) == b.keeps(v.Ratio.Hi)
	for _, x := range v.Ratio.Values {
		if b.keeps(x) {
			v.Rounds++
		}
	}
	return v
}

func (b Bound) keeps(ratio float64) bool {
	if b.AtLeast {
		return ratio >= b.Limit
	}
	return ratio <= b.Limit
}

// String states the bound.
func (b Bound) String() string {
	sign := "≤"
	if b.AtLeast {
		sign = "≥"
	}
	return fmt.Sprintf("%s of %s %s %.2f × %s, %d connections",
		b.Quantity, b.Subject, sign, b.Limit, b.Reference, b.Concurrency)
}

// Word is "met", "NOT met" or "not measured", and says so if the noise is too
// large to be sure of it.
func (v Verdict) Word() string {
	word := "NOT met"
	switch {
	case !v.Known:
		return "not measured"
	case v.Met:
		word = "met"
	}
	if !v.Clear {
		word += ", within noise"
	}
	return word
}
