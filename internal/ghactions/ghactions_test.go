package ghactions

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const attack = "a|b`c`<script>\n::stop-commands::x\r::error::y%0A::z, x=y: [l](http://h) \u202e ##[error]"

// TestMain is also a process that appends, next to others.
func TestMain(m *testing.M) {
	if who := os.Getenv("GHACTIONS_TEST_APPEND"); who != "" {
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin) // until all of them are
		for i := range sections {
			if err := Append(section(who, i)); err != nil {
				panic(err)
			}
		}
		return
	}
	m.Run()
}

// step makes this process part of a step for the rest of the test and returns the file of
// its summary.
func step(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "summary")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv(summary, path)
	appending.saidFull = false
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestAnnotation(t *testing.T) {
	a := Annotation{"/w/shop_test.go", 31, "TestShop: 1 missed", "p99 100 %\nx"}
	require.Equal(t, "::error file=/w/shop_test.go,line=31,title=TestShop%3A 1 missed::p99 100 %25%0Ax", a.String())
	require.Equal(t, "::error title=t::m", Annotation{Title: "t", Message: "m"}.String())

	// As package testing logs it.
	got := commands("    shop_test.go:31: loadtest: 1 missed\n        \t" + Annotation{`C:\w\a,b.go`, 1, attack, attack}.String() + "\n--- FAIL: x\n")
	require.Equal(t, []command{{"error", attack, map[string]string{"file": `C:\w\a,b.go`, "line": "1", "title": attack}}}, got)

	long := commands(Annotation{Title: strings.Repeat("%", 300), Message: strings.Repeat("ä", 5000)}.String())
	require.Equal(t, strings.Repeat("%", 199)+"…", long[0].properties["title"])
	require.Len(t, []rune(long[0].data), 4000)
}

// Whatever is in it, an annotation is one command, which says what it was made of.
func FuzzAnnotation(f *testing.F) {
	f.Add(attack, attack, attack)
	f.Add("", "%", "%250A::")
	f.Add("a=b", "::", "\x00\xff")
	f.Fuzz(func(t *testing.T, file, title, message string) {
		if len(title) > 200 || len(message) > 4000 {
			return
		}
		valid := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
		file = valid(file)
		got := commands("    " + Annotation{file, 7, title, message}.String())
		want := map[string]string{}
		if file != "" {
			want["file"], want["line"] = file, "7"
		}
		if title = strings.TrimSpace(valid(strings.TrimSpace(title))); title != "" {
			want["title"] = title
		}
		require.Len(t, got, 1)
		require.Equal(t, command{"error", valid(message), want}, got[0])
	})
}

const sections = 50

func section(who string, i int) string {
	return "<" + who + " " + strconv.Itoa(i) + ">\n" + strings.Repeat(who, 4<<10) + "\n</" + who + ">\n"
}

// Sections of processes that append at the same time stand one after the other, each whole.
func TestAppendFromManyProcesses(t *testing.T) {
	path := step(t)
	require.NoError(t, os.WriteFile(path, []byte("no newline at the end"), 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	const names = "abc"
	wait, start, err := os.Pipe()
	require.NoError(t, err)
	defer wait.Close()
	defer start.Close()
	var all []*exec.Cmd
	for _, who := range names {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), "GHACTIONS_TEST_APPEND="+string(who))
		cmd.Stdin, cmd.Stderr = wait, os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		all = append(all, cmd)
		_, err = io.ReadFull(out, make([]byte, len("ready\n")))
		require.NoError(t, err)
	}
	require.NoError(t, start.Close())
	for _, cmd := range all {
		require.NoError(t, cmd.Wait())
	}
	got := read(t, path)
	size := len("no newline at the end")
	for _, who := range names {
		at := 0
		for i := range sections {
			s := "\n" + section(string(who), i) + "\n"
			next := strings.Index(got[at:], s)
			require.GreaterOrEqual(t, next, 0, "section %d of %c", i, who)
			at += next
			size += len(s)
		}
	}
	require.Len(t, got, size, "and nothing else")
}

// A summary beyond 1 MiB would not be shown at all.
func TestAppendStopsBeforeTheLimit(t *testing.T) {
	path := step(t)
	text := strings.Repeat("x", 1000)
	fill := func(n int) { require.NoError(t, os.WriteFile(path, []byte(strings.Repeat(".", n)), 0o600)) }
	fill(maxSummary - len(text) - 2)
	require.NoError(t, Append(text))
	require.Len(t, read(t, path), maxSummary, "the last that fits")

	fill(maxSummary - len(text) - 1)
	err := Append(text)
	require.ErrorIs(t, err, errFull)
	require.EqualError(t, err, "GITHUB_STEP_SUMMARY: it would be longer than the 1 MiB that GitHub shows")
	got := read(t, path)
	require.True(t, strings.HasSuffix(got, ".\n> ⚠️ This summary is full: more is in the log.\n\n"), got[len(got)-100:])
	require.ErrorIs(t, Append(text), errFull)
	require.Equal(t, got, read(t, path), "it is said once")
	require.Less(t, len(got), 1<<20)
}

