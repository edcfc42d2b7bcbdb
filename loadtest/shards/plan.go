package shards

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"example.com/brunt/loadtest"
)

// The variables that are the same for all shards.
const (
	envRun     = "BRUNT_RUN"
	envStart   = "BRUNT_START"
	envResults = "BRUNT_RESULTS"
)

// plan is what the environment says of a run.
type plan struct {
	shard loadtest.Shard
	run   string
	start time.Time // zero: at once
	dir   string    // of the results; empty: none
}

var runName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// newPlan reads variables with getenv. Its error has every fault.
func newPlan(shard loadtest.Shard, getenv func(string) string) (plan, error) {
	p := plan{shard: shard, run: "run", dir: getenv(envResults)}
	var faults []error
	if name := getenv(envRun); runName.MatchString(name) {
		p.run = name
	} else if name != "" {
		faults = append(faults, fmt.Errorf(`%s is %q: must be at most 100 letters, digits, ".", "_" and "-"`, envRun, name))
	}
	if text := getenv(envStart); text != "" {
		var err error
		if p.start, err = parseStart(text); err != nil {
			faults = append(faults, err)
		}
	}
	if shard.Count > 1 && p.start.IsZero() && len(faults) == 0 {
		faults = append(faults, fmt.Errorf("%s is not set: %d shards make one load only if they begin together; set it to a time at which all will be ready, such as $(date -d '+30 seconds' +%%s)", envStart, shard.Count))
	}
	if shard.Count > 1 && p.dir == "" {
		faults = append(faults, fmt.Errorf("%s is not set: the results of %d shards are merged; set it to a directory", envResults, shard.Count))
	}
	return p, errors.Join(faults...)
}

func parseStart(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0 && f < 1e11) {
		return time.Time{}, fmt.Errorf("%s is %q: must be a time such as 2026-11-26T12:00:00Z, or Unix seconds", envStart, text)
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1e3), nil // a float64 is exact to the microsecond
}
