package resilience

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"example.com/brunt/peers/internal/markdown"
	"example.com/brunt/resilience/resiliencetest"
)

var update = flag.Bool("update", false, "rewrite what is in testdata and its copy in the README")

const readme = "../README.md"

// record is a golden file with a copy in the README.
type record struct {
	golden, name, command string
}

// marks are the lines between which the copy is.
func (r record) marks() (from, to string) {
	return fmt.Sprintf("<!-- %s: written by %s -->\n", r.name, r.command), fmt.Sprintf("<!-- %s ends -->\n", r.name)
}

// contender is a library that was checked.
type contender struct {
	name   string // of the column
	module string // whose version goes with it; empty for brunt's own
	report resiliencetest.Report
}

// TestConformance checks the libraries with brunt's conformance suites. brunt must
// have every property; what the others do is put on record, and must be
// reproduced. A peer that has mended its ways fails the test too: -update then.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("a deadlock takes ten seconds to be called one")
	}
	versions, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, suite := range []struct {
		name       string
		contenders []contender
	}{
		{"Breakers", []contender{
			{"brunt", "", resiliencetest.CheckBreaker(t, bruntBreakers)},
			{"gobreaker", "github.com/sony/gobreaker/v2", resiliencetest.CheckBreaker(t, gobreakers)},
			{"failsafe-go", "github.com/failsafe-go/failsafe-go", resiliencetest.CheckBreaker(t, failsafeBreakers)},
		}},
		{"Limiters", []contender{
			{"brunt", "", resiliencetest.CheckLimiter(t, bruntLimiters)},
			{"x/sync/semaphore", "golang.org/x/sync", resiliencetest.CheckLimiter(t, semaphores)},
			{"failsafe-go", "github.com/failsafe-go/failsafe-go", resiliencetest.CheckLimiter(t, bulkheads)},
		}},
		{"Retriers", []contender{
			{"brunt", "", resiliencetest.CheckRetrier(t, bruntRetriers)},
			{"backoff", "github.com/cenkalti/backoff/v5", resiliencetest.CheckRetrier(t, backoffs)},
			{"retry-go", "github.com/avast/retry-go/v5", resiliencetest.CheckRetrier(t, avasts)},
			{"failsafe-go", "github.com/failsafe-go/failsafe-go", resiliencetest.CheckRetrier(t, failsafeRetriers)},
		}},
	} {
		own := suite.contenders[0]
		for _, res := range own.report {
			if res.Status != resiliencetest.Holds {
				t.Errorf("%s: brunt: %s: %s: %s", suite.name, res.Property, res.Status, res.Details)
			}
		}
		if err := write(&out, suite.name, suite.contenders, string(versions)); err != nil {
			t.Fatal(err)
		}
	}
	if t.Failed() {
		return
	}
	compare(t, record{"testdata/conformance.md", "conformance", "go test ./resilience -run Conformance -update"}, out.String())
}

// write writes what came of a suite: a table, and what was seen of each violation.
func write(out *bytes.Buffer, suite string, contenders []contender, versions string) error {
	table := markdown.Table{Head: []string{"property"}, Left: 1 + len(contenders)}
	for _, c := range contenders {
		column, err := heading(c.name, c.module, versions)
		if err != nil {
			return err
		}
		table.Head = append(table.Head, column)
	}
	var seen strings.Builder
	for _, res := range contenders[0].report {
		row := []string{res.Property}
		for _, c := range contenders {
			row = append(row, cell(c.report.Status(res.Property)))
		}
		table.Rows = append(table.Rows, row)
	}
	for _, c := range contenders {
		for _, res := range c.report.Violations() {
			fmt.Fprintf(&seen, "- %s, %s: %s\n", c.name, res.Property, repeatable(res.Details))
		}
	}
	fmt.Fprintf(out, "%s:\n\n", suite)
	if err := table.Write(out); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nWhat was seen:\n\n%s\n", seen.String())
	return nil
}

var errNoVersion = errors.New("no version in go.mod")

// heading is a name with the version of its module, if it has one.
func heading(name, module, versions string) (string, error) {
	if module == "" {
		return name, nil
	}
	version, err := versionOf(module, versions)
	return name + " " + version, err
}

func versionOf(module, versions string) (string, error) {
	for line := range strings.Lines(versions) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == module {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%s: %w", module, errNoVersion)
}

func cell(s resiliencetest.Status) string {
	switch s {
	case resiliencetest.Holds:
		return "yes"
	case resiliencetest.Violated:
		return "**no**"
	case resiliencetest.Hung:
		return "**hangs**"
	case resiliencetest.Panicked:
		return "**panics**"
	}
	return "–"
}

// jittered is a duration that was drawn at random.
var jittered = regexp.MustCompile(`^a delay of [0-9.a-zµ]+,`)

func repeatable(details string) string {
	return jittered.ReplaceAllString(details, "a longer delay,")
}

func compare(t *testing.T, r record, got string) {
	t.Helper()
	from, to := r.marks()
	golden := r.golden
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), from)
	there, after, okTo := strings.Cut(rest, to)
	if !ok || !okTo {
		t.Fatalf("%s lacks the lines between which the table goes:\n%s%s", readme, from, to)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(readme, []byte(before+from+got+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant, as on record in %s,\n%s", got, golden, want)
	}
	if there != string(want) {
		t.Errorf("the copy in %s differs from %s", readme, golden)
	}
}

func TestCellsTellStatusesApart(t *testing.T) {
	seen := make(map[string]resiliencetest.Status)
	for _, s := range []resiliencetest.Status{
		resiliencetest.Holds, resiliencetest.Violated, resiliencetest.Panicked, resiliencetest.Hung, resiliencetest.Unsupported,
	} {
		text := cell(s)
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s are both %q", s, other, text)
		}
		seen[text] = s
	}
}

func TestVersionOf(t *testing.T) {
	const mod = "require (\n\ta/b v1.2.3\n\ta/bc v4 // indirect\n)\n"
	if v, err := versionOf("a/bc", mod); v != "v4" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if _, err := versionOf("a", mod); !errors.Is(err, errNoVersion) {
		t.Errorf("got error %v, want %v", err, errNoVersion)
	}
}
