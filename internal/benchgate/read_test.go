package benchgate

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"example.com/brunt/internal/race"
)

func TestUncleanOutputNamesTheLine(t *testing.T) {
	const good = "BenchmarkA-2 \t     100\t         5.000 ns/op\n"
	for name, c := range map[string]struct {
		text string
		line int
		part string
	}{
		"a line printed into the result":   {good + "BenchmarkB-2 \twarn: hot\n     100\t         5.000 ns/op\n", 2, "parsing iteration count"},
		"a line without a name":            {good + "     100\t         5.000 ns/op\n", 2, "without its name"},
		"text before the name":             {good + "helloBenchmarkB-2 \t     100\t         5.000 ns/op\n", 2, "before a result"},
		"text between name and count":      {good + "BenchmarkB-2 \thello     100\t         5.000 ns/op\n", 2, "parsing iteration count"},
		"what looks like a result, broken": {good + "BenchmarkB-2 \t1 2 x/op\n     100\t         5.000 ns/op\n", 3, "without its name"},
		"no finite number":                 {good + "BenchmarkB-2 \t     100\t   NaN x/op\n", 2, "not a finite number"},
		"a number":                         {good + "BenchmarkB-2 \t7\n     100\t         5.000 ns/op\n", 2, "missing measurements"},
		"no metric":                        {good + "BenchmarkB-2 \t     100\n", 2, "missing measurements"},
		"cut off":                          {good + "BenchmarkB-2 \t     100\t   5.000", 2, "missing units"},
		"units that disagree":              {"Unit x better=lower\nUnit x better=higher\n" + good, 2, "already set"},
		"JSON":                             {`{"Time":"2026-01-01T00:00:00Z","Action":"output","Output":"BenchmarkA 1 1 ns/op\n"}` + "\n", 1, "-json"},
	} {
		t.Run(name, func(t *testing.T) {
			set := new(Set)
			err := set.Read(Base, "some.txt", []byte(c.text))
			if c.part == "-json" {
				require.ErrorIs(t, err, ErrInput)
				require.ErrorContains(t, err, "some.txt:1: ")
				return
			}
			require.NoError(t, err)
			var texts []string
			for _, f := range set.Faults {
				require.Equal(t, Unreadable, f.Kind)
				texts = append(texts, f.Text)
			}
			all := strings.Join(texts, "\n")
			require.Contains(t, all, fmt.Sprintf("some.txt:%d: ", c.line))
			require.Contains(t, all, c.part)
			require.Contains(t, all, fmt.Sprintf("%q", strings.TrimSpace(strings.Split(c.text, "\n")[c.line-1])))
			rep, err := Judge(set, new(Rules))
			require.NoError(t, err)
			require.Equal(t, 2, rep.ExitCode())
		})
	}
}

func TestLogsAreNotResults(t *testing.T) {
	set := new(Set)
	require.NoError(t, set.Read(Base, "x", []byte("goos: linux\nBenchmarkA-2   \t 100\t 5.000 ns/op\n"+
		"--- BENCH: BenchmarkA-2\n    a_test.go:5: BenchmarkB 100 5 ns/op\n        100\t 5 ns/op\nPASS\nok  \texample.com/a\t0.1s\n")))
	require.Len(t, set.Results[Base], 1)
	require.Empty(t, set.Faults)
}

func TestFailuresAreFaults(t *testing.T) {
	set := new(Set)
	require.NoError(t, set.Read(Head, "x", []byte("BenchmarkA-2 \t 100\t 5 ns/op\n--- FAIL: BenchmarkB/sub-2\n    a_test.go:5: broken\nFAIL\n")))
	require.Equal(t, []Fault{{Kind: Failed, Side: "head", Bench: "B/sub-2", Text: "a_test.go:5: broken"}}, set.Faults)
	set = new(Set)
	require.NoError(t, set.Read(Head, "x", []byte("BenchmarkA-2 \t 100\t 5 ns/op\npanic: oh\n\ngoroutine 1\nFAIL\tpkg 1s\n")))
	require.Len(t, set.Faults, 1)
	require.Equal(t, "panic: oh", set.Faults[0].Text)
	rep, err := Judge(set, new(Rules))
	require.NoError(t, err)
	require.Equal(t, 2, rep.ExitCode())
}

