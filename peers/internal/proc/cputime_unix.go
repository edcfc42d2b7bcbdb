//go:build unix

package proc

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime is the user and system time that this process has used so far, on all
// of its threads.
func CPUTime() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("proc: read resource usage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
