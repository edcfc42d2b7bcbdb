package resiliencetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Verdict is what a cell of a [Matrix] has come to.
type Verdict string

// The verdicts. Only Fail and Invalid are complaints about the client.
const (
	Pass    Verdict = "pass"
	Known   Verdict = "known" // something is left behind, which net/http's own transport does
	Fail    Verdict = "FAIL"
	Invalid Verdict = "INVALID" // the fault did not fire, so nothing was proved
)

// Cell is what a client did about one fault, in one kind of call. Numbers are of that call,
// in a storm of all of them, and leave out those made before and after it.
type Cell struct {
	Fault   string  `json:"fault"`
	Shape   string  `json:"shape"` // GET, PUT, POST, canceled-…, or storm
	Verdict Verdict `json:"verdict"`
	// Outcome is "succeeded", "gave up", "canceled", "wrong answer" or "never returned"; of
	// a storm it is how many calls succeeded.
	Outcome     string        `json:"outcome"`
	Error       string        `json:"error,omitempty"`  // of the call
	Status      int           `json:"status,omitempty"` // of its answer; 0 is none
	Fired       int64         `json:"fired"`            // how often the fault did
	Attempts    int           `json:"attempts"`         // that were begun at the client
	Requests    int64         `json:"requests"`         // that the server received
	Executions  int           `json:"executions"`       // at the server
	Dials       int           `json:"dials"`            // connections that were tried
	Connections int           `json:"connections"`      // and those that came about
	LeftOpen    int           `json:"left_open"`        // when all was over
	Time        time.Duration `json:"time_ns"`          // virtual
	Reasons     []string      `json:"reasons,omitempty"`
	// Reproduction says in words how to see it.
	Reproduction string `json:"reproduction"`

	unclosed int // bodies of requests
}

// String returns the cell in a line.
func (c Cell) String() string {
	s := fmt.Sprintf("%s: %s after %d attempts, %d dials and %v, %d executions", c.Verdict, c.Outcome,
		c.Attempts, c.Dials, c.Time.Round(time.Millisecond), c.Executions)
	if c.Status != 0 {
		s += fmt.Sprintf(", status %d", c.Status)
	}
	if c.Error != "" {
		s += ": " + c.Error
	}
	return s
}

// Matrix is what [CheckTransport] saw, in a fixed order: the shapes of one fault follow each
// other.
type Matrix struct {
	Cells []Cell
}

// Count returns how many cells have come to a verdict.
func (m Matrix) Count(v Verdict) (n int) {
	for _, c := range m.Cells {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// Cell returns the cell of that name, as in "response-lost/POST".
func (m Matrix) Cell(name string) (c Cell, ok bool) {
	i := slices.IndexFunc(m.Cells, func(c Cell) bool { return c.Fault+"/"+c.Shape == name })
	if i < 0 {
		return Cell{}, false
	}
	return m.Cells[i], true
}

// MarshalJSON writes how many cells have come to which verdict, and the cells.
func (m Matrix) MarshalJSON() ([]byte, error) {
	cells := m.Cells
	if cells == nil {
		cells = []Cell{}
	}
	return json.Marshal(struct {
		Pass    int    `json:"pass"`
		Known   int    `json:"known"`
		Fail    int    `json:"fail"`
		Invalid int    `json:"invalid"`
		Cells   []Cell `json:"cells"`
	}{m.Count(Pass), m.Count(Known), m.Count(Fail), m.Count(Invalid), cells})
}

// String returns the matrix as a table of a line for each fault, with verdicts and attempts,
// and below it the reason of each cell that has not passed.
func (m Matrix) String() string {
	var b, reasons strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tGET\tPUT\tPOST\tcanceled\tstorm")
	for i, c := range m.Cells {
		if i == 0 || m.Cells[i-1].Fault != c.Fault {
			fmt.Fprintf(w, "%s\t%s\n", c.Fault, strings.Join(m.row(i), "\t"))
		}
		for _, r := range c.Reasons {
			fmt.Fprintf(&reasons, "%s/%s: %s\n", c.Fault, c.Shape, r)
		}
	}
	_ = w.Flush() // a Builder takes everything
	fmt.Fprintf(&b, "%d passed, %d known, %d failed, %d invalid\n", m.Count(Pass), m.Count(Known), m.Count(Fail), m.Count(Invalid))
	return b.String() + reasons.String()
}

// row returns the columns of the fault whose cells begin at i.
func (m Matrix) row(i int) []string {
	columns := []string{"-", "-", "-", "-", "-"}
	for _, c := range m.Cells[i:] {
		if c.Fault != m.Cells[i].Fault {
			break
		}
		column := slices.Index([]string{"GET", "PUT", "POST"}, c.Shape)
		switch {
		case c.Shape == "storm":
			column = 4
		case column < 0:
			column = 3
		}
		columns[column] = fmt.Sprintf("%s %d×", c.Verdict, c.Attempts)
	}
	return columns
}
