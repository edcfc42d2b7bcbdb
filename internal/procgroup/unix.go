//go:build unix

package procgroup

import (
	"os"
	"os/exec"
	"syscall"
)

func lead(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func signal(cmd *exec.Cmd, sig os.Signal) error {
	number, ok := sig.(syscall.Signal)
	if !ok {
		number = syscall.SIGKILL
	}
	return syscall.Kill(-cmd.Process.Pid, number)
}

// sweep kills who is still in the group. A group keeps its number while it has a
// member, and without one there is nobody to hit.
func sweep(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
