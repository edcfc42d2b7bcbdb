package http1

import "fmt"

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

// Error is what [Session.Do] fails with.
type Error struct {
	Phase Phase
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ProtocolError says what is wrong with a response.
type ProtocolError struct {
	Reason string // such as "conflicting Content-Length"
	Text   string // the beginning of the line at fault, if it is one line
}

func (e *ProtocolError) Error() string {
	if e.Text == "" {
		return "http1: bad response: " + e.Reason
	}
	return fmt.Sprintf("http1: bad response: %s: %q", e.Reason, e.Text)
}

// BodyLimitError is the error of a response whose body has more than Limit bytes.
type BodyLimitError struct{ Limit int64 }

func (e *BodyLimitError) Error() string {
	return fmt.Sprintf("http1: response body exceeds %d bytes", e.Limit)
}

// maxQuoted is how much of a bad line an error quotes, in bytes.
const maxQuoted = 80

// refuse returns the error of a response in which line is at fault, if it is one line.
func refuse(reason string, line []byte) error {
	return &ProtocolError{Reason: reason, Text: string(line[:min(len(line), maxQuoted)])}
}
