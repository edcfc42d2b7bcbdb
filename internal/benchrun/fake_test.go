package benchrun

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchrun/internal/fakebench"
)

const fakePkg = fakebench.Pkg

type (
	fakeBench = fakebench.Benchmark
	launch    = fakebench.Launch
)

// fakeDir holds the binary of testdata/fake, once a test has asked for it.
var fakeDir string

func TestMain(m *testing.M) {
	var err error
	if fakeDir, err = os.MkdirTemp("", "fake"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(fakeDir)
		os.Exit(code)
	}))
}

var buildFake = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(fakeDir, "fake.exe")
	out, err := exec.Command("go", "build", "-o", bin, "./testdata/fake").CombinedOutput() // once for all tests
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// fakes is the configuration of a run of this binary in two directories.
type fakes struct {
	Config
	dirs [2]string
	log  string
}

func newFakes(t *testing.T, base, head []fakeBench) *fakes {
	t.Helper()
	bin, err := buildFake()
	require.NoError(t, err)
	f := &fakes{log: filepath.Join(t.TempDir(), "log")}
	t.Setenv(fakebench.Log, f.log)
	f.Config = Config{
		Bench: ".", Count: 6, Max: 6, Iterations: 1, CPU: 2, Seed: 1, Timeout: time.Minute, TempDir: t.TempDir(),
		Rules:    benchgate.Rules{Thresholds: []benchgate.Threshold{{Metric: "B/op", Share: math.Inf(1)}}},
		Packages: []Package{{Path: fakePkg}},
	}
	for side, declared := range [2][]fakeBench{base, head} {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		require.NoError(t, err)
		data, err := json.Marshal(declared)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, fakebench.File), data, 0o600))
		f.dirs[side] = dir
		f.Packages[0].Binaries[side] = Binary{Path: bin, Dir: dir}
	}
	return f
}

// launches reads and empties the log.
func (f *fakes) launches(t *testing.T) (list []launch) {
	t.Helper()
	data, err := os.ReadFile(f.log)
	require.NoError(t, err)
	require.NoError(t, os.Remove(f.log))
	for line := range strings.Lines(string(data)) {
		var l launch
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		list = append(list, l)
	}
	return list
}

func (f *fakes) run(t *testing.T) *Outcome {
	t.Helper()
	out, err := Run(t.Context(), f.Config)
	require.NoError(t, err)
	return out
}

func needsGroups(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are no process groups here")
	}
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip(err)
	}
}

// faults are their texts.
func faults(rep *benchgate.Report) (texts []string) {
	for _, f := range rep.Faults {
		texts = append(texts, f.String())
	}
	return texts
}
