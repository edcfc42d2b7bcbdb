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

func refuse(reason string, line []byte) error {
	return &ProtocolError{Reason: reason, Text: string(line[:min(len(line), maxQuoted)])}
}

// Why a response is refused.
const (
	reasonStatusLine    = "malformed status line"
	reasonVersion       = "not HTTP/1.x"
	reasonStatusCode    = "malformed status code"
	reasonStatusRange   = "status code is not from 100 to 999"
	reasonUpgrade       = "unrequested change of protocol (101)"
	reasonHeaderLine    = "malformed header line"
	reasonFolded        = "folded header line"
	reasonNameSpace     = "space in a header name"
	reasonHeaderSize    = "headers too large"
	reasonLineLength    = "header line too long"
	reasonLength        = "bad Content-Length"
	reasonLengths       = "conflicting Content-Length"
	reasonEncoding      = "unsupported Transfer-Encoding"
	reasonEncoding10    = "Transfer-Encoding in an HTTP/1.0 response"
	reasonTrailerName   = "bad name in Trailer"
	reasonTrailerSize   = "trailer too large"
	reasonTrailerLF     = "line of a trailer does not end in CRLF"
	reasonChunkLine     = "malformed chunk size"
	reasonChunkLength   = "chunk size line too long"
	reasonChunkEnd      = "chunk does not end in CRLF"
	reasonChunkOverhead = "chunked encoding contains too much non-data"
)
