package loadtest

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"

	"example.com/brunt/resilience"
)

// ErrorClass is where a request went wrong. Its text form, such as
// "timeout_headers", is what JSON holds.
type ErrorClass uint8

// The classes of errors.
const (
	ClassNone           ErrorClass = iota // no error
	ClassDNS                              // the host name did not resolve
	ClassRefused                          // nothing listens there, or a proxy refused to connect
	ClassReset                            // the peer reset the connection
	ClassEOF                              // the peer closed before the response was complete
	ClassTLS                              // handshake or certificate
	ClassTimeout                          // the request's time ran out, phase unknown
	ClassTimeoutPool                      // … while waiting for a connection of the pool
	ClassTimeoutDNS                       // … while resolving the host name
	ClassTimeoutConnect                   // … while connecting
	ClassTimeoutTLS                       // … in the TLS handshake
	ClassTimeoutHeaders                   // … while sending, or waiting for the response headers
	ClassTimeoutBody                      // … while reading the response body
	ClassProtocol                         // not HTTP, or not HTTP as it should be, such as a body that is not the gzip it claims to be
	ClassBodyLimit                        // the response body exceeds MaxResponseBytes
	ClassRedirect                         // too many redirects, or one to a URL that is not http or https
	ClassStatus                           // 4xx or 5xx, or not one that Request.Expect names
	ClassCheck                            // Request.Check returned an error
	ClassCanceled                         // the run ended first
	ClassLocal                            // this machine ran out of ports or file descriptors
	ClassInvalid                          // the request could not be sent as it is
	ClassRejected                         // the breaker was open: nothing was sent
	ClassOther                            // anything else, such as what a function returns
	ClassUnreachable                      // there is no way to the host
	numClasses
)

var classNames = [numClasses]string{
	"none", "dns", "refused", "reset", "eof", "tls",
	"timeout", "timeout_pool", "timeout_dns", "timeout_connect", "timeout_tls", "timeout_headers", "timeout_body",
	"protocol", "body_limit", "redirect", "status", "check", "canceled", "local", "invalid", "breaker_open", "other", "unreachable",
}

func (c ErrorClass) String() string {
	if c < numClasses {
		return classNames[c]
	}
	return fmt.Sprintf("ErrorClass(%d)", uint8(c))
}

// MarshalText returns the name of the class.
func (c ErrorClass) MarshalText() ([]byte, error) {
	if c >= numClasses {
		return nil, fmt.Errorf("loadtest: no error class %d", uint8(c))
	}
	return []byte(classNames[c]), nil
}

// UnmarshalText parses the name of a class.
func (c *ErrorClass) UnmarshalText(text []byte) error {
	for i, name := range classNames {
		if name == string(text) {
			*c = ErrorClass(i)
			return nil
		}
	}
	return fmt.Errorf("loadtest: no error class %q", text)
}

// classify returns the class of an error of a session or a function. More specific
// causes come first: a refused connection is also a *net.OpError, a DNS timeout also a
// timeout. An error's own ErrorClass wins; an undefined one is ClassOther.
func classify(err error) ErrorClass {
	if err == nil {
		return ClassNone
	}
	var (
		classed   *classError
		user      interface{ ErrorClass() ErrorClass }
		status    *resilience.StatusError
		own       *TimeoutError
		phased    *PhaseError
		corrupt   flate.CorruptInputError
		dns       *net.DNSError
		netErr    net.Error
		op        *net.OpError
		phase     Phase
		isPhased  = errors.As(err, &phased)
		isTimeout = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
			errors.As(err, &netErr) && netErr.Timeout()
	)
	if isPhased {
		phase = phased.Phase
	}
	switch {
	case errors.As(err, &classed):
		return classed.class
	case errors.As(err, &user):
		if class := user.ErrorClass(); class > ClassNone && class < numClasses {
			return class
		}
		return ClassOther
	case errors.As(err, &status):
		return ClassStatus
	case errors.Is(err, resilience.ErrOpen):
		return ClassRejected
	case errors.As(err, &own):
		return phaseTimeouts[own.Phase]
	case errors.As(err, &dns):
		if dns.IsTimeout {
			return ClassTimeoutDNS
		}
		return ClassDNS
	case isTimeout:
		return timeoutClass(err, phase)
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return ClassCanceled
	case errors.Is(err, ErrInvalidRequest), isBadAddress(err):
		return ClassInvalid
	case isAny(err, localErrnos):
		return ClassLocal
	case isAny(err, refusedErrnos), errors.As(err, &op) && op.Op == "socks connect":
		return ClassRefused
	case isAny(err, unreachableErrnos):
		return ClassUnreachable
	case isAny(err, resetErrnos):
		return ClassReset
	case isTLS(err):
		return ClassTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return ClassEOF
	case errors.Is(err, ErrProtocol), errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return ClassProtocol
	}
	return classOfText(err.Error())
}

