//go:build !windows && !plan9

package resilience

import (
	"errors"
	"syscall"
)

// transientErrno reports whether err holds the system's own word for a failed
// connection that time may heal.
func transientErrno(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return true
	}
	return false
}
