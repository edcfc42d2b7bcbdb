// Package procgroup runs commands whose own children end with them: an interrupted
// build or benchmark must not leave a compiler or a server behind.
package procgroup

import (
	"os"
	"os/exec"
	"time"
)

// Run is cmd.Run in a process group of its own, which keeps a terminal's Ctrl-C
// from it: when the command's context ends, the whole group gets the signal, and
// five seconds later, or when the command itself has ended, what is left of the
// group is killed. Where there are no groups only the command itself is ended.
func Run(cmd *exec.Cmd, sig os.Signal) error {
	lead(cmd)
	cmd.Cancel = func() error { return signal(cmd, sig) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	sweep(cmd)
	return err
}