func TestReadFile(t *testing.T) {
	set := new(Set)
	err := set.ReadFile(Base, filepath.Join(t.TempDir(), "none.txt"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, err, ErrInput)
	empty := filepath.Join(t.TempDir(), "empty.txt")
	require.NoError(t, os.WriteFile(empty, []byte("goos: linux\nPASS\n"), 0o600))
	require.ErrorContains(t, set.ReadFile(Base, empty), "no benchmark result")
}

// plain reads as benchfmt's own reader does.
func plain(data []byte) (results []*benchfmt.Result, unclean bool) {
	r := benchfmt.NewReader(bytes.NewReader(data), "x")
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			unclean = true
		case *benchfmt.Result:
			results = append(results, rec.Clone())
		}
	}
	return results, unclean || r.Err() != nil
}

// agree holds reading to benchfmt's of the same text: the same results, or fewer and
// a fault that says so.
func agree(t *testing.T, data []byte) (read bool) {
	t.Helper()
	results, faults, err := new(Set).Parse(Base, "x", data)
	if err != nil {
		require.ErrorIs(t, err, ErrInput)
		require.Empty(t, results)
		return false
	}
	var text strings.Builder
	glued := false
	for _, l := range split(data) {
		text.WriteString(l.text + "\n")
		if m := label.FindStringIndex(l.text); m != nil && m[0] > 0 {
			glued = true // benchfmt would not see the label
		}
	}
	want, unclean := plain([]byte(text.String()))
	for _, r := range results {
		// Plain comparisons: there are a hundred thousand of them.
		for len(want) > 0 && !same(want[0], r, glued) {
			require.NotEmpty(t, faults, "%v is left out without a word", want[0])
			want = want[1:]
		}
		require.NotEmpty(t, want, "%v is none of benchfmt's", r)
		want = want[1:]
	}
	require.True(t, len(want) == 0 || len(faults) > 0, "%v is left out without a word", want)
	return !unclean && !slices.ContainsFunc(faults, func(f Fault) bool { return f.Kind == Unreadable })
}

// same is about all that is kept of a result.
func same(want, r *benchfmt.Result, glued bool) bool {
	tidyUnits(want)
	values := slices.DeleteFunc(slices.Clone(want.Values), func(v benchfmt.Value) bool { return math.IsNaN(v.Value) || math.IsInf(v.Value, 0) })
	return bytes.Equal(want.Name, r.Name) && want.Iters == r.Iters && slices.Equal(values, r.Values) && (glued || want.GetConfig("pkg") == r.GetConfig("pkg"))
}

