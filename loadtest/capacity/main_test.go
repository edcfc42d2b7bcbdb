package capacity

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/race"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Unsetenv("GITHUB_STEP_SUMMARY") // benchmarks that tests make are not for the summary of this run
	}
	if race.Enabled {
		runtime.GOMAXPROCS(1) // in virtual time little runs at once, and handing it over costs the race detector a third
	}
	goleak.VerifyTestMain(m)
}

// golden compares got with testdata/name, or with -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to make it")
	require.Equal(t, string(want), got)
}
