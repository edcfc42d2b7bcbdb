package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/brunt/loadtest/internal/text"
)

// FailedCheck counts the responses that failed one check.
type FailedCheck struct {
	Count   int64  `json:"count"`
	Example string `json:"example"` // the text of one error
}

// failedChecks counts failures by what was wanted. Beyond maxNames they are counted as
// others are.
type failedChecks map[string]FailedCheck

// add adds failures of the check that wanted want, and reports whether there is an example.
func (f *failedChecks) add(want string, failed FailedCheck) bool {
	if *f == nil {
		*f = make(failedChecks)
	}
	if _, known := (*f)[want]; !known && len(*f) >= maxNames {
		want = foldedEndpoints
	}
	sum := (*f)[want]
	sum.Count, sum.Example = sum.Count+failed.Count, cmp.Or(sum.Example, failed.Example)
	(*f)[want] = sum
	return sum.Example != ""
}

// merge adds from, which is not changed.
func (f *failedChecks) merge(from failedChecks) {
	for _, want := range slices.Sorted(maps.Keys(from)) {
		f.add(want, from[want])
	}
}

// failedCheck counts an error in ClassCheck. Only the first of a check is asked for its
// text.
func (b *buffer) failedCheck(err error) {
	want := foldedEndpoints
	var check interface{ FailedCheck() string }
	if errors.As(err, &check) {
		want = check.FailedCheck()
	}
	if b.addFailed(want, FailedCheck{Count: 1}) {
		return
	}
	b.addFailed(want, FailedCheck{Example: firstLine(err.Error())}) // the user's code: not under the lock
}

func (b *buffer) addFailed(want string, failed FailedCheck) bool {
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	return b.shard.checks.add(want, failed)
}

// write writes a line for each check.
func (f failedChecks) write(b *strings.Builder) {
	counts := make(map[string]int64, len(f))
	for want, failed := range f {
		counts[want] = failed.Count
	}
	for _, want := range text.ByCount(counts) {
		fmt.Fprintf(b, "  … check   %s × %s\n", text.Count(f[want].Count), f[want].Example)
	}
}
