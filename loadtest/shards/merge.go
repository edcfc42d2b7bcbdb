package shards

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest"
)

// ErrNotWhole is matched by the errors of [Merge] about a run of which something is missing
// or does not belong to it.
var ErrNotWhole = errors.New("shards: not a whole run")

// ShardError says why the results of a test cannot be merged. It matches [ErrNotWhole].
type ShardError struct {
	Run, Name string
	Shard     int // -1 if it is not about one
	Text      string
}

func (e *ShardError) Error() string {
	if e.Shard < 0 {
		return fmt.Sprintf("%s, run %s: %s", e.Name, e.Run, e.Text)
	}
	return fmt.Sprintf("%s, run %s: shard %d %s", e.Name, e.Run, e.Shard, e.Text)
}

// Is matches ErrNotWhole.
func (e *ShardError) Is(target error) bool { return target == ErrNotWhole }

// Merged is the result of all shards of one test or benchmark.
type Merged struct {
	Run, Name string
	Shards    int
	SLO       loadtest.SLO
	Result    *loadtest.EngineResult
	Verdict   loadtest.Verdict // of SLO on Result
}

// Merge merges the results of one run, exactly: counts and histograms are those that a
// single process would have measured. There is one Merged for each test or benchmark, in the
// order of names. The error has every fault, and nothing is merged if there is one. Files
// are used up: their Results are changed.
//
// It is a fault if a shard is missing, there twice, late, did not come to its end, is itself
// INVALID, or has another number of shards, start, binary, schedule or SLO than most have.
func Merge(files []*File) ([]*Merged, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: there is no result of a shard", ErrNotWhole)
	}
	tests := make(map[string][]*File)
	runs := make(map[string]bool)
	for _, f := range files {
		tests[f.Name] = append(tests[f.Name], f)
		runs[f.Run] = true
	}
	if len(runs) > 1 {
		return nil, fmt.Errorf("%w: there are results of %d runs, %s: choose one", ErrNotWhole, len(runs), strings.Join(slices.Sorted(maps.Keys(runs)), ", "))
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		faults = append(faults, faultsOf(tests[name], true)...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	var out []*Merged
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		files := tests[name]
		slices.SortFunc(files, func(a, b *File) int { return a.Shard - b.Shard })
		m := &Merged{Run: files[0].Run, Name: name, Shards: len(files), SLO: files[0].SLO, Result: files[0].Result}
		for _, f := range files[1:] {
			m.Result.Merge(f.Result)
		}
		m.Verdict = m.SLO.Judge(m.Result)
		out = append(out, m)
	}
	return out, nil
}

// faultsOf returns why the files are not those of all shards of one test, or, if that is
// asked, that one of them was itself the limit.
func faultsOf(files []*File, validity bool) (faults []error) {
	refuse := func(shard int, format string, args ...any) {
		faults = append(faults, &ShardError{files[0].Run, files[0].Name, shard, fmt.Sprintf(format, args...)})
	}
	for _, same := range []struct {
		what string
		of   func(*File) string
	}{
		{"number of shards", func(f *File) string { return fmt.Sprint(f.Shards) }},
		{"start", func(f *File) string { return f.Start.UTC().Format(time.RFC3339Nano) }},
		{"test binary", func(f *File) string { return f.Binary }},
		{"schedule", func(f *File) string {
			if f.Result == nil {
				return ""
			}
			return strings.TrimSpace(f.Result.Engine + " " + f.Result.Schedule)
		}},
		{"SLO", func(f *File) string { text, _ := json.Marshal(f.SLO); return string(text) }},
	} {
		usual := most(files, same.of)
		for _, f := range files {
			if got := same.of(f); got != usual && got != "" {
				refuse(f.Shard, "has another %s than most: %s, not %s (%s)", same.what, brief(got), brief(usual), f.path)
			}
		}
	}
	shards := make(map[int][]*File)
	count := 0
	for _, f := range files {
		shards[f.Shard] = append(shards[f.Shard], f)
		count = max(count, f.Shards)
	}
	var missing []string
	for i := range count {
		if len(shards[i]) == 0 {
			missing = append(missing, fmt.Sprint(i))
		}
	}
	if len(missing) > 0 {
		refuse(-1, "of %d shards, %d wrote no result: %s", count, len(missing), strings.Join(missing, ", "))
	}
	for _, i := range slices.Sorted(maps.Keys(shards)) {
		if twice := shards[i]; len(twice) > 1 {
			var paths []string
			for _, f := range twice {
				paths = append(paths, f.path)
			}
			refuse(i, "has run %d times: %s", len(twice), strings.Join(paths, ", "))
		}
		for _, f := range shards[i] {
			switch late := f.Late(); {
			case late > 0:
				refuse(i, "on %s was ready %v after the start: leave more time before it", f.Host, late.Round(time.Millisecond))
			case f.Error != "":
				refuse(i, "on %s did not come to its end: %s", f.Host, f.Error)
			case validity:
				if v := f.validity(); v.Kind == loadtest.VerdictInvalid {
					refuse(i, "on %s is %v", f.Host, v)
				}
			}
		}
	}
	return faults
}

// validity returns the verdict on whether the load of the shard was what its schedule says;
// the other objectives are those of all shards together.
func (f *File) validity() loadtest.Verdict {
	return loadtest.SLO{
		MaxErrorRate: 1, MaxRejectedRate: 1, MaxUserErrorRate: 1,
		MaxMissedRate: f.SLO.MaxMissedRate, MaxDroppedRate: f.SLO.MaxDroppedRate, MinAchievedRate: f.SLO.MinAchievedRate,
	}.Judge(f.Result)
}

// most returns what most of the files have, the first of what equally many have.
func most(files []*File, of func(*File) string) (usual string) {
	times := make(map[string]int)
	for _, f := range files {
		times[of(f)]++
	}
	for _, f := range files {
		if text := of(f); text != "" && times[text] > times[usual] || usual == "" {
			usual = text
		}
	}
	return usual
}

// brief returns the beginning of a long text.
func brief(text string) string {
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
