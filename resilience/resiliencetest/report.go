package resiliencetest

import (
	"fmt"
	"strings"
)

// Status is what became of one property.
type Status uint8

// The statuses. Only Holds and Unsupported are no complaint.
const (
	Holds       Status = iota + 1
	Violated           // it does not hold
	Panicked           // the check ended in an unexpected panic
	Hung               // the check did not end
	Unsupported        // the adapter says that the implementation has no such thing
)

// String returns the status in lower case.
func (s Status) String() string {
	names := [...]string{Holds: "holds", Violated: "violated", Panicked: "panicked", Hung: "hung", Unsupported: "unsupported"}
	if s == 0 || int(s) >= len(names) {
		return fmt.Sprintf("Status(%d)", uint8(s))
	}
	return names[s]
}

// OK reports whether s is no complaint.
func (s Status) OK() bool { return s == Holds || s == Unsupported }

// Result is the outcome of checking one property.
type Result struct {
	Property    string // its name, the same in every release
	Status      Status
	Details     string // what was seen; empty if it holds
	Explanation string // why it matters
}

// Report holds one result for each property, in a fixed order.
type Report []Result

// Violations returns the results that are complaints.
func (r Report) Violations() Report {
	var out Report
	for _, res := range r {
		if !res.Status.OK() {
			out = append(out, res)
		}
	}
	return out
}

// Status returns the status of a property, or zero if there is none of that
// name.
func (r Report) Status(property string) Status {
	for _, res := range r {
		if res.Property == property {
			return res.Status
		}
	}
	return 0
}

// String renders the report as lines of property, status and details.
func (r Report) String() string {
	var b strings.Builder
	for _, res := range r {
		line := fmt.Sprintf("%-28s %-11s %s", res.Property, res.Status, res.Details)
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	return b.String()
}
