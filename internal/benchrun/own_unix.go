//go:build unix

package benchrun

import (
	"os/exec"
	"syscall"
)

// own puts the process at the head of a group of its own and ends the group as
// one: a benchmark may have started processes too.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
