package benchgate

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever writes a stream again, it says the same.
func TestStreamsAreUnderstood(t *testing.T) {
	const text = "Unit rows/s better=higher\ngoos: linux\ngoarch: amd64\npkg: example.org/a\ncpu: Some CPU\n" +
		"BenchmarkA-8   \t     100\t      5000 ns/op\t      42.00 rows/s\nBenchmarkB-8   \t     100\t      6000 ns/op\t      43.00 rows/s\nPASS\nok  \texample.org/a\t1.2s\n"
	want := new(Set)
	require.NoError(t, want.Read(Base, "x", []byte(text)))
	require.Len(t, want.Results[Base], 2)
	lines := func(sep string) string { return strings.ReplaceAll(text, "\n", sep) }
	half := strings.Index(text, "BenchmarkB")
	for name, edited := range map[string]string{
		"UTF-8 with a byte order mark":     "\ufeff" + text,
		"one in the middle":                text[:half] + "\ufeff" + text[half:],
		"UTF-16LE":                         utf16Text(text, binary.LittleEndian, true),
		"UTF-16LE without a mark":          utf16Text(text, binary.LittleEndian, false),
		"UTF-16BE":                         utf16Text(text, binary.BigEndian, true),
		"UTF-16BE without a mark":          utf16Text(text, binary.BigEndian, false),
		"UTF-16 with CRLF":                 utf16Text(lines("\r\n"), binary.LittleEndian, true),
		"UTF-16 appended to UTF-8":         text[:half] + utf16Text(text[half:], binary.LittleEndian, true),
		"UTF-8 appended to UTF-16":         utf16Text(text[:half], binary.LittleEndian, true) + text[half:],
		"CRLF":                             lines("\r\n"),
		"CR CR LF":                         lines("\r\r\n"),
		"CR":                               lines("\r"),
		"a progress bar":                   strings.ReplaceAll(text, "BenchmarkB", "  10%\r 100%\rBenchmarkB"),
		"one that erases its line":         strings.ReplaceAll(text, "BenchmarkB", "  10%\r\x1b[2KBenchmarkB"),
		"NUL":                              strings.ReplaceAll(text, "Benchmark", "Bench\x00mark"),
		"colors":                           strings.ReplaceAll(strings.ReplaceAll(text, "Benchmark", "\x1b[1;32mBenchmark\x1b[0m"), "ns/op", "ns/\x1b[31mop\x1b[m"),
		"a title":                          "\x1b]0;go test\x07" + text,
		"spaces at the end":                lines(" \t\n"),
		"a bell, a zero-width space":       strings.ReplaceAll(text, "better", "bet\x07\u200bter"),
		"no-break spaces":                  strings.ReplaceAll(text, ": ", ":\u00a0"),
		"words before the first Unit line": "setting up... " + text,
		"words before the first label":     strings.ReplaceAll(text, "goos:", "setting up...goos:"),
		"words before pkg":                 strings.ReplaceAll(text, "pkg:", "hello pkg:"),
		"words before cpu":                 strings.ReplaceAll(text, "cpu:", "hello cpu:"),
		"lines of 100 KB":                  lines("\n" + strings.Repeat("x", 100_000) + "\n"),
		"text of 100 KB with a colon":      "msg: " + strings.Repeat("x", 100_000) + "\n" + text,
		"prose":                            "Unit tests are next\nBenchmarking now\nserver cpu: 50% of it\nloading pkg: foo\n" + text,
		"what looks like a failure":        strings.ReplaceAll(text, "PASS", "--- FAIL: BenchmarkA\n    x.go:1: no\nFAIL\tx\npanic: oh\nPASS"),
		"a log that looks like a result":   strings.ReplaceAll(text, "PASS", "--- BENCH: BenchmarkB-8\n    x_test.go:1: BenchmarkA-8 1 1 ns/op\n        1\t 1 ns/op\nPASS"),
		"a log with carriage returns":      strings.ReplaceAll(text, "PASS", "--- BENCH: BenchmarkB-8\n    x_test.go:1: 10%\rBenchmarkA-8 1 1 ns/op\nPASS"),
	} {
		t.Run(name, func(t *testing.T) {
			got := new(Set)
			require.NoError(t, got.Read(Base, "x", []byte(edited)))
			require.Empty(t, got.Faults)
			require.Len(t, got.Results[Base], 2)
			for i, r := range got.Results[Base] {
				require.True(t, same(want.Results[Base][i], r, false), "%v", r)
				require.Equal(t, configOf(want.Results[Base][i], nil), configOf(r, nil))
			}
			require.Equal(t, +1, got.Units().GetBetter("rows/s"))
		})
	}
}

