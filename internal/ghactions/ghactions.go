// Package ghactions tells GitHub Actions what a step of a workflow has found: a section
// of the summary of the run, and annotations of the code.
package ghactions

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// summary is the variable that names the file which becomes the step's summary.
const summary = "GITHUB_STEP_SUMMARY"

// Enabled reports whether this process is part of a step. One that has no summary to
// write to, because whoever started it reads what it prints, is not.
func Enabled() bool { return os.Getenv("GITHUB_ACTIONS") == "true" && os.Getenv(summary) != "" }

// maxSummary is how long a summary may become. GitHub shows nothing of one that is longer
// than 1 MiB; the rest is for processes that append at the same moment, since none of
// them sees what the others are about to write.
const maxSummary = 1<<20 - 64<<10

// errFull is for a section that does not fit.
var errFull = errors.New("it would be longer than the 1 MiB that GitHub shows")

var appending struct {
	sync.Mutex
	saidFull bool
}

// Append appends Markdown to the step's summary, in one write: other processes may do so
// at the same time. What would make it too long is left out, which the summary says and
// the error too.
func Append(markdown string) (err error) {
	appending.Lock()
	defer appending.Unlock()
	f, err := os.OpenFile(os.Getenv(summary), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", summary, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("%s: %w", summary, err)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	markdown = "\n" + markdown + "\n" // whatever the line before it ends with
	if info.Size()+int64(len(markdown)) > maxSummary {
		if err = errFull; appending.saidFull {
			return err
		}
		appending.saidFull, markdown = true, "\n> ⚠️ This summary is full: more is in the log.\n\n"
	}
	_, werr := f.WriteString(markdown)
	return errors.Join(err, werr)
}

// Annotation is an error that GitHub shows next to the code.
type Annotation struct {
	File           string // absolute, or relative to the root of the repository; may be empty
	Line           int    // from 1
	Title, Message string
}

var (
	data       = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	properties = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// String returns the workflow command, a line without its end. GitHub's runner looks for
// it at the beginning of each line of standard output and of standard error, behind white
// space: so it is found in a line of its own of what package testing logs.
func (a Annotation) String() string {
	var b strings.Builder
	b.WriteString("::error ")
	if a.File != "" {
		fmt.Fprintf(&b, "file=%s,line=%d,", properties.Replace(a.File), a.Line)
	}
	fmt.Fprintf(&b, "title=%s::%s", properties.Replace(cut(strings.TrimSpace(a.Title), 200)), data.Replace(cut(a.Message, 4000)))
	return b.String()
}

// Test is what became of a load test.
type Test struct {
	Name    string
	Mark    string // a sign before the name, such as ✅
	Outcome string // in a few words
	Failure string // what went wrong, in a few lines; empty if nothing did
	Body    string // Markdown, with all of it
}

// Report appends a section for the test to the step's summary; the error says why it could
// not. It returns in any case the annotation of a failure, for the code of the innermost
// caller in a _test.go file, to be logged in a line of its own.
func (t Test) Report() (annotation string, err error) {
	if !Enabled() {
		return "", nil
	}
	file, line := caller()
	title, open := t.Name+": "+t.Outcome, ""
	if t.Failure != "" {
		open = " open"
		annotation = Annotation{file, line, title, t.Failure}.String()
	}
	if file != "" {
		title += fmt.Sprintf(" (%s:%d)", short(file), line)
	}
	section := fmt.Sprintf("<details%s><summary>%s %s</summary>\n\n%s\n</details>\n", open, t.Mark, Escape(title, 400), t.Body)
	if err = Append(section); err != nil {
		err = fmt.Errorf("this test is not in the summary of the step: %w", err)
	}
	return annotation, err
}

// caller returns where the innermost caller in a _test.go file is; nothing if there is
// none, or if it is not known where that file lies.
func caller() (file string, line int) {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for more := true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); !strings.HasSuffix(f.File, "_test.go") {
			continue
		}
		if file = locate(f.File); file != "" {
			return file, f.Line
		}
		break
	}
	return "", 0
}

// locate returns the path of a file that a frame names; empty if it is not there.
func locate(file string) string {
	file = filepath.FromSlash(file)
	if !filepath.IsAbs(file) { // built with -trimpath; the go command runs tests where their files are
		file, _ = filepath.Abs(filepath.Base(file))
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return file
}

// short returns the path from the root of the repository, or else the name of the file.
func short(file string) string {
	if rel, err := filepath.Rel(os.Getenv("GITHUB_WORKSPACE"), file); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return filepath.Base(file)
}

// maxTable is how long a table becomes before rows are left out of it.
const maxTable = 12 << 10

// Table returns a table of text. What is too long for a summary is left out, and counted.
func Table(head []string, rows ...[]string) string {
	var b strings.Builder
	row := func(cells []string) string {
		var b strings.Builder
		for _, c := range cells {
			b.WriteString("| " + Escape(c, 200) + " ")
		}
		return b.String() + "|\n"
	}
	b.WriteString(row(head) + strings.Repeat("|---", len(head)) + "|\n")
	for i, cells := range rows {
		line := row(cells)
		if b.Len()+len(line) > maxTable {
			fmt.Fprintf(&b, "\n… and %d more\n", len(rows)-i)
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// Fence quotes text in a block of Markdown that nothing in it can end.
func Fence(text string) string {
	ticks := "```"
	for strings.Contains(text, ticks) {
		ticks += "`"
	}
	return ticks + "\n" + strings.TrimRight(text, "\n") + "\n" + ticks + "\n"
}

// Escape returns at most n characters of s as text in one line of Markdown or HTML.
func Escape(s string, n int) string {
	var b strings.Builder
	for _, r := range cut(s, n) {
		switch {
		case !unicode.IsGraphic(r):
			b.WriteByte(' ')
		case strings.ContainsRune("&<>|`*_[]\\~$!#\"'", r):
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cut shortens s to n characters, of which the last then is an ellipsis.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
