package benchgate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"
)

// ErrInput is what every error of reading results is.
var ErrInput = errors.New("bad input")

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
	// Faults are the benchmarks that the output says have failed, and what of it
	// could not be read.
	Faults []Fault
	// Skip leaves out the benchmarks that it matches, as go test -skip does; empty
	// for none.
	Skip string

	readers [2]benchfmt.Reader // keep the unit metadata of everything read
}

// Label names a side's column.
func (s *Set) Label(side Side) string {
	if s.Labels[side] != "" {
		return s.Labels[side]
	}
	return side.String()
}

// Units returns the metadata of every Unit line read so far, of either side.
func (s *Set) Units() benchfmt.UnitMetadataMap {
	units := make(benchfmt.UnitMetadataMap)
	maps.Copy(units, s.readers[Head].Units())
	maps.Copy(units, s.readers[Base].Units())
	return units
}

// ReadFile adds the results of a file. A file without a result is an error, unless
// there is a fault that explains it or a Skip that may have left all of them out.
func (s *Set) ReadFile(side Side, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInput, err)
	}
	n := len(s.Results[side]) + len(s.Faults)
	if err := s.Read(side, path, data); err != nil {
		return err
	}
	if len(s.Results[side])+len(s.Faults) == n && s.Skip == "" {
		return fmt.Errorf("%w: %s: no benchmark result in it", ErrInput, path)
	}
	return nil
}

// Read adds the results in data, the output of a test binary or of go test.
// name is what messages call it. Whatever else is in it changes no result: what
// terminals, shells and editors make of text is undone, what was logged is left
// out, and a line that hides a part of a result is a fault of its benchmark, of
// which then nothing is kept. The error is for what is no such output at all.
func (s *Set) Read(side Side, name string, data []byte) error {
	results, faults, err := s.Parse(side, name, data)
	if err != nil {
		return err
	}
	s.Results[side] = append(s.Results[side], results...)
	s.Faults = append(s.Faults, faults...)
	for side := range s.Results {
		s.Results[side] = slices.DeleteFunc(s.Results[side], func(r *benchfmt.Result) bool { return unread(s.Faults, r) })
	}
	return nil
}

// unread reports whether the faults say that a result's benchmark is unreadable.
func unread(faults []Fault, r *benchfmt.Result) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		return f.Kind == Unreadable && f.Unit == "" && f.Bench != "" && f.Bench == r.Name.String() && f.Pkg == r.GetConfig("pkg")
	})
}

// AddFault adds a fault, unless there is one of its kind already.
func (s *Set) AddFault(f Fault) {
	if !slices.ContainsFunc(s.Faults, func(old Fault) bool {
		return old.Kind == f.Kind && old.Side == f.Side && old.Pkg == f.Pkg && old.Bench == f.Bench && old.Unit == f.Unit
	}) {
		s.Faults = append(s.Faults, f)
	}
}

