package loadtest

import (
	"errors"
	"fmt"

	"example.com/brunt/loadtest/internal/http1"
)

// ErrProtocol matches every response that the [Wire] client refuses because it
// is not HTTP/1.x, or not as it should be.
var ErrProtocol = errors.New("loadtest: bad HTTP response")

// ProtocolError says what is wrong with a response. It matches [ErrProtocol].
type ProtocolError struct {
	Reason string // such as "conflicting Content-Length"
	Text   string // the beginning of the line that is at fault, if it is one line
}

func (e *ProtocolError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%v: %s", ErrProtocol, e.Reason)
	}
	return fmt.Sprintf("%v: %s: %q", ErrProtocol, e.Reason, e.Text)
}

// Is matches ErrProtocol.
func (e *ProtocolError) Is(target error) bool { return target == ErrProtocol }

// fromHTTP1 returns the error that one of a session of http1 stands for.
func fromHTTP1(err error) error {
	var at *http1.Error
	if !errors.As(err, &at) {
		return err
	}
	if own := ownError(at.Err); own != nil {
		return own
	}
	return &PhaseError{Phase(at.Phase), at.Err}
}

// ownError returns the error of this package for one of http1 that says what is wrong
// with a response, and nil for any other.
func ownError(err error) error {
	var bad *http1.ProtocolError
	var long *http1.BodyLimitError
	switch {
	case errors.As(err, &bad):
		return (*ProtocolError)(bad)
	case errors.As(err, &long):
		return &classError{ClassBodyLimit, fmt.Sprintf("loadtest: response body exceeds MaxResponseBytes (%d)", long.Limit)}
	}
	return nil
}
