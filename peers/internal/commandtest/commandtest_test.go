package commandtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"
)

// The command says its first argument, and writes the second into the last one.
func TestMain(m *testing.M) {
	Main(m, func() {
		said, wrote := os.Args[1], os.Args[2]
		fmt.Print(said)
		fmt.Fprint(os.Stderr, "progress")
		if wrote == "fail" || wrote != "nothing" && os.WriteFile(os.Args[4], []byte(wrote), 0o600) != nil {
			os.Exit(3)
		}
	})
}

func TestRun(t *testing.T) {
	report, progress, err := Run(t.Context(), t.TempDir(), "said", "said")
	if report != "said" || progress != "progress" || err != nil {
		t.Errorf("got %q, %q, %v", report, progress, err)
	}
	if _, _, err := Run(t.Context(), t.TempDir(), "said", "other"); !errors.Is(err, errReport) {
		t.Errorf("got %v of another report in the file", err)
	}
	if _, _, err := Run(t.Context(), t.TempDir(), "said", "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v of no file", err)
	}
	var exit *exec.ExitError
	if _, progress, err := Run(t.Context(), t.TempDir(), "said", "fail"); !errors.As(err, &exit) || exit.ExitCode() != 3 || progress != "progress" {
		t.Errorf("got %q, %v of a command that fails", progress, err)
	}
}
