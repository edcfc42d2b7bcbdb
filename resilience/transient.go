package resilience

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
)

// IsTransient reports whether err is of a kind that a later attempt may not
// meet again. It is the default of [RetryConfig.IsTransient], and looks through
// wrapping with [errors.Is] and [errors.As].
//
// Transient are: connections refused, reset, aborted or broken; hosts and
// networks that can't be reached; timeouts of every kind, [os.ErrDeadlineExceeded],
// [context.DeadlineExceeded] and an [*AttemptTimeoutError] among them; [io.ErrUnexpectedEOF];
// [io.ErrClosedPipe]; [io.EOF], which is how a peer that closed a reused
// connection appears; an answer of which net/http says that the connection broke in
// its header; a write to a connection that net/http has closed meanwhile, since the peer
// broke it; HTTP/2 streams that the peer ended with REFUSED_STREAM or INTERNAL_ERROR;
// DNS failures that say they are temporary or timed out; and a [*StatusError] for which
// [HTTPFailure] holds (5xx and 429).
//
// Everything else is permanent, unknown errors included: only what is known to
// pass is worth the load of a retry. Named permanent, because they could be taken for
// something above: [context.Canceled]; an error marked by [Permanent]; a DNS
// name that does not exist; a breaker's [ErrOpen]; and any [*RetryError], so that
// nested policies don't multiply their attempts.
//
// IsTransient can't see whose deadline has passed. Execute asks it only while
// its own context is alive, so there a deadline is always an attempt's.
// A function for which io.EOF is an ordinary end should not return it as an
// error to retry.
func IsTransient(err error) bool {
	if err == nil || isPermanent(err) {
		return false
	}
	var retried *RetryError
	if errors.As(err, &retried) || errors.Is(err, ErrOpen) {
		return false
	}
	if errors.Is(err, ErrAttemptTimeout) {
		return true
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	var status *StatusError
	if errors.As(err, &status) {
		return HTTPFailure(status.Code)
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound && (dns.IsTemporary || dns.IsTimeout)
	}
	is := func(target error) bool { return errors.Is(err, target) }
	return slices.ContainsFunc(transientErrors, is) || slices.ContainsFunc(transientErrnos, is) || timedOut(err) || brokenAnswer(err) || brokenUpload(err)
}

// brokenUpload reports whether a connection was closed while something was written to it.
// net/http reads from a connection as it writes to it, and closes it when it reads that the
// peer has reset it: whether the write says that, or that the connection is closed, is a
// matter of luck. An http.Transport closes it for no other reason without saying so.
func brokenUpload(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "write" || op.Op == "readfrom") && errors.Is(op, net.ErrClosed)
}

// brokenAnswer reports whether net/http lost an answer in a way of its own.
func brokenAnswer(err error) bool {
	const (
		internalError = 0x2 // RFC 9113 §7
		refusedStream = 0x7
	)
	var stream http2StreamError
	if errors.As(err, &stream) {
		return stream.Code == internalError || stream.Code == refusedStream
	}
	// A status line that is cut short reads as a malformed one, without the reason, and
	// the error has no type.
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken") {
			return true
		}
	}
	return false
}

// http2StreamError is the error of net/http and of golang.org/x/net/http2 for a stream that
// has ended: their As fills in any struct of these fields.
type http2StreamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e http2StreamError) Error() string { return "HTTP/2 stream error" }

var transientErrors = []error{
	io.ErrUnexpectedEOF, io.EOF, io.ErrClosedPipe,
	os.ErrDeadlineExceeded, context.DeadlineExceeded,
}

// timedOut reports whether any error of the chain says it is a timeout. It does
// not stop at the first that can say so: a *url.Error denies a timeout which
// another wrapper hides from it.
func timedOut(err error) bool {
	for err != nil {
		var t interface {
			error
			Timeout() bool
		}
		if !errors.As(err, &t) {
			return false
		}
		if t.Timeout() {
			return true
		}
		err = errors.Unwrap(t)
	}
	return false
}

// Permanent marks err as not worth another attempt, whatever
// [RetryConfig.IsTransient] would say of it. The mark is addressed to the nearest
// [RetryPolicy] and ends there: Execute returns err without it, so a policy
// around that one makes up its own mind. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

func isPermanent(err error) bool {
	var mark *permanentError
	return errors.As(err, &mark)
}

// unmarkPermanent removes what Permanent added. A mark at the surface is peeled
// off; one deeper in the chain, which can't be rebuilt, is covered.
func unmarkPermanent(err error) error {
	if err == nil {
		return nil // errors.As would cost every success an allocation
	}
	for {
		mark, ok := err.(*permanentError) //nolint:errorlint // peels one layer at a time
		if !ok {
			break
		}
		err = mark.err
	}
	if isPermanent(err) {
		return coveredError{err}
	}
	return err
}

// coveredError shows everything of an error except its permanent marks.
type coveredError struct{ err error }

func (e coveredError) Error() string        { return e.err.Error() }
func (e coveredError) Is(target error) bool { return errors.Is(e.err, target) }

func (e coveredError) As(target any) bool {
	if _, ok := target.(**permanentError); ok {
		return false
	}
	return errors.As(e.err, target)
}
