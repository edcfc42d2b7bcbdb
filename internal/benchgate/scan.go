package benchgate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/perf/benchunit"
)

// stream is the output of a test binary or of go test while it is read.
type stream struct {
	side   Side
	name   string
	lines  []line
	faults []Fault
	// broken names the benchmarks whose result lines could not be read, by line.
	broken map[int]string
}

func newStream(side Side, name string, data []byte) *stream {
	s := &stream{side: side, name: name, lines: split(data), broken: make(map[int]string)}
	pkg := ""
	// Whether the results of pkg have ended, and whether others follow without a pkg line.
	ended, unnamed := false, false
	for i, l := range s.lines {
		text := s.matters(i)
		if len(text) > 32<<10 {
			// benchfmt ends at a line of 64 KB. Text with a colon can be that long.
			if rank(text) >= 0 || strings.HasPrefix(text, "Unit") {
				s.unreadable(i, "", fmt.Sprintf("a line of %d bytes", len(l.text)))
			}
			text = ""
		}
		if value, ok := strings.CutPrefix(text, "pkg:"); ok {
			pkg, ended, unnamed = strings.TrimLeft(value, " \t"), false, false
		}
		s.lines[i].feed, s.lines[i].pkg = text, pkg
		switch {
		case l.text == "PASS", l.text == "FAIL":
			ended = true
		case strings.HasPrefix(text, "goos:"):
			unnamed = ended && pkg != ""
		case unnamed && rank(text) == len(labels): // they would count as those of the package before
			s.unreadable(i, "", "results without a pkg line after goos")
			unnamed = false
		}
	}
	return s
}

var (
	keyValue = regexp.MustCompile(`^\p{Ll}[^\s\p{Lu}:]*:(?:[ \t]|$)`)
	// A Unit line, after whatever was printed before it without a line break.
	unitLine = regexp.MustCompile(`Unit[ \t]+\S+(?:[ \t]+[^\s=]+=\S+)+[ \t]*$`)
)

// matters returns the part of a line that benchfmt is to read.
func (s *stream) matters(i int) string {
	l := s.lines[i]
	switch {
	case l.log:
		return ""
	case strings.HasPrefix(l.text, "Benchmark"):
		return l.text
	case strings.Contains(l.text, "Unit"), strings.Contains(l.text, "better="):
		if text := s.unit(i); text != "" {
			return text
		}
	}
	// Expressions are slow and few lines have a colon: look before matching.
	key, _, colon := strings.Cut(l.text, ":")
	if !colon {
		return ""
	}
	if label := s.label(i); label != "" {
		return label
	}
	if key != "panic" && !strings.ContainsAny(key, " \t") && keyValue.MatchString(l.text) {
		return l.text
	}
	return ""
}

// unit returns the Unit line that a line holds. One that does not say what it should is
// unreadable: a unit would lose its direction without a word.
func (s *stream) unit(i int) string {
	text := unitLine.FindString(s.lines[i].text)
	if saysHow(text) {
		return text
	}
	if text != "" || strings.Contains(s.lines[i].text, "better=") {
		s.unreadable(i, "", "something like a Unit line; want Unit name better=higher or better=lower")
	}
	return ""
}

// saysHow reports whether a Unit line has what benchfmt knows, and nothing like it.
func saysHow(text string) (ok bool) {
	for _, field := range strings.Fields(text) {
		switch key, value, _ := strings.Cut(field, "="); {
		case key == "better" && (value == "higher" || value == "lower"), key == "assume" && (value == "nothing" || value == "exact"):
			ok = true
		case key == "better", key == "assume":
			return false
		}
	}
	return ok
}

// labels are the lines that package testing prints before the first result.
var labels = []string{"goos", "goarch", "pkg", "cpu"}

var label = regexp.MustCompile(`(goos|goarch|pkg|cpu): (\S.*)$`)

// rank returns the place of a line among the labels; -1 if it is none, and after them
// all for a result.
func rank(text string) int {
	if strings.HasPrefix(text, "Benchmark") {
		return len(labels)
	}
	key, _, ok := strings.Cut(text, ": ")
	if !ok {
		return -1
	}
	return slices.Index(labels, key)
}

