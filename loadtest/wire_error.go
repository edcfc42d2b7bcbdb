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

// ownError returns the error of this package that err stands for, if it is one that
// says what is wrong with a response.
func ownError(err error) error {
	var bad *http1.ProtocolError
	var long *http1.BodyLimitError
	switch {
	case errors.As(err, &bad):
		return (*ProtocolError)(bad)
	case errors.As(err, &long):
		return &classError{ClassBodyLimit, fmt.Sprintf("loadtest: response body exceeds MaxResponseBytes (%d)", long.Limit)}
	}
	return err
}
