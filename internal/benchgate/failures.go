package benchgate

import (
	"regexp"
	"strings"
)

var (
	failed = regexp.MustCompile(`--- FAIL: (Benchmark\S*)`)
	// What go test prints after a package that failed.
	failedPackage = regexp.MustCompile(`^FAIL\t\S+(?:\t[0-9.]+s| \[.*\])$`)
)

// failures returns the benchmarks that the output says have failed. Any benchmark can
// print the same words, so those of a package whose tests end in PASS are text.
func (s *stream) failures() (found []Fault) {
	var open []Fault
	passed := false
	blame := func(f Fault) {
		if len(open) == 0 {
			open = append(open, f)
		}
	}
	end := func() {
		if !passed {
			found = append(found, open...)
		}
		open, passed = nil, false
	}
	for i, l := range s.lines {
		if l.log {
			continue
		}
		f := Fault{Kind: Failed, Side: s.side.String(), Pkg: l.pkg, Text: l.text}
		switch at := rank(l.feed); {
		case at >= 0 && at < len(labels):
			if i == 0 || rank(s.lines[i-1].feed) < 0 || rank(s.lines[i-1].feed) == len(labels) {
				end() // the first label of another package
			}
		case strings.HasPrefix(l.text, "ok  \t"):
			passed = true
			end()
		case failedPackage.MatchString(l.text):
			passed = false
			blame(f)
			end()
		case strings.Contains(l.text, "--- FAIL: Benchmark"):
			f.Bench = strings.TrimPrefix(failed.FindStringSubmatch(l.text)[1], "Benchmark")
			f.Text = strings.TrimSpace(strings.Join(s.logged(i+1), "\n"))
			open = append(open, f)
		case strings.HasPrefix(l.text, "panic: "), strings.HasPrefix(l.text, "fatal error: "), strings.HasPrefix(l.text, "FAIL\t"):
			blame(f)
		case strings.HasSuffix(l.text, "PASS"):
			passed = true
		case strings.HasSuffix(l.text, "FAIL"):
			passed = false
		}
	}
	end()
	return found
}

// logged returns the indented text from a line on, of which 20 lines are enough.
func (s *stream) logged(from int) (texts []string) {
	for _, l := range s.lines[from:] {
		if !strings.HasPrefix(l.text, "    ") || len(texts) == 20 {
			break
		}
		texts = append(texts, l.text)
	}
	return texts
}
