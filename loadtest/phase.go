package loadtest

import (
	"fmt"
)

// Phase is how far a request had come.
type Phase uint8

// The phases of a request, in order.
const (
	PhaseUnknown Phase = iota
	PhasePool          // waiting for a connection
	PhaseDNS           // resolving the host name
	PhaseConnect       // connecting
	PhaseTLS           // TLS handshake
	PhaseHeaders       // request sent or being sent, no response yet
	PhaseBody          // reading the response body
)

var (
	phaseNames = [...]string{
		"", "waiting for a connection", "resolving the host name", "connecting",
		"in the TLS handshake", "waiting for the response headers", "reading the response body",
	}
	phaseTimeouts = [...]ErrorClass{
		ClassTimeout, ClassTimeoutPool, ClassTimeoutDNS, ClassTimeoutConnect,
		ClassTimeoutTLS, ClassTimeoutHeaders, ClassTimeoutBody,
	}
)

// phaseKeys are the names of the phases in results: the words of the error classes.
var phaseKeys = [...]string{"", "pool", "dns", "connect", "tls", "headers", "body"}

func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// PhaseError is a transport's error with the phase in which it occurred. Sessions
// return it where the error itself does not say.
type PhaseError struct {
	Phase Phase
	Err   error
}

func (e *PhaseError) Error() string {
	if e.Phase == PhaseUnknown {
		return e.Err.Error()
	}
	return e.Err.Error() + " while " + e.Phase.String()
}

// Unwrap returns the transport's error.
func (e *PhaseError) Unwrap() error { return e.Err }
