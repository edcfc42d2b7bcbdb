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