// What hides a part of a result, a unit or a failure is a fault that names the line.
func TestTornStreamsAreFaults(t *testing.T) {
	const good = "pkg: a\nBenchmarkA-8 \t 100\t 5.0 ns/op\t 7 rows/s\n"
	for edited, want := range map[string]string{
		good + "Bench mark-8 \t 100\t 5.0 ns/op\n":                                         "unreadable at base: a: x:3: ",
		good + "BenchmarkSh\nop-8 \t 100\t 5.0 ns/op\n":                                    "x:4: ",
		good + "BenchmarkB-8 \t 100\t 5.0 ns/op\n\t 7 rows/s\n":                            "x:4: ",
		good + "BenchmarkB-8 \t 100\t 5.0 ns/op BenchmarkC-8 \t 100\t 5.0 ns/op\n":         "unreadable at base: a.B-8: x:3: ",
		good + " BenchmarkB-8 \t 100\t 5.0 ns/op\n":                                        "unreadable at base: a.B-8: x:3: ",
		good + "BenchmarkB-8 \t1 2   100\t 5.0 ns/op\n":                                    "unreadable at base: a.B-8: x:3: ",
		good + "BenchmarkB-8 \t100\t 5 ns/op\t 6 ns/op\n":                                  "unreadable at base: a.B-8: x:3: ",
		good + "Benchmark\xe9-8 \t 100\t 5.0 ns/op\n":                                      "unreadable at base: a.\xe9-8: x:3: ",
		good + "BenchmarkB-8 \t 100\t +Inf rows/s\t 5 ns/op\n":                             "unreadable at base: a.B-8 rows/s: x:3: ",
		good + "BenchmarkB-8 " + strings.Repeat("x", 70_000) + "\t 100\t 5.0 ns/op\n":      "a line of 70",
		"Unit rows/s better=highernoise\n" + good:                                          "x:1: ",
		"Unit rows/s better=higher noise\n" + good:                                         "x:1: ",
		"Unit rows/s\nbetter=higher\n" + good:                                              "x:2: ",
		"Un it rows/s better=higher\n" + good:                                              "x:1: ",
		"Unit ns/op better=higher\n" + good:                                                "x:1: a unit turned around",
		"Unit req/s better=lower\n" + good:                                                 "x:1: a unit turned around",
		good + "hello--- FAIL: BenchmarkB-8\nFAIL\n":                                       "failed at base: a.B-8",
		good + "--- FAIL: BenchmarkB-8\nFAIL\nFAIL\ta\t1s\nPASS\nok  \tb\t1s\n":            "failed at base: a.B-8",
		good + "--- FAIL: BenchmarkB-8\nPASS\nFAIL\nFAIL\ta\t1s\n":                         "failed at base: a.B-8",
		good + "FAIL\tc [build failed]\npkg: b\nBenchmarkX 1 1 ns/op\nPASS\nok  \tb\t1s\n": "FAIL\tc [build failed]",
	} {
		set := new(Set)
		require.NoError(t, set.Read(Base, "x", []byte(edited)))
		require.NoError(t, set.Read(Head, "x", []byte(good)))
		require.Len(t, set.Faults, 1, "%q: %v", edited, set.Faults)
		require.Contains(t, set.Faults[0].String(), want, "%q", edited)
		rep, err := Judge(set, new(Rules))
		require.NoError(t, err)
		require.Equal(t, 2, rep.ExitCode(), "%q", edited)
	}
	// A fault of one benchmark takes its results out on both sides, and no other's.
	set := new(Set)
	require.NoError(t, set.Read(Base, "x", []byte(good+"BenchmarkB-8 \t 100\t 5.0 ns/op\n")))
	require.NoError(t, set.Read(Head, "x", []byte(good+"BenchmarkB-8 \t oh 100\t 5.0 ns/op\n")))
	for side := range set.Results {
		require.Len(t, set.Results[side], 1)
		require.Equal(t, "A-8", set.Results[side][0].Name.String())
	}
}

func TestUnreadableMetrics(t *testing.T) {
	base := strings.ReplaceAll(lines("A", 10, "ns/op", 100, .02), "ns/op", "ns/op +Inf rows/op")
	head := strings.ReplaceAll(lines("A", 10, "ns/op", 200, .02), "ns/op", "ns/op 5 rows/op")
	rep := judge(t, base, head, nil)
	require.Equal(t, 1, rep.ExitCode(), "the other metric is judged")
	require.Len(t, rep.Faults, 1)
	require.Contains(t, rep.Faults[0].String(), "unreadable at base: A-2 rows/op: base.txt:1: a value that is not a finite number")
	require.Contains(t, rep.Faults[0].String(), "and 9 more of its lines")
	rep = judge(t, base, base, &Rules{Thresholds: []Threshold{threshold(t, "rows/op=off")}})
	require.Equal(t, 0, rep.ExitCode(), "off takes it out")
	require.Len(t, rep.Rows, 1)
}

func TestSkip(t *testing.T) {
	text := lines("A/x", 10, "ns/op", 100, .02) + lines("B", 10, "ns/op", 100, .02) + "BenchmarkC-2 \tprinted\n--- FAIL: BenchmarkD-2\n"
	for skip, want := range map[string][]string{
		"":             {"A/x-2", "B-2"},
		"C|D":          {"A/x-2", "B-2"},
		"^BenchmarkA$": {"B-2"},
		"A/x$":         {"B-2"},
		"A/y":          {"A/x-2", "B-2"},
		".":            nil,
	} {
		set := &Set{Skip: skip}
		require.NoError(t, set.Read(Base, "x", []byte(text)))
		var names []string
		for _, r := range set.Results[Base] {
			if len(names) == 0 || names[len(names)-1] != r.Name.String() {
				names = append(names, r.Name.String())
			}
		}
		require.Equal(t, want, names, "%q", skip)
		require.Equal(t, skip == "C|D" || skip == ".", len(set.Faults) == 0, "%q: %v", skip, set.Faults)
	}
}

