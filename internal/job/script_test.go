//go:build unix

package job

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// launcher stands in for each command that a script calls: it runs the shard.
const launcher = `#!/bin/sh
for word; do
	case $1 in
	--wrap=*) exec sh -c "${1#--wrap=}" ;;
	*/load.test) exec "$@" ;;
	esac
	shift
done
exit 99
`

// binary stands in for the test binary. It writes down what it was given.
const binary = `#!/bin/sh
for word; do printf '%s|' "$word" >> "$LOG"; done
printf '%s|%s|%s|%s|%s\n' "$BRUNT_SHARDS" "$BRUNT_RUN" "$BRUNT_RESULTS" "${BRUNT_START:+start}" "$WORD" >> "$LOG"
case $2 in
SetUp) exit $SETUP ;;
TearDown) exit $TEARDOWN ;;
esac
exit $LOAD
`

var scripts = map[string]func(*Job) string{"tasks": (*Job).tasks, "array": (*Job).array, "mpi": (*Job).mpirun}

// runScript runs what is printed for j and returns its code and what the binary wrote down.
func runScript(t *testing.T, write func(*Job) string, edit func(*Job), env ...string) (code int, log string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "it's $HOME; a=b")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"srun", "sbatch", "mpirun", "timeout"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(launcher), 0o700))
	}
	j := load(Slurm, func(j *Job) {
		j.Args = []string{filepath.Join(dir, "load.test"), "-test.run", "Load"}
		j.Before, j.After = "SetUp", "TearDown"
		edit(j)
	})
	require.NoError(t, os.WriteFile(j.Args[0], []byte(binary), 0o700))
	script := filepath.Join(dir, "script")
	require.NoError(t, os.WriteFile(script, []byte(write(j)), 0o600))
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"), "LOG=" + filepath.Join(dir, "log"), "SETUP=0", "LOAD=0", "TEARDOWN=0"}, env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err, string(out))
	}
	require.Empty(t, string(out))
	data, err := os.ReadFile(filepath.Join(dir, "log"))
	require.NoError(t, err)
	return cmd.ProcessState.ExitCode(), string(data)
}

// Set-up, load and tear-down run in this order, and the code is that of the first that
// failed; what cannot be set up is not loaded.
func TestScriptPhases(t *testing.T) {
	const (
		setUp    = "-test.run|SetUp||load|results||\n"
		shards   = "-test.run|Load|4|load|results|start|\n"
		tearDown = "-test.run|TearDown||load|results||\n"
	)
	for _, tc := range []struct {
		env  string
		code int
		log  string
	}{
		{"LOAD=0", 0, setUp + shards + tearDown},
		{"SETUP=3", 3, setUp},
		{"LOAD=4", 4, setUp + shards + tearDown},
		{"TEARDOWN=5", 5, setUp + shards + tearDown},
		{"LOAD=4 TEARDOWN=5", 4, setUp + shards + tearDown},
	} {
		for name, write := range scripts {
			code, log := runScript(t, write, func(*Job) {}, strings.Fields(tc.env)...)
			require.Equal(t, tc.code, code, "%s with %s", name, tc.env)
			require.Equal(t, tc.log, log, "%s with %s", name, tc.env)
		}
	}
	for name, write := range scripts {
		code, log := runScript(t, write, func(j *Job) { j.Before, j.After = "", "" }, "LOAD=6")
		require.Equal(t, 6, code, name)
		require.Equal(t, shards, log, name)
	}
}

// Whatever the words are, the binary gets them, and nothing else is run.
func TestScriptWords(t *testing.T) {
	for name, write := range scripts {
		for _, word := range hostile {
			_, log := runScript(t, write, func(j *Job) {
				j.Before, j.After, j.Args, j.Env = "", "", append(j.Args, word), []string{"WORD=" + word}
				j.Results = "it's $(id)"
			})
			require.Equal(t, "-test.run|Load|"+word+"|4|load|it's $(id)|start|"+word+"\n", log, name)
		}
	}
}
