//go:build !unix

package wake

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
