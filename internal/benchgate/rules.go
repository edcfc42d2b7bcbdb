package benchgate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchunit"
)

// ErrConfig is what every fault of a rule or of a configuration file is.
var ErrConfig = errors.New("bad configuration")

// Threshold is the smallest change of a metric that matters.
type Threshold struct {
	Metric string         // as benchmarks report it or as benchstat shows it; * stands for any run of characters but /
	Share  float64        // of the base's median, ≥ 0; +Inf: the metric is for information only
	Bench  *regexp.Regexp // matched against pkg.Name; nil means every benchmark
}

// Rules are how to judge. The zero value judges by the defaults.
type Rules struct {
	// Alpha is the chance that anything at all is called worse though nothing
	// changed, in (0, 1). Default 0.05.
	Alpha float64
	// Thresholds are tried from the last to the first; then the defaults: allocs/op
	// 1 %, B/op 2 %, everything else 5 %.
	Thresholds []Threshold
	// Better declares a direction for units whose benchmarks do not: +1 higher, -1 lower.
	Better map[string]int
	// Ignore are configuration keys that may differ between the sides; commit is
	// always among them.
	Ignore []string
	// RemovedOK matches benchmarks (pkg.Name) that may be missing at the head; nil means none.
	RemovedOK *regexp.Regexp
	// Prepare is a command line that makes what a tree lacks before it is built. It is
	// no rule: the configuration file has it among them.
	Prepare string
	// RequirePower asks for samples that show of every gated metric what became of it:
	// that one is not shown to be unchanged counts as what could not be judged.
	RequirePower bool
	// Looks is at how many sample sizes the results may have been judged, ≥ 1. Default 1.
	Looks int
}

// MinSamples is the fewest samples a side that a 95 % interval of the median needs.
const MinSamples = 6

// ParseThreshold reads metric=percent, metric=off, either with @regexp for the
// benchmarks it is for: "req/s=10", "p99-ns=off", "sec/op=2@Parse".
func ParseThreshold(text string) (Threshold, error) {
	bad := func(why string) (Threshold, error) {
		return Threshold{}, fmt.Errorf("%w: threshold %q: %s; want metric=percent or metric=off, then maybe @regexp", ErrConfig, text, why)
	}
	metric, rest, ok := strings.Cut(text, "=")
	if !ok || metric == "" {
		return bad("no metric")
	}
	if _, err := path.Match(metric, ""); err != nil {
		return bad("the metric is not a valid pattern")
	}
	number, pattern, scoped := strings.Cut(rest, "@")
	t := Threshold{Metric: metric, Share: math.Inf(1)}
	if number != "off" {
		pct, err := strconv.ParseFloat(strings.TrimSuffix(number, "%"), 64)
		if err != nil || math.IsNaN(pct) || math.IsInf(pct, 0) || pct < 0 {
			return bad("the percentage must be a number from 0 up")
		}
		t.Share = pct / 100
	}
	if scoped {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return bad(err.Error())
		}
		t.Bench = re
	}
	return t, nil
}

// matches takes a metric in either spelling: p99-ns or, as benchstat has it, p99-sec.
func (t Threshold) matches(unit, bench string) bool {
	if t.Bench != nil && !t.Bench.MatchString(bench) {
		return false
	}
	_, tidy := benchunit.Tidy(1, t.Metric)
	for _, pattern := range []string{t.Metric, tidy} {
		if ok, err := path.Match(pattern, unit); pattern == "*" || (err == nil && ok) {
			return true
		}
	}
	return false
}

func (r *Rules) threshold(unit, bench string) float64 {
	for _, t := range slices.Backward(r.Thresholds) {
		if t.matches(unit, bench) {
			return t.Share
		}
	}
	switch unit {
	case "allocs/op":
		return 0.01
	case "B/op":
		return 0.02
	}
	return 0.05
}

// better returns the direction of a unit on a side: +1 higher, -1 lower, 0 not known.
func (r *Rules) better(set *Set, side Side, unit string) int {
	return cmp.Or(set.readers[side].Units().GetBetter(unit), wayOf(r.Better, unit), wayOf(directions, unit), wayOf(directions, unnamed(unit)))
}

