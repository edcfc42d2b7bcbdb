//go:build unix

// Package schedulertest starts real schedulers and networks for tests, on this machine
// alone, and sees to it that nothing of them is left.
package schedulertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/procgroup"
	"example.com/brunt/internal/proctest"
)

// Lab is a directory and the processes that work in it. Use it in its test's goroutine.
type Lab struct {
	testing.TB
	Dir string
	ctx context.Context // ends with an interrupt, upon which there is still to be cleaned up
	env []string        // of every process
}

// interrupted is set when a person has had enough of the tests.
var interrupted atomic.Bool

// New returns a lab in a temporary directory. When the test ends, and all that it has
// started with Start has been stopped, no process of the lab may be left: one that is
// fails the test, and is killed.
func New(tb testing.TB) *Lab {
	tb.Helper()
	dir, err := os.MkdirTemp("", "lab") //nolint:usetesting // it has the test's name in its path, and that of a Unix socket about 100 bytes
	require.NoError(tb, err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	l := &Lab{TB: tb, Dir: dir, ctx: ctx}
	l.Setenv("BRUNT_LAB", dir) // by which its processes are known, whoever has started them
	tb.Cleanup(func() {
		if ctx.Err() != nil {
			interrupted.Store(true)
		}
		stop()
		// What has been told to end, by whomever, may still be about to.
		for deadline := time.Now().Add(time.Second); len(having(dir)) > 0 && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		for _, pid := range having(dir) {
			tb.Errorf("process %d is left: %s", pid, commandLine(pid))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		outputs, _ := filepath.Glob(filepath.Join(dir, "*.out"))
		for _, path := range outputs {
			if text, _ := os.ReadFile(path); tb.Failed() && len(text) > 0 {
				tb.Logf("%s:\n%s", filepath.Base(path), text[max(0, len(text)-1500):])
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if interrupted.Load() {
		tb.Fatalf("interrupted")
	}
	return l
}

// Setenv sets a variable for what is started from now on.
func (l *Lab) Setenv(name, value string) { l.env = append(l.env, name+"="+value) }

// Write writes a file in the lab's directory and returns its path.
func (l *Lab) Write(name, text string) string {
	l.Helper()
	path := filepath.Join(l.Dir, name)
	require.NoError(l, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Need fails the test if a command is not there.
func (l *Lab) Need(remedy string, names ...string) {
	l.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			l.Fatalf("%v: %s", err, remedy)
		}
	}
}

func (l *Lab) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = l.Dir, append(os.Environ(), l.env...)
	return cmd
}

// Run runs a command and returns its exit code and what it has printed. What takes
// longer than limit is killed, and fails the test: no client of a scheduler can be
// trusted to end.
func (l *Lab) Run(limit time.Duration, name string, args ...string) (code int, output string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.ctx, limit)
	defer cancel()
	cmd := l.command(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := procgroup.Run(cmd, syscall.SIGKILL)
	require.NoError(l, l.ctx.Err(), "interrupted")
	require.NoError(l, ctx.Err(), "%s %s has not ended within %v:\n%s", name, strings.Join(args, " "), limit, &out)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(l, err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// Must is Run of what has to end with 0 within ten seconds.
func (l *Lab) Must(name string, args ...string) (output string) {
	l.Helper()
	code, output := l.Run(10*time.Second, name, args...)
	require.Zero(l, code, "%s %s:\n%s", name, strings.Join(args, " "), output)
	return output
}

// Daemon is a process that is stopped with its test, if it has not been before.
type Daemon struct {
	cmd    *exec.Cmd
	output string
	exited chan struct{}
}

// Start starts a daemon. Its output is the file DIR/NAME.out.
func (l *Lab) Start(name string, command string, args ...string) *Daemon {
	l.Helper()
	out, err := os.Create(filepath.Join(l.Dir, name+".out"))
	require.NoError(l, err)
	defer out.Close() // the process has its own
	d := &Daemon{cmd: l.command(context.Background(), command, args...), output: out.Name(), exited: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = out, out
	require.NoError(l, d.cmd.Start())
	go func() { // ends with the process, which Stop ends
		_ = d.cmd.Wait()
		close(d.exited)
	}()
	l.Cleanup(d.Stop)
	return d
}

// Code waits until the process has ended by itself, and returns its exit code.
func (l *Lab) Code(d *Daemon, limit time.Duration) int {
	l.Helper()
	select {
	case <-d.exited:
	case <-l.ctx.Done():
		l.Fatalf("interrupted")
	case <-time.After(limit):
		l.Fatalf("%s has not ended within %v:\n%s", d.cmd, limit, d.Output())
	}
	return d.cmd.ProcessState.ExitCode()
}

// Output is what the daemon has printed so far.
func (d *Daemon) Output() string {
	text, _ := os.ReadFile(d.output)
	return string(text)
}

// Stop ends the daemon: it has ten seconds to do so by itself.
func (d *Daemon) Stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
}

// kill ends the daemon, those who have the path in their environment, and all that they
// have started, at once, as a machine that loses its power does.
func (d *Daemon) kill(path string) {
	// Who has been stopped has no more children.
	all := family(append(having(path), d.cmd.Process.Pid))
	for stopped := 0; stopped < len(all); all = family(all) {
		stopped = len(all)
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
	}
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-d.exited
	for _, pid := range all {
		for !proctest.Ended(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

// Wait waits until ready reports true, and fails the test if a daemon ends before.
func (l *Lab) Wait(what string, ready func() bool, daemons ...*Daemon) {
	l.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ready(); time.Sleep(20 * time.Millisecond) {
		require.NoError(l, l.ctx.Err(), "interrupted")
		for _, d := range daemons {
			select {
			case <-d.exited:
				l.Fatalf("%s has ended while waiting for %s:\n%s", d.cmd, what, d.Output())
			default:
				if time.Now().After(deadline) {
					l.Logf("%s:\n%s", d.cmd, d.Output())
				}
			}
		}
		if time.Now().After(deadline) {
			l.Fatalf("waited 30s for %s", what)
		}
	}
}

// Ports returns n TCP ports that were free on loopback a moment ago.
func (l *Lab) Ports(n int) (ports []int) {
	l.Helper()
	for range n {
		listener, err := new(net.ListenConfig).Listen(l.ctx, "tcp", "127.0.0.1:0")
		require.NoError(l, err)
		defer listener.Close() // all of them at the end, so that no two are the same
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// having returns the processes that have a path, or one below it, in their environment, and
// have not ended. Where there is no /proc, none is seen.
func having(path string) (pids []int) {
	for _, pid := range processes() {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		found := bytes.Contains(env, []byte("="+path+"\x00")) || bytes.Contains(env, []byte("="+path+"/"))
		if found && !proctest.Ended(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func processes() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// family returns processes and their descendants.
func family(all []int) []int {
	all = slices.Clone(all)
	for i := 0; i < len(all); i++ {
		for _, child := range processes() {
			// PID (COMM) STATE PPID …, and COMM may be anything.
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
			fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			if len(fields) > 1 && fields[1] == strconv.Itoa(all[i]) && !slices.Contains(all, child) {
				all = append(all, child)
			}
		}
	}
	return all
}

func commandLine(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}
