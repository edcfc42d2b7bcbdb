//go:build !linux

package proc

import "os/exec"

// CPUs lists the CPUs that this process may run on.
func CPUs() ([]int, error) { return nil, ErrUnsupported }

// StartOn starts cmd as a process that stays on one CPU.
func StartOn(*exec.Cmd, int) error { return ErrUnsupported }
