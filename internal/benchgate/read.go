package benchgate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"
)

// ErrInput is what every error of reading results is.
var ErrInput = errors.New("bad input")

// LineError is a line that is no clean benchmark output.
type LineError struct {
	File string
	Line int // from 1
	Text string
	Msg  string
}

func (e *LineError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %q", e.File, e.Line, e.Msg, e.Text)
}

// Is makes a LineError an [ErrInput].
func (e *LineError) Is(err error) bool { return err == ErrInput }

// Side is one of the two columns of a comparison.
type Side int

// The sides, in the order of the columns.
const (
	Base Side = iota
	Head
)

func (s Side) String() string { return [...]string{"base", "head"}[s] }

// Set holds the results of both sides. The zero value is empty and ready. It is
// for one goroutine.
type Set struct {
	Results [2][]*benchfmt.Result
	// Labels name the columns; empty means base and head.
	Labels [2]string
	// Faults are benchmarks that the output says have failed.
	Faults []Fault

	reader benchfmt.Reader // keeps the unit metadata of everything read
}

// Label names a side's column.
func (s *Set) Label(side Side) string {
	if s.Labels[side] != "" {
		return s.Labels[side]
	}
	return side.String()
}

// Units is the metadata of every Unit line read so far.
func (s *Set) Units() benchfmt.UnitMetadataMap { return s.reader.Units() }

// ReadFile adds the results of a file. A file without a result is an error.
func (s *Set) ReadFile(side Side, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInput, err)
	}
	n := len(s.Results[side])
	if err := s.Read(side, path, data); err != nil {
		return err
	}
	if len(s.Results[side]) == n {
		return fmt.Errorf("%w: %s: no benchmark result in it", ErrInput, path)
	}
	return nil
}

// Read adds the results in data, the output of a test binary or of go test.
// name is what errors call it. It is strict where benchstat warns or is silent:
// a line that something printed into is an error, of which all are reported.
func (s *Set) Read(side Side, name string, data []byte) error {
	results, failures, err := s.parse(side, name, data)
	if err != nil {
		return err
	}
	s.Results[side] = append(s.Results[side], results...)
	s.Faults = append(s.Faults, failures...)
	return nil
}

// Parse is Read without keeping the results; the metadata is kept.
func (s *Set) Parse(side Side, name string, data []byte) ([]*benchfmt.Result, []Fault, error) {
	return s.parse(side, name, data)
}

func (s *Set) parse(side Side, name string, data []byte) ([]*benchfmt.Result, []Fault, error) {
	lines := strings.Split(string(data), "\n")
	var faults []error
	fault := func(line int, msg string) {
		faults = append(faults, &LineError{name, line, strings.TrimSuffix(lines[line-1], "\r"), msg})
	}
	failures := strays(side, lines, fault)
	if len(faults) > 0 && bytes.HasPrefix(data, []byte(`{"`)) {
		return nil, nil, errors.Join(faults[0])
	}
	var results []*benchfmt.Result
	s.reader.Reset(bytes.NewReader(data), name, ".file", s.Label(side))
	for s.reader.Scan() {
		switch rec := s.reader.Result().(type) {
		case *benchfmt.SyntaxError:
			fault(rec.Line, rec.Msg+" (did something print to standard output?)")
		case *benchfmt.Result:
			r := rec.Clone()
			tidyZeros(r)
			if slices.ContainsFunc(r.Values, func(v benchfmt.Value) bool { return math.IsNaN(v.Value) || math.IsInf(v.Value, 0) }) {
				_, line := rec.Pos()
				fault(line, "a value that is no finite number")
			}
			results = append(results, r)
		}
	}
	if err := s.reader.Err(); err != nil {
		faults = append(faults, fmt.Errorf("%w: %w", ErrInput, err))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, nil, err
	}
	return results, failures, nil
}

// tidyZeros gives a value of 0 the unit that its neighbours have: benchfmt leaves
// "0 p99-ns" as it is and turns "5 p99-ns" into p99-sec.
func tidyZeros(r *benchfmt.Result) {
	for i, v := range r.Values {
		if v.Value == 0 && v.OrigUnit == "" {
			_, r.Values[i].Unit = benchunit.Tidy(1, v.Unit)
		}
	}
}

var (
	// A result that does not begin its line is one that benchfmt would skip.
	buried = regexp.MustCompile(`\S.*Benchmark\S*[ \t]+\d+[ \t]+[0-9.e+-]+ [^ \t]+`)
	// The rest of a result whose name was cut off by a line break: how testing
	// prints the count and the first metric.
	orphan = regexp.MustCompile(`^ *\d+\t *[0-9.e+-]+ [^ \t]+`)
	// What a benchmark prints in its first run precedes the first label.
	glued  = regexp.MustCompile(`\Sgoos: \w+$|[ \t]goos: (linux|darwin|windows|freebsd|openbsd|netbsd)$`)
	failed = regexp.MustCompile(`^ *--- FAIL: (Benchmark\S*)`)
)

// strays looks at what benchfmt skips without a word.
func strays(side Side, lines []string, fault func(line int, msg string)) (failures []Fault) {
	logging := false
	for i, line := range lines {
		var m []string
		// Expressions are slow and few lines are strange: look before matching.
		if strings.Contains(line, "--- FAIL: ") {
			m = failed.FindStringSubmatch(line)
		}
		switch {
		case strings.HasPrefix(line, `{"Time":`), strings.HasPrefix(line, `{"Action":`):
			fault(i+1, "output of go test -json; plain output is needed")
			return failures
		case m != nil:
			f := Fault{Kind: Failed, Side: side.String(), Bench: strings.TrimPrefix(m[1], "Benchmark")}
			f.Text = strings.TrimSpace(strings.Join(following(lines[i+1:]), "\n"))
			failures = append(failures, f)
			logging = true
		case strings.HasPrefix(strings.TrimSpace(line), "--- "):
			logging = true
		case strings.HasPrefix(line, "FAIL\t"), strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
			if len(failures) == 0 {
				failures = append(failures, Fault{Kind: Failed, Side: side.String(), Text: line})
			}
		case strings.HasPrefix(line, "Benchmark"):
			logging = false
		case logging && strings.HasPrefix(line, "    "):
			// What a benchmark logged, after its line: any text at all.
		case strings.Contains(line, "Benchmark") && buried.MatchString(line):
			fault(i+1, "something was printed before a result on its line")
		case strings.Index(line, "goos: ") > 0 && glued.MatchString(line):
			fault(i+1, "something was printed before goos: on its line")
		case digitFirst(line) && orphan.MatchString(line):
			fault(i+1, "a result without its name: something was printed into its line")
		}
	}
	return failures
}

func digitFirst(line string) bool {
	line = strings.TrimLeft(line, " ")
	return line != "" && line[0] >= '0' && line[0] <= '9'
}

// following is the indented text below a line.
func following(lines []string) []string {
	for i, line := range lines {
		if !strings.HasPrefix(line, "    ") || i == 20 {
			return lines[:i]
		}
	}
	return lines
}

// Write writes a side as a benchmark file that benchstat reads.
func (s *Set) Write(w io.Writer, side Side) error {
	return WriteResults(w, s.Results[side], s.Units())
}

// WriteResults writes Unit lines and results.
func WriteResults(w io.Writer, results []*benchfmt.Result, units benchfmt.UnitMetadataMap) error {
	out := benchfmt.NewWriter(w)
	for _, u := range sortedUnits(units) {
		if err := out.Write(u); err != nil {
			return err
		}
	}
	for _, r := range results {
		if err := out.Write(r); err != nil {
			return err
		}
	}
	return nil
}
