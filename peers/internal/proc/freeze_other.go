//go:build !unix

package proc

import (
	"os"
	"time"
)

// Freeze stops every thread of a process for d, and tells how long it really was.
func Freeze(*os.Process, time.Duration) (time.Duration, error) { return 0, ErrUnsupported }