// unnamed returns the unit without the name of a request, which loadtest.ReportEndpoints
// puts before it.
func unnamed(unit string) string {
	for _, plain := range named {
		_, tidied := benchunit.Tidy(1, plain)
		if strings.HasSuffix(unit, "-"+plain) || strings.HasSuffix(unit, "-"+tidied) {
			return plain
		}
	}
	return unit
}

// off reports whether a metric is for information only.
func (r *Rules) off(unit, bench string) bool { return math.IsInf(r.threshold(unit, bench), 1) }

func (r *Rules) alpha() float64 { return cmp.Or(r.Alpha, 0.05) }

func (r *Rules) looks() float64 { return float64(max(1, r.Looks)) }

// Validate reports every fault.
func (r *Rules) Validate() error {
	var faults []error
	if !(r.Alpha >= 0 && r.Alpha < 1) { // NaN neither
		faults = append(faults, fmt.Errorf("%w: alpha is %v, want more than 0 and less than 1", ErrConfig, r.Alpha))
	}
	if r.Looks < 0 {
		faults = append(faults, fmt.Errorf("%w: looks is %d, want 1 or more", ErrConfig, r.Looks))
	}
	for _, t := range r.Thresholds {
		if t.Metric == "" || math.IsNaN(t.Share) || t.Share < 0 {
			faults = append(faults, fmt.Errorf("%w: threshold of %q is %v, want a metric and a share of 0 or more", ErrConfig, t.Metric, t.Share))
		}
	}
	return errors.Join(faults...)
}

// LoadRules reads a JSON file such as
//
//	{
//	  "alpha": 0.05,
//	  "thresholds": ["allocs/op=1", "req/s=10", "p99-ns=off", "sec/op=3@Parse"],
//	  "better": {"widgets": "higher"},
//	  "ignore": ["commit"],
//	  "removed_ok": "^example.com/old\\.",
//	  "require_power": true,
//	  "prepare": "go generate ./..."
//	}
//
// A key that is none of these is an error, as is every value that is not in range.
func LoadRules(file string) (*Rules, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	r, err := parseRules(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

func parseRules(data []byte) (*Rules, error) {
	f := struct {
		Alpha      float64           `json:"alpha"`
		Thresholds []string          `json:"thresholds"`
		Better     map[string]string `json:"better"`
		Ignore     []string          `json:"ignore"`
		RemovedOK  string            `json:"removed_ok"`
		Power      bool              `json:"require_power"`
		Prepare    string            `json:"prepare"`
	}{Alpha: (&Rules{}).alpha()}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if dec.More() {
		return nil, fmt.Errorf("%w: something follows the object", ErrConfig)
	}
	r := &Rules{Alpha: f.Alpha, Ignore: f.Ignore, Better: make(map[string]int), RequirePower: f.Power, Prepare: f.Prepare}
	var faults []error
	if f.Alpha == 0 { // not the default
		faults = append(faults, fmt.Errorf("%w: alpha is 0, want more than 0 and less than 1", ErrConfig))
	}
	for _, text := range f.Thresholds {
		t, err := ParseThreshold(text)
		if faults = append(faults, err); err == nil {
			r.Thresholds = append(r.Thresholds, t)
		}
	}
	for unit, way := range f.Better {
		if r.Better[unit] = ways[way]; r.Better[unit] == 0 {
			faults = append(faults, fmt.Errorf("%w: better of %q is %q, want higher or lower", ErrConfig, unit, way))
		}
	}
	if f.RemovedOK != "" {
		var err error
		if r.RemovedOK, err = regexp.Compile(f.RemovedOK); err != nil {
			faults = append(faults, fmt.Errorf("%w: removed_ok: %w", ErrConfig, err))
		}
	}
	if err := errors.Join(errors.Join(faults...), r.Validate()); err != nil {
		return nil, err
	}
	return r, nil
}

// ways are the directions in which a unit may be better, as Unit lines name them.
var ways = map[string]int{"higher": +1, "lower": -1}
