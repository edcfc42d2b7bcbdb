//go:build !unix

package procgroup

import (
	"os"
	"os/exec"
)

func lead(*exec.Cmd) {}

// signal asks, and kills where asking is not possible.
func signal(cmd *exec.Cmd, sig os.Signal) error {
	if err := cmd.Process.Signal(sig); err != nil {
		return cmd.Process.Kill()
	}
	return nil
}

func sweep(*exec.Cmd) {}
