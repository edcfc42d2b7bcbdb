package proc_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"example.com/brunt/peers/internal/proc"
)

func TestCPUTimeGrows(t *testing.T) {
	before, err := proc.CPUTime()
	if errors.Is(err, proc.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 1_000_000_000 {
		now, err := proc.CPUTime()
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			return
		}
	}
	t.Error("a billion calls used no CPU time")
}

func TestStartOnBinds(t *testing.T) {
	cpus, err := proc.CPUs()
	if err != nil {
		t.Skip(err)
	}
	status, err := os.Open("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	status.Close()
	last := cpus[len(cpus)-1]
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), "cat", "/proc/self/status")
	cmd.Stdout = &out
	if err := proc.StartOn(cmd, last); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(out.String(), "Cpus_allowed_list:")
	list, _, _ = strings.Cut(list, "\n")
	if got := strings.TrimSpace(list); !ok || strings.ContainsAny(got, ",-") {
		t.Errorf("the child may run on CPUs %q, want one alone", got)
	}
	after, err := proc.CPUs()
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(cpus) {
		t.Errorf("this process may run on %v afterwards, want %v", after, cpus)
	}
}

func TestStartOnNone(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	if err := proc.StartOn(cmd); err != nil {
		t.Skip(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := proc.StartOn(exec.CommandContext(t.Context(), "/nowhere/at/all")); err == nil {
		t.Error("got no error for a program that is not there")
	}
}

// A large parent must not show in the peak of a small child, as it does in what
// getrusage tells.
func TestPeakRSSIsTheChildsOwn(t *testing.T) {
	own, err := proc.PeakRSS(os.Getpid())
	if errors.Is(err, proc.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ballast := make([]byte, 64<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	grown, err := proc.PeakRSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown < own+60<<20 {
		t.Errorf("got a peak of %d after 64 MiB more than the %d before", grown, own)
	}
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Once it echoes, it is cat, and no longer a copy of this process.
	if _, err := in.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	child, err := proc.PeakRSS(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if child <= 0 || child > 32<<20 {
		t.Errorf("got a peak of %d bytes for cat", child)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if ballast[0] != 1 {
		t.Error("unreachable: it keeps the ballast")
	}
}

func TestAllowFiles(t *testing.T) {
	err := proc.AllowFiles(64)
	if errors.Is(err, proc.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Errorf("got %v for 64 files", err)
	}
	err = proc.AllowFiles(1 << 40)
	if err == nil || !strings.Contains(err.Error(), "RLIMIT_NOFILE") {
		t.Errorf("got %v for more than any system has, want an error that names the limit", err)
	}
}
