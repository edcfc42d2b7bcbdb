package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/gittest"
)

// Real modules at two versions each, between which their source says what must
// have changed. Compared in both directions: what got better one way is worse the
// other, every row says what benchstat says of the same data, and its direction
// and the correction besides.
func TestThirdParty(t *testing.T) {
	trials(t, "BRUNT_THIRDPARTY")
	benchstat := filepath.Join(t.TempDir(), "benchstat")
	text, err := exec.CommandContext(t.Context(), "go", "build", "-o", benchstat, "golang.org/x/perf/cmd/benchstat").CombinedOutput()
	require.NoError(t, err, string(text))
	for _, c := range []struct {
		module, old, recent, bench string
		thresholds                 []string
		changed, unchanged         []string
	}{
		{
			// gofrs/uuid pull request 96, released in v4.3.0: "Parsing string encoded UUIDs
			// is now 2x faster and no longer allocates". FromString handed UnmarshalText
			// []byte(input), 48 bytes that escape into an error's text; now it parses the
			// string with a table-free loop in place of encoding/hex. String and MarshalText
			// allocate their result before and after. Time is gated where it halved, not
			// where the layout of the binary may decide.
			"github.com/gofrs/uuid", "v4.2.0+incompatible", "v4.4.0+incompatible",
			"^Benchmark(FromString|String|MarshalText)$",
			[]string{"sec/op=off", "sec/op=20@FromString"},
			[]string{
				"FromString/canonical allocs/op", "FromString/canonical B/op", "FromString/canonical sec/op",
				"FromString/urn allocs/op", "FromString/urn B/op", "FromString/urn sec/op",
				"FromString/braced allocs/op", "FromString/braced B/op", "FromString/braced sec/op",
			},
			[]string{"String allocs/op", "String B/op", "MarshalText allocs/op", "MarshalText B/op"},
		},
		{
			// shopspring/decimal's changelog for v1.3.0: "Performance optimization of
			// NewFromString init method" (198) and "of Abs and Round methods" (240). The
			// slice that strings.Split returned is gone from NewFromString; Abs of what is
			// not negative returns it, and rounding a cash amount takes two of those. Floor
			// is the same source.
			"github.com/shopspring/decimal", "v1.2.0", "v1.3.1",
			"^Benchmark(NewFromStringFloat|Decimal_RoundCash_Five|_FloorRegular)$",
			[]string{"sec/op=off"},
			[]string{
				"NewFromStringFloat allocs/op", "NewFromStringFloat B/op",
				"Decimal_RoundCash_Five allocs/op", "Decimal_RoundCash_Five B/op",
			},
			[]string{"_FloorRegular allocs/op", "_FloorRegular B/op"},
		},
	} {
		t.Run(c.module, func(t *testing.T) {
			dirs := []string{download(t, c.module, c.old), download(t, c.module, c.recent)}
			r := newRepo(t, nil)
			for _, way := range []struct {
				name, verdict string
				code          int
			}{{"old to new", "better", 0}, {"new to old", "worse", 1}} {
				t.Run(way.name, func(t *testing.T) {
					r := &repo{&gittest.Repo{T: t, Dir: r.Dir}}
					replace(t, r.Dir, c.module, dirs[0])
					r.Commit()
					replace(t, r.Dir, c.module, dirs[1])
					save := t.TempDir()
					flags := []string{"-base", "main", "-bench", c.bench, "-benchtime", "20ms", "-save", save}
					for _, th := range c.thresholds {
						flags = append(flags, "-threshold", th)
					}
					code, out, errs := r.brunt(append(flags, ".")...)
					t.Logf("exit %d\n%s", code, out)
					require.Equal(t, way.code, code, errs)
					want := make(map[string]string)
					for _, name := range c.changed {
						want[name] = way.verdict
					}
					for _, name := range c.unchanged {
						want[name] = "unchanged"
					}
					got := agreesWithBenchstat(t, benchstat, save)
					// Times that are not gated may have changed or not.
					maps.DeleteFunc(got, func(name, _ string) bool {
						return strings.HasSuffix(name, " sec/op") && !slices.Contains(c.changed, name)
					})
					require.Equal(t, want, got)
				})
				slices.Reverse(dirs)
			}
		})
	}
}

func download(t *testing.T, module, version string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	require.NoError(t, err, string(out))
	var m struct{ Dir string }
	require.NoError(t, json.Unmarshal(out, &m))
	return m.Dir
}

// replace makes the repository's files those of a module, which gets the go.mod
// file that the go command assumes if it has none.
func replace(t *testing.T, to, module, from string) {
	t.Helper()
	entries, err := os.ReadDir(to)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != ".git" {
			require.NoError(t, os.RemoveAll(filepath.Join(to, e.Name())))
		}
	}
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	}))
	mod := filepath.Join(to, "go.mod")
	if _, err := os.Stat(mod); err != nil {
		require.NoError(t, os.WriteFile(mod, []byte("module "+module+"\n\ngo 1.17\n"), 0o600))
	}
}

// agreesWithBenchstat holds every row to what benchstat says of the kept files, and
// returns the verdicts by benchmark, without GOMAXPROCS, and unit.
func agreesWithBenchstat(t *testing.T, benchstat, save string) map[string]string {
	t.Helper()
	type key struct{ bench, unit string }
	type said struct{ delta, p string }
	theirs := make(map[key]said)
	cmd := exec.CommandContext(t.Context(), benchstat, "-format", "csv", "base.txt", "head.txt")
	cmd.Dir = save
	out, err := cmd.Output()
	require.NoError(t, err)
	unit := ""
	reader := csv.NewReader(bytes.NewReader(out))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	require.NoError(t, err)
	for _, rec := range records {
		switch {
		case len(rec) >= 2 && rec[0] == "" && strings.Contains(strings.Join(rec, ","), "vs base"):
			unit = rec[1]
		case len(rec) >= 7 && rec[0] != "" && rec[0] != "geomean":
			theirs[key{rec[0], unit}] = said{rec[5], rec[6]}
		}
	}
	var doc struct {
		Alpha float64
		Rows  []struct {
			Bench, Unit, Verdict, Better string
			Delta                        *float64
			P                            float64
			Adjusted                     float64 `json:"p_adjusted"`
			Base, Head                   struct{ N int }
		}
	}
	data, err := os.ReadFile(filepath.Join(save, "report.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &doc))
	require.NotEmpty(t, doc.Rows)
	require.Len(t, theirs, len(doc.Rows))
	verdicts := make(map[string]string)
	for _, row := range doc.Rows {
		verdicts[strings.TrimSuffix(row.Bench, fmt.Sprintf("-%d", runtime.GOMAXPROCS(0)))+" "+row.Unit] = row.Verdict
		delta := "~"
		switch {
		case row.P > doc.Alpha:
		case row.Delta == nil:
			delta = "?"
		case *row.Delta == 0:
			delta = "0.00%"
		default:
			delta = fmt.Sprintf("%+.2f%%", 100**row.Delta)
		}
		require.Equal(t, said{delta, fmt.Sprintf("p=%0.3f n=%d", row.P, row.Base.N)}, theirs[key{row.Bench, row.Unit}], "%+v", row)
		require.NotEmpty(t, row.Better, "benchstat does not say which way is better")
		require.GreaterOrEqual(t, row.Adjusted, row.P)
	}
	return verdicts
}