// label returns the label that follows on a line on what was printed there without a
// line break. A label stands among the others; anything like one elsewhere is text.
func (s *stream) label(i int) string {
	text := s.lines[i].text
	m := label.FindStringSubmatchIndex(text)
	if m == nil || m[0] == 0 {
		return ""
	}
	found, value := text[m[0]:], text[m[4]:m[5]]
	at := rank(found)
	if labels[at] != "cpu" && strings.ContainsAny(value, " \t") {
		return ""
	}
	before, after := -1, -1
	if i > 0 {
		before = rank(s.lines[i-1].feed)
	}
	if i+1 < len(s.lines) {
		after = rank(s.lines[i+1].text)
	}
	if labels[at] == "goos" || (before >= 0 && before < at) || after > at {
		return found
	}
	return ""
}

// unreadable records a line that hides something. bench is empty if it cannot be
// known of which benchmark it is.
func (s *stream) unreadable(i int, bench, msg string) {
	l := s.lines[i]
	raw := strings.TrimSpace(l.raw)
	if len(raw) > 200 {
		raw = strings.ToValidUTF8(raw[:200], "") + "…"
	}
	s.faults = append(s.faults, Fault{
		Kind: Unreadable, Side: s.side.String(), Pkg: s.lines[i].pkg, Bench: bench,
		Text: fmt.Sprintf("%s:%d: %s: %q", s.name, l.number, msg, raw),
	})
	if strings.HasPrefix(l.text, "Benchmark") {
		s.broken[i] = bench
	}
}

// syntax records a line that benchfmt could not read.
func (s *stream) syntax(i int, msg string) {
	text := s.lines[i].feed
	if name, ok := strings.CutPrefix(text, "Benchmark"); ok {
		if r, _ := utf8.DecodeRuneInString(name); r >= 'a' && r <= 'z' {
			s.lines[i].feed = "" // Benchmarking…: prose, unless it has a result's end
			return
		}
		name, _, _ = strings.Cut(strings.ReplaceAll(name, "\t", " "), " ")
		s.unreadable(i, name, msg+" (did something print to standard output?)")
		return
	}
	s.unreadable(i, "", msg)
}

// strays records the lines that are no results and look like a part of one.
func (s *stream) strays(units map[string]bool) {
	owner := "" // of a result that was torn
	for i, l := range s.lines {
		if name, ok := s.broken[i]; ok {
			owner = name
			continue
		}
		if strings.HasPrefix(s.lines[i].feed, "Benchmark") {
			owner = ""
			if !strings.ContainsAny(l.text, " \t") {
				owner = strings.TrimPrefix(l.text, "Benchmark") // a name alone, as of go test -v
			}
			continue
		}
		if l.log || s.lines[i].feed != "" || !torn(l.text, units) {
			continue
		}
		if before, rest, ok := strings.Cut(l.text, "Benchmark"); ok {
			name, _, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
			msg := "something was printed before a result on its line"
			if before == "" {
				msg = "something was printed into a result"
			}
			s.unreadable(i, name, msg)
			continue
		}
		s.unreadable(i, owner, "a result without its name: something was printed into its line")
	}
}

// torn reports whether a line has the end of a result: a count, a value and a
// unit; values and units alone; or one of them after a tab, as testing prints it.
func torn(text string, units map[string]bool) bool {
	if !strings.ContainsAny(text, "0123456789") {
		return false
	}
	fields := strings.Fields(text)
	for i := range fields {
		if i+1 >= len(fields) || !isNumber(fields[i]) {
			continue
		}
		unit := fields[i+1]
		known := units[unit] || strings.HasSuffix(unit, "/op")
		if known && (i == 0 || strings.Contains(text, "\t")) {
			return true
		}
		if i > 0 && isCount(fields[i-1]) && !isNumber(unit) && (known || strings.Contains(unit, "/") || (i == 1 && strings.Contains(text, "\t"))) {
			return true
		}
	}
	return false
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func isCount(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n > 0
}

// directions are those of the units that package testing and this module report, so that
// they do not depend on a line of output.
var directions = map[string]int{
	"ns/op": -1, "B/op": -1, "allocs/op": -1, "MB/s": +1,
	"req/s": +1, "p50-ns": -1, "p95-ns": -1, "p99-ns": -1, "err/op": -1, "peak-B": -1,
	"missed/op": -1, "dropped/op": -1, "lag-p99-ns": -1,
	"capacity-req/s": +1, "capacity-lo-req/s": +1, "capacity-hi-req/s": +1,
}

// named are the units that loadtest.ReportEndpoints puts after the name of a request.
var named = []string{"p50-ns", "p95-ns", "p99-ns", "err/op"}

// wayOf looks a unit up under either of its names: as it is printed, or tidied.
func wayOf(directions map[string]int, unit string) int {
	for name, way := range directions {
		if _, tidied := benchunit.Tidy(1, name); name == unit || tidied == unit {
			return way
		}
	}
	return 0
}
