package proc

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// CPUs lists the CPUs that this process may run on.
func CPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("proc: read CPU affinity: %w", err)
	}
	var cpus []int
	// A CPUSet is an array of words: this is how many CPUs it has room for.
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// StartOn starts cmd as a process that stays on the given CPUs; none means that it
// may run on any.
//
// A process inherits the affinity of the thread that forks it. So the thread is
// bound for the time of the fork, and the Go runtime of the new process counts
// its CPUs, and sets GOMAXPROCS, with the binding already in place.
func StartOn(cmd *exec.Cmd, cpus ...int) error {
	if len(cpus) == 0 {
		return start(cmd)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, chosen unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("proc: read CPU affinity: %w", err)
	}
	for _, cpu := range cpus {
		chosen.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &chosen); err != nil {
		return fmt.Errorf("proc: bind to CPUs %v: %w", cpus, err)
	}
	startErr := start(cmd)
	if err := unix.SchedSetaffinity(0, &before); err != nil && startErr == nil {
		// The child runs where it should; this thread must not go on bound.
		return fmt.Errorf("proc: release from CPUs %v: %w", cpus, err)
	}
	return startErr
}