// classTexts match net/http's error texts that have no exported values; the first match
// counts. What breaks a connection without an error of the network is ClassProtocol.
var classTexts = []struct {
	part  string
	class ErrorClass
}{
	{"ErrCode=NO_ERROR", ClassEOF}, // GOAWAY, in good order
	{"server closed idle connection", ClassEOF},
	{"http: server closed", ClassEOF},
	{"client conn could not be established", ClassEOF},
	{"client conn is closed", ClassEOF},
	{"http2: client connection lost", ClassReset},
	{"; received from peer", ClassReset}, // RST_STREAM
	{"unsupported protocol scheme", ClassRedirect},
	{"failed to parse Location header", ClassProtocol},
	{"malformed HTTP", ClassProtocol},
	{"transport connection broken", ClassProtocol},
	{"bad Content-Length", ClassProtocol},
	{"invalid byte in chunk length", ClassProtocol},
	{"malformed chunked encoding", ClassProtocol},
	{"chunked line too long", ClassProtocol},
	{"http chunk length too large", ClassProtocol},
	{"chunked encoding contains too much non-data", ClassProtocol},
	{"trailer after chunked body", ClassProtocol},
	{"unsupported transfer encoding", ClassProtocol},
	{"http2: ", ClassProtocol},
	{"connection error: ", ClassProtocol}, // of HTTP/2
	{"stream error: ", ClassProtocol},
}

func classOfText(text string) ErrorClass {
	for _, t := range classTexts {
		if strings.Contains(text, t.part) {
			return t.class
		}
	}
	return ClassOther
}

func timeoutClass(err error, phase Phase) ErrorClass {
	if phase == PhaseUnknown {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			phase = PhaseConnect
		}
	}
	return phaseTimeouts[phase]
}

// Causes of the operating system. The plain numbers are Winsock's, which are not those
// that package syscall invents for Windows.
var (
	localErrnos       = []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, winsock(10024), winsock(10049), winsock(10055)}
	refusedErrnos     = []error{syscall.ECONNREFUSED, winsock(10061)}
	unreachableErrnos = []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, winsock(10051), winsock(10065)}
	resetErrnos       = []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, winsock(10053), winsock(10054)}
)

type winsock = syscall.Errno

// isAny reports whether err is one of targets.
func isAny(err error, targets []error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

func isTLS(err error) bool {
	var (
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		invalid   x509.CertificateInvalidError
		hostname  x509.HostnameError
		authority x509.UnknownAuthorityError
	)
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &invalid) || errors.As(err, &hostname) || errors.As(err, &authority) ||
		errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ")
}

// isBadAddress reports whether err is a dialer's of an address that cannot be dialed,
// such as a port above 65535 or an unknown zone. Such addresses come from where no
// Validate looks: users' transports and dialers, and proxies.
func isBadAddress(err error) bool {
	var (
		addr  *net.AddrError
		parse *net.ParseError
		op    *net.OpError
	)
	return errors.As(err, &addr) || errors.As(err, &parse) ||
		errors.As(err, &op) && op.Op == "dial" && errors.Is(err, syscall.EINVAL)
}

// classError fixes the class of an error that brunt itself made.
type classError struct {
	class ErrorClass
	text  string
}

func (e *classError) Error() string { return e.text }