func TestSidesOfAnotherKind(t *testing.T) {
	side := func(pkg, procs string) string {
		return "pkg: " + pkg + "\n" + strings.ReplaceAll(lines("A", 10, "ns/op 3 B/op", 100, .02)+lines("B/size=4", 10, "ns/op", 100, .02), "-2 ", procs+" ")
	}
	for _, c := range []struct{ base, head, want string }{
		{side("p", "-8"), side("p", "-4"), "not comparable: p.A-8: recorded at GOMAXPROCS 8 and 4; record both with the same -cpu"},
		{side("p", ""), side("p", "-4"), "not comparable: p.A: recorded at GOMAXPROCS 1 and 4; record both with the same -cpu"},
		{side("p", "-8"), side("q", "-8"), "not comparable: p.A-8: recorded in package p and q; if the package does not matter, say -ignore pkg"},
		{side("p", "-8"), side("q", "-4"), "not comparable: p.A-8: recorded at GOMAXPROCS 8 and 4, recorded in package p and q; if the package does not matter, say -ignore pkg"},
		{"cpu: X\n" + side("p", "-8"), "cpu: Y\n" + side("p", "-8"), "not comparable: p.A-8: recorded under cpu: X and under cpu: Y; if that does not matter, say -ignore and the key"},
	} {
		rep := judge(t, c.base, c.head, nil)
		require.Len(t, rep.Faults, 2, "one for each benchmark: %v", rep.Faults)
		require.Equal(t, c.want, rep.Faults[0].String())
		require.Empty(t, rep.New)
		require.Equal(t, 2, rep.ExitCode())
	}
	require.Equal(t, 0, judge(t, side("p", "-8"), side("q", "-8"), &Rules{Ignore: []string{"pkg"}}).ExitCode())
	// It comes before what else is wrong, and what is really gone is gone.
	gone := lines("Gone", 10, "ns/op", 1, 0)
	rep := judge(t, "pkg: p\n"+gone+side("p", "-2"), "pkg: p\n"+strings.ReplaceAll(side("p", "-2"), "A-2", "A-2x"), nil)
	require.Contains(t, fmt.Sprint(rep.Faults), "vanished at head: p.Gone-2")
	rep = judge(t, gone+"cpu: X\n"+side("p", "-2"), "cpu: Y\n"+side("p", "-2"), nil)
	require.Equal(t, Incomparable, rep.Faults[0].Kind)
	require.Equal(t, Vanished, rep.Faults[len(rep.Faults)-1].Kind)
}

// A result whose name was torn is a benchmark of its own, that only one side has.
func TestNewInFewerResultsThanOthers(t *testing.T) {
	a := lines("A", 10, "ns/op", 100, .02)
	rep := judge(t, a, strings.Replace(a, "BenchmarkA", "BenchmarkAhello", 2), nil)
	require.Equal(t, 2, rep.ExitCode())
	require.Empty(t, rep.New)
	require.Equal(t, "incomplete at head: Ahello-2: only the head has it, in 2 of what are 8 results of others: was something printed into its name?", rep.Faults[0].String())
}

// What is UTF-16 from end to end keeps its letters, and of what is so in parts ASCII stays.
func TestUTF16KeepsItsLetters(t *testing.T) {
	const text = "BenchmarkÄ-8 100 5 ns/op\n"
	for name, data := range map[string]string{
		"LE":                text16(binary.LittleEndian, "\ufeff"+text),
		"BE":                text16(binary.BigEndian, "\ufeff"+text),
		"LE without a mark": text16(binary.LittleEndian, text),
		"BE without a mark": text16(binary.BigEndian, text),
	} {
		results, faults, err := new(Set).Parse(Base, "x", []byte(data))
		require.NoError(t, err)
		require.Empty(t, faults, name)
		require.Len(t, results, 1, name)
		require.Equal(t, "Ä-8", results[0].Name.String(), name)
	}
	for data, want := range map[string]bool{
		"a\x00":                     true,
		"a\x00b":                    false, // a byte is missing
		"a\x00b\x00\x2d\x4e":        true,  // a third
		"a\x00\x2d\x4e\x2d\x4e":     false, // a sixth
		"a\x00\x0a\x4e\x2d\x00":     false, // fewer lines than line feeds
		"\xfe\xff\x00a\x4e\x2d\x00": false,
	} {
		_, ok := decodeUTF16([]byte(data))
		require.Equal(t, want, ok, "%q", data)
	}
}

func text16(order binary.AppendByteOrder, text string) string { return utf16Text(text, order, false) }
