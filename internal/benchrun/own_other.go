//go:build !unix

package benchrun

import "os/exec"

// own does nothing here: a cancelled process is killed, what it started is not.
func own(*exec.Cmd) {}
