//go:build !linux

package proc

import "os/exec"

// CPUs lists the CPUs that this process may run on.
func CPUs() ([]int, error) { return nil, ErrUnsupported }

// StartOn starts cmd. It can't bind it to CPUs.
func StartOn(cmd *exec.Cmd, cpus ...int) error {
	if len(cpus) > 0 {
		return ErrUnsupported
	}
	return start(cmd)
}
