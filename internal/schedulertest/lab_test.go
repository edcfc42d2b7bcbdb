//go:build linux

package schedulertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/internal/proctest"
)

// labTest runs fn in a lab of its own and returns what it was failed for, and what was
// logged then.
func labTest(t *testing.T, fn func(*Lab)) (failures, logs string) {
	t.Helper()
	var dir string
	tb := faketb.Run(nil, func(tb *faketb.TB) {
		l := New(tb)
		dir = l.Dir
		fn(l)
	})
	require.NoDirExists(t, dir)
	if !tb.Failed() {
		require.Empty(t, tb.Logs())
	}
	return strings.Join(tb.Errors(), "\n"), strings.Join(tb.Logs(), "\n")
}

// pidOf is the process that has written its number to a file of the lab.
func pidOf(t *testing.T, l *Lab, name string) (pid int) {
	t.Helper()
	l.Wait(name, func() bool {
		text, _ := os.ReadFile(filepath.Join(l.Dir, name))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return strings.HasSuffix(string(text), "\n")
	})
	return pid
}

func requireEnded(t *testing.T, pid int) {
	t.Helper()
	require.NotZero(t, pid)
	require.Eventually(t, func() bool { return proctest.Ended(pid) }, 10*time.Second, time.Millisecond, "process %d", pid)
}

func TestLabStopsWhatItHasStarted(t *testing.T) {
	var pid int
	failures, _ := labTest(t, func(l *Lab) {
		code, out := l.Run(time.Minute, "sh", "-c", "pwd; echo $A >&2; exit 7")
		require.Equal(t, 7, code)
		require.Equal(t, l.Dir+"\n\n", out)
		l.Setenv("A", "b")
		require.Equal(t, l.Dir+"\nb\n", l.Must("sh", "-c", "pwd; echo $A >&2"))
		l.Start("sleeps", "sh", "-c", "echo $$ > pid; exec sleep 600")
		pid = pidOf(t, l, "pid")
	})
	require.Empty(t, failures)
	requireEnded(t, pid)
}

// A process that has left its parents, session and group behind is found, reported and
// ended.
func TestLabFindsWhatIsLeft(t *testing.T) {
	var pid int
	failures, _ := labTest(t, func(l *Lab) {
		l.Must("setsid", "sh", "-c", "sleep 600 > out 2>&1 & echo $! > pid")
		pid = pidOf(t, l, "pid")
	})
	require.Equal(t, fmt.Sprintf("process %d is left: sleep 600", pid), failures)
	requireEnded(t, pid)
}

// A client that is deaf to signals is killed with its children, and fails the test.
func TestLabEndsWhatTakesTooLong(t *testing.T) {
	var pid int
	failures, _ := labTest(t, func(l *Lab) {
		defer func() { pid = pidOf(t, l, "pid") }()
		l.Run(500*time.Millisecond, "sh", "-c", "trap '' TERM INT; echo $$ > pid; sleep 600 & while :; do sleep 600; done")
	})
	require.Contains(t, failures, "has not ended within 500ms")
	require.NotContains(t, failures, "is left")
	requireEnded(t, pid)
}

// An interrupt ends what runs, and the next tests, but not what cleans up.
func TestLabInterrupted(t *testing.T) {
	defer interrupted.Store(false)
	var pid int
	failures, _ := labTest(t, func(l *Lab) {
		l.Start("sleeps", "sh", "-c", "echo $$ > pid; exec sleep 600")
		pid = pidOf(t, l, "pid")
		self, err := os.FindProcess(os.Getpid())
		require.NoError(t, err)
		require.NoError(t, self.Signal(os.Interrupt))
		l.Run(time.Minute, "sleep", "600")
	})
	require.Contains(t, failures, "interrupted")
	require.NotContains(t, failures, "is left")
	requireEnded(t, pid)
	failures, _ = labTest(t, func(*Lab) { t.Error("another test") })
	require.Equal(t, "interrupted", failures)
}

func TestDaemonKilled(t *testing.T) {
	var parent, child, orphan int
	failures, _ := labTest(t, func(l *Lab) {
		l.Setenv("NODE", l.Dir+"/n1/conf")
		d := l.Start("family", "sh", "-c", "echo $$ > parent; setsid sh -c 'echo $$ > child; unset BRUNT_LAB NODE; sleep 600' & wait")
		l.Must("setsid", "sh", "-c", "sleep 600 > out 2>&1 & echo $! > orphan")
		l.Setenv("NODE", l.Dir+"/n10/conf")
		other := l.Start("other", "sleep", "600")
		parent, child, orphan = pidOf(t, l, "parent"), pidOf(t, l, "child"), pidOf(t, l, "orphan")
		d.kill(l.Dir + "/n1")
		requireEnded(t, parent)
		requireEnded(t, child)
		requireEnded(t, orphan)
		require.False(t, proctest.Ended(other.cmd.Process.Pid))
	})
	require.Empty(t, failures)
}

func TestLabReportsDaemonsThatEnd(t *testing.T) {
	failures, logs := labTest(t, func(l *Lab) {
		d := l.Start("fails", "sh", "-c", "echo no such port; exit 1")
		l.Wait("it", func() bool { return false }, d)
	})
	require.Contains(t, failures, "has ended while waiting for it:\nno such port\n")
	require.Equal(t, "fails.out:\nno such port\n", logs)
	failures, _ = labTest(t, func(l *Lab) { l.Need("install it", "brunt-no-such-command") })
	require.Contains(t, failures, "install it")
}

func TestPorts(t *testing.T) {
	_, _ = labTest(t, func(l *Lab) {
		seen := make(map[int]bool)
		for _, port := range l.Ports(20) {
			require.False(t, seen[port])
			seen[port] = true
		}
		require.Len(t, seen, 20)
	})
}