// Parse is Read without keeping the results; the metadata is kept.
func (s *Set) Parse(side Side, name string, data []byte) ([]*benchfmt.Result, []Fault, error) {
	in := newStream(side, name, data)
	for _, l := range in.lines {
		if (strings.HasPrefix(l.text, `{"Time":`) || strings.HasPrefix(l.text, `{"Action":`)) && strings.Contains(l.text, `"Action":`) {
			return nil, nil, fmt.Errorf("%w: %s:%d: output of go test -json; plain output is needed", ErrInput, name, l.number)
		}
	}
	units := make(map[string]bool)
	for u := range directions {
		units[u] = true
	}
	var results []*benchfmt.Result
	reader := &s.readers[side]
	var feed strings.Builder
	for _, l := range in.lines {
		feed.WriteString(l.feed + "\n")
	}
	reader.Reset(strings.NewReader(feed.String()), name, ".file", s.Label(side))
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			in.syntax(rec.Line-1, rec.Msg)
		case *benchfmt.UnitMetadata:
			units[rec.OrigUnit] = true
			if known := wayOf(directions, rec.Unit); rec.Key == "better" && known != 0 && ways[rec.Value] != known {
				_, number := rec.Pos()
				in.unreadable(number-1, "", "a unit turned around")
			}
		case *benchfmt.Result:
			_, number := rec.Pos()
			r := rec.Clone()
			for _, v := range r.Values {
				units[cmp.Or(v.OrigUnit, v.Unit)] = true
			}
			tidyUnits(r)
			if in.sound(number-1, r) {
				results = append(results, r)
			}
		}
	}
	if err := reader.Err(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	in.strays(units)
	faults := append(in.failures(), once(in.faults)...)
	if s.Skip != "" {
		results = slices.DeleteFunc(results, func(r *benchfmt.Result) bool { return Skips(s.Skip, r.Name.String()) })
		faults = slices.DeleteFunc(faults, func(f Fault) bool { return f.Bench != "" && Skips(s.Skip, f.Bench) })
	}
	return slices.DeleteFunc(results, func(r *benchfmt.Result) bool { return unread(faults, r) }), faults, nil
}

// sound reports whether a result is as package testing prints one. What is not
// finite is taken out of it, and a fault of that metric alone.
func (s *stream) sound(i int, r *benchfmt.Result) bool {
	name := r.Name.String()
	if !printable(name) {
		s.unreadable(i, name, "a name that testing does not print")
		return false
	}
	seen := make(map[string]bool)
	for _, v := range r.Values {
		if isNumber(v.Unit) || !printable(v.Unit) || seen[v.Unit] {
			s.unreadable(i, name, fmt.Sprintf("%q is no metric of its own (did something print to standard output?)", v.Unit))
			return false
		}
		seen[v.Unit] = true
	}
	r.Values = slices.DeleteFunc(r.Values, func(v benchfmt.Value) bool {
		if !math.IsNaN(v.Value) && !math.IsInf(v.Value, 0) {
			return false
		}
		s.unreadable(i, name, "a value that is not a finite number")
		s.faults[len(s.faults)-1].Unit = v.Unit
		return true
	})
	return len(r.Values) > 0
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0
}

// once returns the faults with one for each metric and benchmark: the first.
func once(faults []Fault) (first []Fault) {
	more := make(map[Fault]int)
	key := func(f Fault) Fault {
		if f.Bench != "" {
			f.Text = ""
		}
		return f
	}
	for _, f := range faults {
		if more[key(f)]++; more[key(f)] == 1 {
			first = append(first, f)
		}
	}
	for i, f := range first {
		if n := more[key(f)]; n > 1 {
			first[i].Text += fmt.Sprintf("; and %d more of its lines", n-1)
		}
	}
	return first
}

// tidyUnits gives a value of 0, or one that is not finite, the unit of its neighbors:
// benchfmt leaves "0 p99-ns" as it is and turns "5 p99-ns" into p99-sec.
func tidyUnits(r *benchfmt.Result) {
	for i, v := range r.Values {
		_, r.Values[i].Unit = benchunit.Tidy(1, v.Unit)
	}
}

// Format returns a side as a benchmark file that benchstat reads.
func (s *Set) Format(side Side) []byte { return Format(s.Results[side], s.readers[side].Units()) }

// Format returns Unit lines and results.
func Format(results []*benchfmt.Result, units benchfmt.UnitMetadataMap) []byte {
	var b bytes.Buffer
	out := benchfmt.NewWriter(&b)
	inOrder := func(a, b *benchfmt.UnitMetadata) int {
		return cmp.Or(strings.Compare(a.Unit, b.Unit), strings.Compare(a.Key, b.Key))
	}
	for _, u := range slices.SortedFunc(maps.Values(units), inOrder) {
		_ = out.Write(u) // a Buffer takes everything
	}
	for _, r := range results {
		_ = out.Write(r)
	}
	return b.Bytes()
}
