package benchgate

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// faultsOf returns what is said of the faults of a stream named x.
func faultsOf(t *testing.T, text string) (texts []string) {
	t.Helper()
	_, faults, err := new(Set).Parse(Base, "x", []byte(text))
	require.NoError(t, err)
	for _, f := range faults {
		texts = append(texts, f.String())
	}
	return texts
}

func TestTorn(t *testing.T) {
	for text, want := range map[string]bool{
		"5 ns/op":         true,
		"5 rows/s":        true, // declared
		"5 foo/s":         false,
		"took 5 ns/op":    false,
		"took\t5 ns/op":   true,
		"took\t5 apples":  false,
		"x 100 5 ns/op":   true,
		"x 100 5 foo/s":   true,
		"x 1e2 5 foo/s":   false, // no count
		"100 5 ns/op":     true,
		"100 5 apples":    false,
		"100\t5 apples":   true,
		"x 100\t5 apples": false,
		"x\t5 apples":     false,
		"100\t5 6":        false,
		"1.5\t5 apples":   false,
		"0\t5 apples":     false,
		"-3\t5 apples":    false,
		"ns/op":           false,
		"5":               false,
		"":                false,
	} {
		require.Equal(t, want, torn(text, map[string]bool{"rows/s": true}), "%q", text)
	}
}

func TestSaysHow(t *testing.T) {
	for text, want := range map[string]bool{
		"Unit x better=higher":               true,
		"Unit x better=lower":                true,
		"Unit x assume=nothing":              true,
		"Unit x assume=exact":                true,
		"Unit x assume=exact better=lower":   true,
		"Unit x assume=exact better=up":      false,
		"Unit x better=up":                   false,
		"Unit x assume=normal":               false,
		"Unit x other=nothing":               false,
		"Unit x other=higher":                false,
		"Unit x other=nothing better=higher": true,
		"Unit x":                             false,
	} {
		require.Equal(t, want, saysHow(text), text)
	}
}

// A label is found behind what was printed before it, where it stands among others.
func TestLabelsBehindText(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"hello goos: linux", "goos: linux"}, // the first needs no other
		{"hello pkg: a", ""},
		{"x\nhello pkg: a\ny", ""},
		{"x\nhello pkg: a", ""},
		{"goos: linux\nhello pkg: a\ny", "pkg: a"},
		{"goos: linux\nhello pkg: a", "pkg: a"},
		{"pkg: b\nhello pkg: a\ny", ""},
		{"cpu: X\nhello pkg: a\ny", ""},
		{"x\nhello pkg: a\ncpu: X", "pkg: a"},
		{"x\nhello pkg: a\nBenchmarkA 1 1 ns/op", "pkg: a"},
		{"x\nhello pkg: a\npkg: b", ""},
		{"hello pkg: a\ncpu: X", "pkg: a"},
		{"goos: linux\nhello pkg: a b\ny", ""},
		{"goos: linux\nhello cpu: a b\ny", "cpu: a b"},
	} {
		s := newStream(Base, "x", []byte(c.lines))
		at := slices.IndexFunc(s.lines, func(l line) bool { return strings.HasPrefix(l.text, "hello") })
		require.Equal(t, c.want, s.lines[at].feed, "%q", c.lines)
	}
}

func TestLinesThatAreTooLong(t *testing.T) {
	result := func(size int) string {
		const head, tail = "BenchmarkA-8", "1 5 ns/op"
		return head + strings.Repeat(" ", size-len(head)-len(tail)) + tail + "\n"
	}
	require.Empty(t, faultsOf(t, result(32<<10)))
	require.Len(t, faultsOf(t, result(32<<10+1)), 1)
	long := strings.Repeat("x", 32<<10)
	require.Len(t, faultsOf(t, "goos: "+long+"\n"+result(100)), 1, "a label")
	require.Len(t, faultsOf(t, "cpu: "+long+"\n"+result(100)), 1)
	require.Len(t, faultsOf(t, "Unit x better=higher "+long+"=x\n"+result(100)), 1)
	require.Empty(t, faultsOf(t, "msg: "+long+"\n"+result(100)))
}

