package resilience

import (
	"errors"
	"syscall"
)

// transientErrno reports whether err holds the system's own word for a failed
// connection that time may heal. Sockets report Winsock's numbers; the portable
// names, which the syscall package invents on Windows, are what wrappers may
// return instead.
func transientErrno(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	const (
		wsaENETUNREACH  = syscall.Errno(10051)
		wsaETIMEDOUT    = syscall.Errno(10060)
		wsaECONNREFUSED = syscall.Errno(10061)
		wsaEHOSTUNREACH = syscall.Errno(10065)
	)
	switch errno {
	case syscall.WSAECONNRESET, syscall.WSAECONNABORTED,
		wsaENETUNREACH, wsaETIMEDOUT, wsaECONNREFUSED, wsaEHOSTUNREACH,
		syscall.ERROR_BROKEN_PIPE, syscall.ERROR_NETNAME_DELETED,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return true
	}
	return false
}
