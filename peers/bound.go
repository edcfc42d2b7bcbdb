package peers

import "fmt"

// Bound is a claim that a run can confirm or refute: about the ratio of a metric
// to that of a Reference, about its growth with each connection if there is a Base,
// or about the metric itself.
type Bound struct {
	Subject, Reference string
	Connections        int
	Base               int // connections
	Quantity, Unit     string
	Metric             Metric
	Limit              float64
	AtLeast            bool // at least Limit, rather than at most
	Always             bool // in every round, rather than in the median
}

// Verdict is what a run says of a bound.
type Verdict struct {
	Bound
	Measured Spread
	// Met is true if the median keeps the bound; Clear, if the whole interval of
	// the median lies on one side of it, so that noise alone would hardly have
	// decided otherwise. A bound that holds Always is met if every round keeps it.
	Met, Clear bool
	// Rounds counts the rounds that keep the bound by themselves.
	Rounds int
	// Known is false if the run has not measured what the bound is about.
	Known bool
}

// Judge holds b against r.
func (r *Results) Judge(b Bound) Verdict {
	v := Verdict{Bound: b}
	switch {
	case b.Reference != "":
		v.Measured, v.Known = r.Ratio(b.Subject, b.Reference, b.Connections, b.Metric)
	case b.Base != 0:
		v.Measured, v.Known = r.Growth(b.Subject, b.Base, b.Connections, b.Metric)
	default:
		v.Measured, v.Known = r.Of(b.Subject, b.Connections, b.Metric)
	}
	if !v.Known {
		return v
	}
	for _, x := range v.Measured.Values {
		if b.keeps(x) {
			v.Rounds++
		}
	}
	if b.Always {
		v.Met, v.Clear = v.Rounds == len(v.Measured.Values), true
		return v
	}
	v.Met = b.keeps(v.Measured.Median)
	v.Clear = b.keeps(v.Measured.Lo) == b.keeps(v.Measured.Hi)
	return v
}

func (b Bound) keeps(x float64) bool {
	if b.AtLeast {
		return x >= b.Limit
	}
	return x <= b.Limit
}

// String states the bound.
func (b Bound) String() string {
	sign := "≤"
	if b.AtLeast {
		sign = "≥"
	}
	claim := fmt.Sprintf("%s of %s %s", b.Quantity, b.Subject, sign)
	switch {
	case b.Reference != "":
		return fmt.Sprintf("%s %.2f × %s, %d connections", claim, b.Limit, b.Reference, b.Connections)
	case b.Base != 0:
		return fmt.Sprintf("%s %g %s a connection, from %d to %d connections", claim, b.Limit, b.Unit, b.Base, b.Connections)
	case b.Unit == "":
		return fmt.Sprintf("%s %g, %d connections", claim, b.Limit, b.Connections)
	}
	return fmt.Sprintf("%s %g %s, %d connections", claim, b.Limit, b.Unit, b.Connections)
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
