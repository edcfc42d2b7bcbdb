package shards

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"example.com/brunt/internal/scheduler"
	"example.com/brunt/loadtest"
)

// Config says which part of a run is made here, when, and where the result goes. [FromEnv]
// returns that of the environment.
type Config struct {
	Shard loadtest.Shard
	// Name names the run, the same for all shards.
	Name string
	// Start is when the load begins; the zero time means at once.
	Start time.Time
	// Dir is where results are written; empty means nowhere.
	Dir string
}

// FromEnv returns what the environment says; see the package's documentation. Its error has
// every fault, and matches [loadtest.ErrConfig] if it is about which shard this is.
func FromEnv() (Config, error) {
	shard, err := loadtest.ShardFromEnv()
	if err != nil {
		return Config{}, fmt.Errorf("shards: %w", err)
	}
	return newConfig(shard, os.Getenv)
}

// newConfig reads variables with getenv.
func newConfig(shard loadtest.Shard, getenv func(string) string) (Config, error) {
	c := Config{Shard: shard, Name: "run", Dir: getenv(scheduler.Results)}
	var faults []error
	if name := getenv(scheduler.Run); scheduler.RunName.MatchString(name) {
		c.Name = name
	} else if name != "" {
		faults = append(faults, fmt.Errorf(`%s is %q: must be at most 100 letters, digits, ".", "_" and "-"`, scheduler.Run, name))
	}
	if text := getenv(scheduler.Start); text != "" {
		var err error
		if c.Start, err = parseStart(text); err != nil {
			faults = append(faults, err)
		}
	}
	if shard.Count > 1 && c.Start.IsZero() && len(faults) == 0 {
		faults = append(faults, fmt.Errorf("%s is not set: %d shards make one load only if they begin together; set it to a time at which all will be ready, such as $(date -d '+30 seconds' +%%s)", scheduler.Start, shard.Count))
	}
	if shard.Count > 1 && c.Dir == "" {
		faults = append(faults, fmt.Errorf("%s is not set: the results of %d shards are merged; set it to a directory", scheduler.Results, shard.Count))
	}
	if len(faults) > 0 {
		return Config{}, fmt.Errorf("shards: %w", errors.Join(faults...))
	}
	return c, nil
}

func parseStart(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0 && f < 1e11) {
		return time.Time{}, fmt.Errorf("%s is %q: must be a time such as 2026-11-26T12:00:00Z, or Unix seconds", scheduler.Start, text)
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1e3), nil // a float64 is exact to the microsecond
}