// Every file that x/perf tests itself with reads as its own reader does.
func TestAgreesWithBenchfmtOnItsCorpus(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/perf").Output()
	require.NoError(t, err)
	files, read := 0, 0
	err = filepath.WalkDir(strings.TrimSpace(string(out)), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.ToSlash(path), "/testdata/") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte("Benchmark")) || race.Enabled && len(data) > 64<<10 {
			return err // the largest take the race detector most of a minute, for one goroutine
		}
		files++
		if agree(t, data) {
			read++
		} else {
			_, unclean := plain(data)
			t.Logf("%s: refused; benchfmt finds a fault: %v", path, unclean)
		}
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d of %d files read", read, files)
	require.Greater(t, files, 20)
	require.Greater(t, read, files/2)
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "BenchmarkA-2 100 5 ns/op\n", "Unit x better=lower\nBenchmarkA 1 0 p99-ns 2 x\n", "pkg: a\nBenchmarkA/b=c#01-2 1 1e-9 sec/op\n",
		"BenchmarkA-2 \twarn: hot\n     100\t 5 ns/op\n", "xBenchmarkA 1 5 ns/op", "--- FAIL: BenchmarkA\n    text\n", "{\"Time\":", "Unit\nUnit x\nUnit x =\n",
		"key: value\nkey:\n", "BenchmarkA 99999999999999999999 1 x\n", "BenchmarkA 1 NaN x Inf y\n", "\x00\xff\nBenchmark\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		agree(t, data)
		set := new(Set)
		if set.Read(Base, "b", data) == nil && set.Read(Head, "h", data) == nil {
			rep, err := Judge(set, new(Rules))
			require.NoError(t, err)
			for _, row := range rep.Rows {
				require.NotEqual(t, Worse, row.Verdict, "the same on both sides")
				row.Settled()
			}
		}
	})
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(`{"alpha": 0.01, "thresholds": ["req/s=10@x"], "better": {"w": "higher"}, "ignore": ["cpu"], "removed_ok": "^x"}`))
	f.Add([]byte(`{} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseRules(data); err == nil {
			require.NoError(t, r.Validate())
		}
	})
}

func TestLabelsOfColumns(t *testing.T) {
	set := &Set{Labels: [2]string{"main", ""}}
	require.Equal(t, []string{"main", "head"}, []string{set.Label(Base), set.Label(Head)})
}

// A file without a result is an error, whatever was read before it.
func TestFilesWithoutAResult(t *testing.T) {
	file := func(text string) string {
		path := t.TempDir() + "/x.txt"
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const good, failed = "BenchmarkA-2 1 5 ns/op\n", "--- FAIL: BenchmarkB-2\n"
	set := new(Set)
	require.ErrorContains(t, set.ReadFile(Base, file("prose\n")), "no benchmark result in it")
	require.NoError(t, set.ReadFile(Base, file(good+failed)))
	require.ErrorIs(t, set.ReadFile(Base, file("prose\n")), ErrInput)
	require.NoError(t, set.ReadFile(Head, file(failed)), "it says why")
	require.ErrorIs(t, set.ReadFile(Head, file("")), ErrInput)
	set.Skip = "A"
	require.NoError(t, set.ReadFile(Head, file(good)), "all were skipped")
	require.ErrorIs(t, set.ReadFile(Head, t.TempDir()), ErrInput)
}

func TestFaultsAreAddedOnce(t *testing.T) {
	f := Fault{Kind: Failed, Side: "base", Pkg: "p", Bench: "A", Unit: "x", Text: "first"}
	set := new(Set)
	for _, change := range []func(*Fault){
		func(*Fault) {}, func(f *Fault) { f.Kind = Vanished }, func(f *Fault) { f.Side = "head" }, func(f *Fault) { f.Pkg = "q" },
		func(f *Fault) { f.Bench = "B" }, func(f *Fault) { f.Unit = "y" },
	} {
		other := f
		change(&other)
		set.AddFault(other)
		other.Text = "again"
		set.AddFault(other)
	}
	require.Len(t, set.Faults, 6)
	for _, f := range set.Faults {
		require.Equal(t, "first", f.Text)
	}
}

func TestOutputOfJSON(t *testing.T) {
	for text, want := range map[string]bool{
		`{"Time":"2026","Action":"output"}`: true,
		`{"Action":"start","Package":"p"}`:  true,
		`{"Time":"2026"}`:                   false,
		`{"x":1,"Action":"output"}`:         false,
	} {
		err := new(Set).Read(Base, "x", []byte("BenchmarkA 1 1 ns/op\n"+text+"\n"))
		require.Equal(t, want, err != nil, text)
		if want {
			require.EqualError(t, err, "bad input: x:2: output of go test -json; plain output is needed")
		}
	}
}

func TestUnitsAreTidied(t *testing.T) {
	results, faults, err := new(Set).Parse(Base, "x", []byte("BenchmarkA 1 0 p99-ns 5 a-ns\nBenchmarkA 1 5 p99-ns 0 a-ns\nBenchmarkB 1 +Inf p99-ns\n"))
	require.NoError(t, err)
	require.Len(t, results, 2, "one has no value left")
	for _, r := range results {
		require.Equal(t, []string{"p99-sec", "a-sec"}, []string{r.Values[0].Unit, r.Values[1].Unit})
	}
	require.Equal(t, []Fault{{Unreadable, "base", "", "B", "p99-sec", `x:3: a value that is not a finite number: "BenchmarkB 1 +Inf p99-ns"`}}, faults)
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]bool{"": true, "Ä x": true, "\x01x": false, "x\x01": false, "\xff": false} {
		require.Equal(t, want, printable(text), "%q", text)
	}
}
