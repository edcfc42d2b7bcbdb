package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/gittest"
	"example.com/brunt/internal/proctest"
)

// A real signal to a real process, in the middle of a benchmark that has a child
// process and a temporary file: nothing of it is left. Nor after an impatient
// person's second signal.
func TestInterrupt(t *testing.T) {
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip(err)
	}
	r := newRepo(t, map[string]string{"m_test.go": `package m

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

func BenchmarkSleeps(b *testing.B) {
	child := exec.Command("sleep", "600")
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := os.MkdirTemp("", "mine"); err != nil {
		b.Fatal(err)
	}
	pids := fmt.Sprint(os.Getpid(), " ", child.Process.Pid, "\n")
	if err := os.WriteFile(os.Getenv("STARTED"), []byte(pids), 0o600); err != nil {
		b.Fatal(err)
	}
	time.Sleep(10 * time.Minute)
}
`})
	self, err := os.Executable()
	require.NoError(t, err)
	before := r.Git("status", "--porcelain")
	for name, signals := range map[string][]os.Signal{
		"once": {syscall.SIGTERM}, "impatient": {os.Interrupt, os.Interrupt, syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			r := &repo{&gittest.Repo{T: t, Dir: r.Dir}}
			started := filepath.Join(t.TempDir(), "started")
			cmd := exec.CommandContext(t.Context(), self, append([]string{"compare"}, quick...)...)
			cmd.Dir = r.Dir
			cmd.Env = append(os.Environ(), "BRUNT_TEST_MAIN=1", "STARTED="+started)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return strings.HasSuffix(read(started), "\n") }, time.Minute, 10*time.Millisecond)
			require.Contains(t, r.Git("worktree", "list"), "brunt-")
			for _, s := range signals {
				if err := cmd.Process.Signal(s); err != nil {
					require.ErrorIs(t, err, os.ErrProcessDone)
				}
			}
			require.Error(t, cmd.Wait())
			require.Equal(t, 2, cmd.ProcessState.ExitCode(), stderr.String())
			require.Contains(t, stderr.String(), "interrupted; worktree and temporary files are removed")
			require.Len(t, strings.Split(r.Git("worktree", "list"), "\n"), 1, "the user's own")
			require.NoDirExists(t, filepath.Join(r.Dir, ".git", "worktrees"))
			require.Equal(t, before, r.Git("status", "--porcelain"))
			require.Empty(t, r.leftovers())
			for text := range strings.FieldsSeq(read(started)) {
				pid, err := strconv.Atoi(text)
				require.NoError(t, err)
				require.Eventually(t, func() bool { return proctest.Ended(pid) }, 10*time.Second, time.Millisecond, "process %d", pid)
			}
		})
	}
}