// Results count as those of the package before only where it has not ended.
func TestResultsWithoutAPackage(t *testing.T) {
	const a, b = "BenchmarkA 1 1 ns/op\n", "BenchmarkB 1 1 ns/op\n"
	for text, want := range map[string]string{
		"goos: linux\n" + a:                                       "",
		"PASS\ngoos: linux\n" + a:                                 "",
		"pkg: p\n" + a + "goos: linux\n" + b:                      "",
		"pkg: p\n" + a + "PASS\ngoos: linux\npkg: q\n" + b:        "",
		"pkg: p\n" + a + "PASS\ngoos: linux\ngoarch: amd64\n" + b: `unreadable at base: p: x:6: results without a pkg line after goos: "BenchmarkB 1 1 ns/op"`,
		"pkg: p\n" + a + "FAIL\ngoos: linux\n" + b + b:            `unreadable at base: p: x:5: results without a pkg line after goos: "BenchmarkB 1 1 ns/op"`,
	} {
		require.Equal(t, want, strings.Join(faultsOf(t, text), "\n"), "%q", text)
	}
}

// What has a colon is configuration if it looks like that, and else is looked at for parts
// of results.
func TestWhatHasAColon(t *testing.T) {
	const a = "BenchmarkA 1 1 ns/op\n"
	for text, want := range map[string]string{
		"commit: 7\n":    "commit: 7",
		"panic: oh\n":    "",
		"two words: 7\n": "",
		"Upper: 7\n":     "",
	} {
		results, _, err := new(Set).Parse(Base, "x", []byte(text+a+"PASS\n"))
		require.NoError(t, err)
		require.Len(t, results, 1)
		got := ""
		for _, c := range results[0].Config {
			if c.File {
				got += c.Key + ": " + string(c.Value)
			}
		}
		require.Equal(t, want, got, text)
	}
	require.Len(t, faultsOf(t, a+"Upper: \t 5 ns/op\n"), 1)
}

// Every line that is torn is a fault of its own, of the benchmark that it followed.
func TestStrays(t *testing.T) {
	const good = "BenchmarkA-8 \t 100\t 5 ns/op\n"
	faults := faultsOf(t, "BenchmarkB-8 \t1 2   100\t 5 ns/op\n"+good+"\t 7 ns/op\n")
	require.Len(t, faults, 2)
	require.Contains(t, faults[0], "unreadable at base: B-8: x:1: ")
	require.Equal(t, `unreadable at base: x:3: a result without its name: something was printed into its line: "7 ns/op"`, faults[1])
	faults = faultsOf(t, good+"hot BenchmarkC-8 100 5 ns/op\n\t 7 ns/op\n")
	require.Equal(t, []string{
		`unreadable at base: C-8: x:2: something was printed before a result on its line: "hot BenchmarkC-8 100 5 ns/op"`,
		`unreadable at base: x:3: a result without its name: something was printed into its line: "7 ns/op"`,
	}, faults)
	faults = faultsOf(t, good+"BenchmarkD-8\nhello\n\t 7 ns/op\n")
	require.Equal(t, []string{`unreadable at base: D-8: x:4: a result without its name: something was printed into its line: "7 ns/op"`}, faults)
}

// Prose begins with a lower-case letter after Benchmark, as no name does.
func TestProse(t *testing.T) {
	for _, text := range []string{"Benchmarka few\n", "Benchmarking now\n", "Benchmarkz is it\n"} {
		require.Empty(t, faultsOf(t, text), text)
	}
	for _, text := range []string{"Benchmark few\n", "BenchmarkA few\n", "Benchmark{ few\n", "Benchmark` few\n"} {
		require.Len(t, faultsOf(t, text), 1, text)
	}
}

func TestFaultsQuoteTheBeginningOfALine(t *testing.T) {
	line := "hot BenchmarkC-8 100 5 ns/op " + strings.Repeat("x", 200)
	require.True(t, strings.HasSuffix(faultsOf(t, line[:200])[0], `: "`+line[:200]+`"`))
	require.True(t, strings.HasSuffix(faultsOf(t, line[:201])[0], `: "`+line[:200]+`…"`))
}
