package benchreport

import (
	"bytes"
	"os/exec"
	"path/filepath"
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

func TestTableIsBenchstats(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "benchstat")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "golang.org/x/perf/cmd/benchstat").CombinedOutput()
	require.NoError(t, err, string(out))
	t.Chdir("testdata")
	for _, p := range pairs {
		t.Run(p[0], func(t *testing.T) {
			want, err := exec.CommandContext(t.Context(), bin, "-ignore", "commit", p[0], p[1]).Output() //nolint:gosec // built above
			require.NoError(t, err)
			require.NotEmpty(t, want)
			var got bytes.Buffer
			require.NoError(t, Table(&got, read(t, p[0], p[1]), 0.05, nil))
			require.Equal(t, string(want), got.String())
		})
	}
}

// What is kept reads back as it was, so benchstat's table of it is the same.
func TestKeptFilesGiveTheSameTable(t *testing.T) {
	t.Chdir("testdata")
	for _, p := range pairs {
		set := read(t, p[0], p[1])
		again := &benchgate.Set{Labels: set.Labels}
		for side := range 2 {
			var b bytes.Buffer
			require.NoError(t, set.Write(&b, benchgate.Side(side)))
			require.NoError(t, again.Read(benchgate.Side(side), p[side], b.Bytes()))
		}
		var want, got bytes.Buffer
		require.NoError(t, Table(&want, set, 0.05, nil))
		require.NoError(t, Table(&got, again, 0.05, nil))
		require.Equal(t, want.String(), got.String())
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
