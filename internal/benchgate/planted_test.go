package benchgate

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// metric is one that the planted streams report, and which way it is better.
type metric struct {
	unit string
	way  int
}

var metrics = []metric{
	{"ns/op", -1},
	{"req/s", +1},
	{"p99-ns", -1},
	{"rows/s", +1}, // declared by a Unit line alone
	{"B/op", -1},
	{"allocs/op", -1},
}

// output is what go test prints for two packages with two benchmarks each, ten
// times. The metric of the benchmark, if there is one, is made worse by harm.
func output(rng *rand.Rand, bench, metric int, harm float64) string {
	var b strings.Builder
	b.WriteString("Unit req/s better=higher\nUnit p99-ns better=lower\nUnit rows/s better=higher\n")
	for pkg := range 2 {
		fmt.Fprintf(&b, "goos: linux\ngoarch: amd64\npkg: example.org/shop/p%d\ncpu: Some CPU @ 2.0GHz\n", pkg)
		for n := range 2 {
			for range 10 {
				fmt.Fprintf(&b, "Benchmark%s-8   \t     100", []string{"Cart/size=10", "Order"}[n])
				for i, m := range metrics {
					value := float64(1000*(i+1)) * (1 + 0.005*rng.Float64())
					if bench == 2*pkg+n && metric == i {
						value *= 1 - harm*float64(m.way)
					}
					fmt.Fprintf(&b, "\t%10.3f %s", value, m.unit)
				}
				b.WriteString("\n")
			}
			b.WriteString("--- BENCH: BenchmarkCart/size=10-8\n    x_test.go:5: what it logs: BenchmarkA 1 1 ns/op\n        --- FAIL: BenchmarkA\n")
		}
		fmt.Fprintf(&b, "PASS\nok  \texample.org/shop/p%d\t1.234s\n", pkg)
	}
	return b.String()
}

// stray are bytes that terminals, shells, editors and test programs leave in a
// stream, anywhere.
var stray = []string{
	"\ufeff", "\x00", "\r", "\n", "\r\n", "\x1b[31m", "\x1b[0m", "\x1b[2K\r", "\x1b]0;title\x07", "\x07", "\b", "\u200b", "\u00a0", "\t", " ", "\xff\xfe", "\xef\xbb",
	"setting up... ", "hello", "hello\n", "42 ", "42\n", "100%\r", ".", "warning: hot\n", "warning: hot", "{\"time\":\"2026\",\"level\":\"INFO\"}\n",
	"--- FAIL: BenchmarkOrder\n", "--- FAIL: TestX\n    x_test.go:1: FAIL\n", "FAIL\n", "FAIL", "FAIL\texample.org/x\n", "PASS\n", "PASS", "ok  \tx\t1.0s\n", "panic: oh\n",
	"pkg: ", "cpu: 50%\n", "goos: ", "Benchmark", "BenchmarkOrder-8\n", "Unit ", "Unit tests\n", "5 ns/op\n", "throughput: 5 req/s\n", strings.Repeat("x", 70_000), strings.Repeat("y", 200_000) + "\n",
}

// edit changes a stream as one of them would.
func edit(rng *rand.Rand, text string) string {
	at := rng.IntN(len(text) + 1)
	if rng.IntN(2) == 0 { // where programs print: between lines, or after a name
		if i := strings.IndexAny(text[at:], "\t\n"); i >= 0 {
			at += i + 1
		}
	}
	switch rng.IntN(12) {
	case 0:
		return strings.ReplaceAll(text, "\n", "\r\n")
	case 1:
		return strings.ReplaceAll(text, "\n", "\r")
	case 2:
		return utf16Text(text, binary.LittleEndian, rng.IntN(2) == 0)
	case 3:
		return utf16Text(text, binary.BigEndian, rng.IntN(2) == 0)
	case 4: // appended to by another shell
		return text[:at] + utf16Text(text[at:], binary.LittleEndian, rng.IntN(2) == 0)
	case 5:
		return utf16Text(text[:at], binary.LittleEndian, true) + text[at:]
	case 6:
		return strings.ReplaceAll(text, "\n", []string{" \n", "\t\n", "\x1b[0m\n", "\n\n", "\x1b[K\r\n"}[rng.IntN(5)])
	case 7:
		return strings.ReplaceAll(text, "\t", strings.Repeat(" ", 1+rng.IntN(4)))
	case 8: // before every line of a kind
		kind := []string{"Unit", "goos:", "pkg:", "cpu:", "Benchmark", "PASS", "ok "}[rng.IntN(7)]
		return strings.ReplaceAll(text, "\n"+kind, "\n"+stray[rng.IntN(len(stray))]+kind)
	}
	return text[:at] + stray[rng.IntN(len(stray))] + text[at:]
}

