package resilience

import "syscall"

// transientErrnos are the system's own words for a failed connection that time may
// heal. Sockets report Winsock's numbers; the portable names, which the syscall package
// invents on Windows, are what wrappers may return instead.
var transientErrnos = []error{
	syscall.WSAECONNRESET, syscall.WSAECONNABORTED,
	syscall.Errno(10051), // WSAENETUNREACH
	syscall.Errno(10060), // WSAETIMEDOUT
	syscall.Errno(10061), // WSAECONNREFUSED
	syscall.Errno(10065), // WSAEHOSTUNREACH
	syscall.ERROR_BROKEN_PIPE, syscall.ERROR_NETNAME_DELETED,
	syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
}
