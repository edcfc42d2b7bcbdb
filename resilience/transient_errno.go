//go:build !windows && !plan9

package resilience

import "syscall"

// transientErrnos are the system's own words for a failed connection that time may heal.
var transientErrnos = []error{
	syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
}
