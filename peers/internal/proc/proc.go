// Package proc asks the operating system for what a fair comparison needs: the
// CPU time that a process has used, and processes that stay on a CPU of their
// own. Where a system has no answer the functions say so, and the caller
// measures without.
package proc

import (
	"errors"
	"fmt"
	"os/exec"
)

// ErrUnsupported is returned where the system has no such call.
var ErrUnsupported = errors.New("proc: not supported on this system")

func start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("proc: %w", err)
	}
	return nil
}
