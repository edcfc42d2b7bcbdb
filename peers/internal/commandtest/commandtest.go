// Package commandtest runs a command from its own tests.
package commandtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runVariable tells a test binary that it is to be the command.
const runVariable = "BRUNT_PEERS_COMMAND"

// Main is a TestMain that lets the test binary be the command, which main runs, and so
// all of its processes.
func Main(m *testing.M, main func()) {
	if os.Getenv(runVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

var errReport = errors.New("commandtest: -md has written another report")

// Run runs the command, whose tests have [Main], with args and -md, and returns the report
// that it wrote to standard output, and what it wrote to standard error. It is an error if
// the file of -md, which is in dir, is not the report.
func Run(ctx context.Context, dir string, args ...string) (report, progress string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", fmt.Errorf("commandtest: find this program: %w", err)
	}
	file := filepath.Join(dir, "report.md")
	cmd := exec.CommandContext(ctx, self, append(args, "-md", file)...)
	cmd.Env = append(os.Environ(), runVariable+"=1")
	var out, faults strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &faults
	if err := cmd.Run(); err != nil {
		return out.String(), faults.String(), fmt.Errorf("commandtest: %w\n%s", err, faults.String())
	}
	text, err := os.ReadFile(file)
	if err == nil && string(text) != out.String() {
		err = fmt.Errorf("%w:\n%s", errReport, text)
	}
	return out.String(), faults.String(), err
}
