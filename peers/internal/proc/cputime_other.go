//go:build !unix

package proc

import "time"

// CPUTime is the user and system time that this process has used so far.
func CPUTime() (time.Duration, error) { return 0, ErrUnsupported }