func TestReport(t *testing.T) {
	passed := Test{Name: "TestShop/x", Mark: "✅", Outcome: "3 objectives met", Body: "| a |\n"}
	failed := Test{Name: attack, Mark: "🔴", Outcome: "1 missed", Failure: "p99\n" + attack, Body: "| b |\n"}

	t.Setenv("GITHUB_ACTIONS", "")
	t.Setenv(summary, filepath.Join(t.TempDir(), "none"))
	annotation, err := failed.Report()
	require.NoError(t, err)
	require.Empty(t, annotation, "elsewhere nothing is written")
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv(summary, "")
	annotation, err = failed.Report()
	require.NoError(t, err)
	require.Empty(t, annotation, "nor where there is no summary")

	path := step(t)
	dir, err := os.Getwd()
	require.NoError(t, err)
	t.Setenv("GITHUB_WORKSPACE", filepath.Dir(dir))
	_, file, line, _ := runtime.Caller(0)
	passing, err := passed.Report()
	failing, ferr := failed.Report()
	require.NoError(t, err)
	require.NoError(t, ferr)
	require.Empty(t, passing)
	got := commands(failing)
	require.Equal(t, []command{{"error", "p99\n" + attack, map[string]string{
		"file": filepath.FromSlash(file), "line": strconv.Itoa(line + 2), "title": attack + ": 1 missed",
	}}}, got)
	where := func(n int) string { return fmt.Sprintf(" (ghactions/ghactions&#95;test.go:%d)", line+n) }
	require.Equal(t, "\n<details><summary>✅ TestShop/x: 3 objectives met"+where(1)+"</summary>\n\n| a |\n\n</details>\n\n"+
		"\n<details open><summary>🔴 "+Escape(attack, 400)+": 1 missed"+where(2)+"</summary>\n\n| b |\n\n</details>\n\n", read(t, path))

	// A summary that cannot be written fails nothing, and is told.
	require.NoError(t, os.Remove(path))
	annotation, err = failed.Report()
	require.Len(t, commands(annotation), 1)
	require.ErrorContains(t, err, "this test is not in the summary of the step: GITHUB_STEP_SUMMARY: open "+path)
	require.NoFileExists(t, path, "and none is made that nobody reads")
	require.ErrorIs(t, Append("x"), fs.ErrNotExist)
}

func TestShort(t *testing.T) {
	t.Setenv("GITHUB_WORKSPACE", filepath.FromSlash("/w/r"))
	require.Equal(t, "a/b_test.go", short(filepath.FromSlash("/w/r/a/b_test.go")))
	require.Equal(t, "b_test.go", short(filepath.FromSlash("/w/other/b_test.go")))
	t.Setenv("GITHUB_WORKSPACE", "")
	require.Equal(t, "b_test.go", short(filepath.FromSlash("/w/r/b_test.go")))
}

// With -trimpath a file is known by its package's path.
func TestLocate(t *testing.T) {
	want, err := filepath.Abs("ghactions_test.go")
	require.NoError(t, err)
	require.Equal(t, want, locate("example.com/brunt/internal/ghactions/ghactions_test.go"))
	require.Equal(t, want, locate(filepath.ToSlash(want)))
	require.Empty(t, locate("example.com/other/nonesuch_test.go"))
	require.Empty(t, locate(filepath.ToSlash(want)+"x"))
}

// Nothing in a cell is more than text of that cell.
func TestTable(t *testing.T) {
	got := Table([]string{"name", "value"}, []string{attack, "1"}, []string{"\xff_", "$x$ #1"})
	require.Equal(t, "| name | value |\n|---|---|\n"+
		"| a&#124;b&#96;c&#96;&#60;script&#62; ::stop-commands::x ::error::y%0A::z, x=y: &#91;l&#93;(http://h)   &#35;&#35;&#91;error&#93; | 1 |\n"+
		"| \uFFFD&#95; | &#36;x&#36; &#35;1 |\n", got)
	require.Equal(t, "abc…", Escape("abcde", 4))

	rows := make([][]string, 5000)
	for i := range rows {
		rows[i] = []string{strings.Repeat("<", 300)}
	}
	got = Table([]string{"name"}, rows...)
	require.Less(t, len(got), maxTable+100)
	kept := strings.Count(got, "\n| ")
	require.Positive(t, kept)
	require.True(t, strings.HasSuffix(got, fmt.Sprintf("|\n\n… and %d more\n", len(rows)-kept)), got[len(got)-50:])
}
