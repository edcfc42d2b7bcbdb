package brunt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fence is a fenced block of code in a Markdown file, with what the snippet
// comments right before it ask for. Markdown renders those comments as nothing:
//
//	<!-- snippet: replace time.Minute by 100*time.Millisecond -->
type fence struct {
	file  string // slash-separated, from the module's root
	line  int    // of the first line of code
	lang  string // the first word after the fence
	text  string // with a newline at the end of each line
	rules []rule
}

func (f fence) at() string { return fmt.Sprintf("%s:%d", f.file, f.line) }

// rule is what one snippet comment says.
type rule struct {
	verb string // "continued", "compile only", "elsewhere", "fails" or "replace"
	a, b string // the reason; the file; the text of the failure; what to replace, and by what
}

func (f fence) rule(verb string) (rule, bool) {
	for _, r := range f.rules {
		if r.verb == verb {
			return r, true
		}
	}
	return rule{}, false
}

// parseFences returns the fences of a Markdown file and every fault in them: a
// fence that is not closed or has no language, a snippet comment that is not
// understood or stands before no fence.
func parseFences(file, text string) ([]fence, error) {
	var (
		fences []fence
		faults []error
		rules  []rule
		ruleAt int
	)
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
	}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		mark := fenceMark(line)
		if mark == "" {
			if strings.HasPrefix(line, "<!-- snippet") {
				r, err := parseRule(line)
				if err != nil {
					fault(i+1, "%v", err)
				}
				rules, ruleAt = append(rules, r), i+1
			} else if line != "" && len(rules) > 0 {
				fault(ruleAt, "a snippet comment stands right before its fence")
				rules = nil
			}
			continue
		}
		indent, _, _ := strings.Cut(lines[i], mark)
		lang, _, _ := strings.Cut(strings.TrimSpace(line[len(mark):]), " ")
		f := fence{file: file, line: i + 2, lang: lang, rules: rules}
		rules = nil
		if lang == "" {
			fault(i+1, "a fence says its language: go, sh, console, json, yaml, text")
		}
		opened := i + 1
		var code strings.Builder
		for i++; i < len(lines) && !closes(lines[i], mark); i++ {
			code.WriteString(strings.TrimPrefix(lines[i], indent) + "\n")
		}
		if i == len(lines) {
			fault(opened, "the fence is not closed")
		}
		f.text = code.String()
		fences = append(fences, f)
	}
	if len(rules) > 0 {
		fault(ruleAt, "a snippet comment stands right before its fence")
	}
	return fences, errors.Join(faults...)
}

// fenceMark returns the run of three or more backticks or tildes that line begins
// with, or "".
func fenceMark(line string) string {
	for _, mark := range []string{"`", "~"} {
		if rest := strings.TrimLeft(line, mark); len(line)-len(rest) >= 3 {
			return line[:len(line)-len(rest)]
		}
	}
	return ""
}

func closes(line, mark string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, mark) && strings.Trim(line, mark[:1]) == ""
}

func parseRule(comment string) (rule, error) {
	text, ok := strings.CutPrefix(comment, "<!-- snippet: ")
	text, closed := strings.CutSuffix(text, " -->")
	if !ok || !closed {
		return rule{}, fmt.Errorf("want <!-- snippet: … --> on one line, got %s", comment)
	}
	if text == "continued" {
		return rule{verb: text}, nil
	}
	if verb, arg, ok := strings.Cut(text, ": "); ok && (verb == "compile only" || verb == "elsewhere" || verb == "fails") && arg != "" {
		return rule{verb: verb, a: arg}, nil
	}
	if args, ok := strings.CutPrefix(text, "replace "); ok {
		if a, b, ok := strings.Cut(args, " by "); ok {
			return rule{verb: "replace", a: a, b: b}, nil
		}
	}
	return rule{}, fmt.Errorf("want continued, compile only: REASON, elsewhere: FILE, fails: TEXT, or replace A by B, got %q", text)
}

func TestParseFences(t *testing.T) {
	got, err := parseFences("x.md", strings.Join([]string{
		"text with ``` in it", // not at the beginning
		"```go",
		"a()",
		"~~~",
		"```",
		"- a list",
		"",
		"  <!-- snippet: replace time.Minute by 1 -->",
		"  <!-- snippet: fails: too slow -->",
		"",
		"  ~~~~console extra",
		"  $ b",
		"  ~~~",
		"    c",
		"  ~~~~~",
	}, "\n"))
	require.NoError(t, err)
	require.Equal(t, []fence{
		{file: "x.md", line: 3, lang: "go", text: "a()\n~~~\n"},
		{file: "x.md", line: 12, lang: "console", text: "$ b\n~~~\n  c\n", rules: []rule{
			{verb: "replace", a: "time.Minute", b: "1"}, {verb: "fails", a: "too slow"},
		}},
	}, got)

	for name, tc := range map[string]struct{ text, want string }{
		"unclosed":            {"a\n\n```go\nf()\n~~~\n``\n", "x.md:3: the fence is not closed"},
		"unclosed at the end": {"```go", "x.md:1: the fence is not closed"},
		"no language":         {"```\nf()\n```\n", "x.md:1: a fence says its language"},
		"unknown rule":        {"<!-- snippet: skip -->\n```go\n```\n", `x.md:1: want continued, compile only: REASON, elsewhere: FILE, fails: TEXT, or replace A by B, got "skip"`},
		"no reason":           {"<!-- snippet: compile only -->\n```go\n```\n", "x.md:1: want continued"},
		"malformed":           {"<!-- snippet:continued-->\n```go\n```\n", "x.md:1: want <!-- snippet: … -->"},
		"too early":           {"<!-- snippet: continued -->\ntext\n```go\n```\n", "x.md:1: a snippet comment stands right before its fence"},
		"before nothing":      {"<!-- snippet: continued -->\n", "x.md:1: a snippet comment stands right before its fence"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseFences("x.md", tc.text)
			require.ErrorContains(t, err, tc.want)
		})
	}
}
