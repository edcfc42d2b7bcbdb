package benchreport

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/benchgate"
)

func read(t *testing.T, base, head string) *benchgate.Set {
	t.Helper()
	set := &benchgate.Set{Labels: [2]string{base, head}}
	require.NoError(t, set.ReadFile(benchgate.Base, base))
	require.NoError(t, set.ReadFile(benchgate.Head, head))
	return set
}

// The pairs of files are of benchstat's own tests (golang.org/x/perf, BSD-3-Clause)
// and made here for what those do not show: zeros, several packages, exact units,
// sets that differ, few samples.
var pairs = [][2]string{
	{"old.txt", "new.txt"},
	{"crc-old.txt", "crc-new.txt"},
	{"odd-old.txt", "odd-new.txt"},
	{"few-old.txt", "few-new.txt"},
}

func judged(t *testing.T, set *benchgate.Set) *benchgate.Report {
	t.Helper()
	rep, err := benchgate.Judge(set, new(benchgate.Rules))
	require.NoError(t, err)
	return rep
}

func text(t *testing.T, set *benchgate.Set) string {
	t.Helper()
	return Table(set, judged(t, set))
}

// benchstat's table has other columns and the same values: medians, intervals,
// changes, p and sample sizes, whether both sides have the metric or one.
func TestTableAgreesWithBenchstat(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "benchstat")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "golang.org/x/perf/cmd/benchstat").CombinedOutput()
	require.NoError(t, err, string(out))
	t.Chdir("testdata")
	for _, p := range pairs {
		t.Run(p[0], func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), bin, "-ignore", "commit", "-format", "csv", p[0], p[1]).Output()
			require.NoError(t, err)
			set := read(t, p[0], p[1])
			var got [][]string
			rep := judged(t, set)
			for _, r := range slices.Concat(rep.Rows, rep.OneSided) {
				rec := []string{r.Bench, r.Unit, "", "", "", "", "", ""}
				at := 2
				for i, n := range [2]int{r.Comparison.N1, r.Comparison.N2} {
					if n > 0 {
						rec[at], rec[at+1] = fmt.Sprint(r.Summary[i].Center), r.Summary[i].PctRangeString()
						at += 2
					}
				}
				if delta, p, ok := strings.Cut(strings.TrimSuffix(change(r), ")"), " ("); ok {
					rec[6], rec[7] = delta, p
				}
				got = append(got, rec)
			}
			want := benchstatRows(t, out)
			require.NotEmpty(t, want)
			require.ElementsMatch(t, want, got)
			for _, rec := range want {
				require.Regexp(t, "(?m)^"+regexp.QuoteMeta(rec[0])+" .*± +"+regexp.QuoteMeta(rec[3])+".*"+regexp.QuoteMeta(rec[6]), text(t, set))
			}
		})
	}
}

// benchstatRows reads benchstat's CSV as name, unit, median, interval, median,
// interval, change, p. What only one side has stands first.
func benchstatRows(t *testing.T, out []byte) (rows [][]string) {
	t.Helper()
	reader := csv.NewReader(bytes.NewReader(out))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	require.NoError(t, err)
	unit := ""
	for _, rec := range records {
		switch {
		case rec[0] == "" && slices.Contains(rec, "CI"):
			unit = rec[1]
		case len(rec) > 2 && rec[0] != "" && rec[0] != "geomean":
			rec = append(rec, make([]string, 7-len(rec))...)
			for _, i := range []int{1, 3} {
				if rec[i] != "" {
					v, err := strconv.ParseFloat(rec[i], 64)
					require.NoError(t, err)
					rec[i] = fmt.Sprint(v)
				}
			}
			if rec[1] == "" {
				rec[1], rec[2], rec[3], rec[4] = rec[3], rec[4], "", ""
			}
			rows = append(rows, slices.Insert(rec, 1, unit))
		}
	}
	return rows
}

func TestGeomean(t *testing.T) {
	side := func(a, b string) []byte {
		return []byte("BenchmarkA 1 " + a + " x\nBenchmarkB 1 " + b + " x\n")
	}
	for _, c := range []struct{ why, base, head, want string }{
		{"of several", "2", "16", "4.000 16.000 +300.00%"},
		{"a zero has none", "0", "16", ""},
		{"a negative number has none", "-2", "16", ""},
	} {
		set := new(benchgate.Set)
		require.NoError(t, set.Read(benchgate.Base, "base", side(c.base, "8")))
		require.NoError(t, set.Read(benchgate.Head, "head", side(c.head, "16")))
		_, got, _ := strings.Cut(text(t, set), "geomean")
		got, _, _ = strings.Cut(got, "\n")
		require.Equal(t, c.want, strings.Join(strings.Fields(got), " "), c.why)
	}
}

// What is kept reads back as it was, so the table of it is the same.
func TestKeptFilesGiveTheSameTable(t *testing.T) {
	t.Chdir("testdata")
	for _, p := range pairs {
		set := read(t, p[0], p[1])
		again := &benchgate.Set{Labels: set.Labels}
		for side := range 2 {
			require.NoError(t, again.Read(benchgate.Side(side), p[side], set.Format(benchgate.Side(side))))
		}
		require.Equal(t, text(t, set), text(t, again))
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