func utf16Text(text string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, c := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, c)
	}
	return string(b)
}

// exit is the exit code of a comparison of two streams.
func exit(base, head string) (code int, rep *Report) {
	set := new(Set)
	for side, text := range []string{base, head} {
		if err := set.Read(Side(side), Side(side).String()+".txt", []byte(text)); err != nil {
			return 2, nil
		}
	}
	rep, err := Judge(set, new(Rules))
	if err != nil {
		return 2, nil
	}
	return rep.ExitCode(), rep
}

// FuzzEdit puts bytes at a place of the base, the head or both. The streams are made
// once: to print them took as long as to read and to judge them.
func FuzzEdit(f *testing.F) {
	values := rand.New(rand.NewPCG(1, 2))
	old, recent := output(values, -1, 0, 0), output(values, -1, 0, 0)
	var worse [4][]string // by benchmark and metric
	for bench := range worse {
		for metric := range metrics {
			worse[bench] = append(worse[bench], output(values, bench, metric, 0.5))
		}
	}
	for i, s := range stray {
		f.Add(uint64(i), uint16(i*117), []byte(s[:min(len(s), 64)]))
	}
	f.Fuzz(func(t *testing.T, seed uint64, at uint16, added []byte) {
		if len(added) > 64 {
			return // enough to write results that outweigh the others
		}
		edited := func(text string, side uint64) string {
			if side&(1+seed%3) == 0 {
				return text
			}
			place := int(at) % (len(text) + 1)
			return text[:place] + string(added) + text[place:]
		}
		base := edited(old, 1)
		planted, rep := exit(base, edited(worse[seed/3%4][seed/12%uint64(len(metrics))], 2))
		require.NotEqual(t, 0, planted, "%+v", rep)
		same, _ := exit(base, edited(recent, 2))
		require.NotEqual(t, 1, same)
	})
}

// trial plants a regression, edits one of the streams or both, and returns the exit
// codes of the comparison and of one in which nothing was planted.
func trial(seed uint64, harm float64) (planted, same int, streams [2]string, rep *Report) {
	values := func(side uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, side)) }
	rng := values(2)
	bench, metric, which, alike := rng.IntN(4), rng.IntN(len(metrics)), rng.IntN(3), rng.IntN(2) == 0
	edited := func(text string, side int) string {
		edits := values(3)
		if !alike {
			edits = values(3 + uint64(side))
		}
		if which == 2 || which == side {
			for range 1 + edits.IntN(3) {
				text = edit(edits, text)
			}
		}
		return text
	}
	base := edited(output(values(0), -1, 0, 0), 0)
	head := edited(output(values(1), bench, metric, harm), 1)
	planted, rep = exit(base, head)
	same, _ = exit(base, edited(output(values(1), -1, 0, 0), 1))
	return planted, same, [2]string{base, head}, rep
}

// Whatever is in a stream besides its results, a regression is not lost in it, and
// there is none where nothing changed.
func TestPlantedRegressionsAreNotLost(t *testing.T) {
	var codes [2][3]int
	seeds := uint64(200)
	if race.Enabled {
		seeds = 20 // there is one goroutine, and each takes ten times as long
	}
	for seed := range seeds {
		planted, same, _, rep := trial(seed, 0.5)
		codes[0][planted]++
		codes[1][same]++
		require.NotEqual(t, 0, planted, "seed %d: %+v", seed, rep)
		require.NotEqual(t, 1, same, "seed %d", seed)
	}
	t.Logf("exit codes 0, 1 and 2 with a regression: %v; without: %v", codes[0], codes[1])
}
