package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrAttemptTimeout is matched by the error of an attempt that AttemptTimeout
// ended. The error itself is an [*AttemptTimeoutError].
var ErrAttemptTimeout = errors.New("resilience: attempt timed out")

// AttemptTimeoutError is how an attempt ends that took longer than the
// AttemptTimeout of [RetryConfig] or [TransportConfig], while the caller still had
// time. It matches [ErrAttemptTimeout] and [context.DeadlineExceeded], and says
// that it is a timeout as a [net.Error] does. [IsTransient] holds for it.
type AttemptTimeoutError struct {
	Limit time.Duration // the AttemptTimeout
	Err   error         // what the attempt returned; nil if it only passed on that it was ended
}

// Error implements error.
func (e *AttemptTimeoutError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("resilience: no result within the AttemptTimeout of %v", e.Limit)
	}
	return fmt.Sprintf("resilience: no result within the AttemptTimeout of %v: %v", e.Limit, e.Err)
}

// Is reports whether target is [ErrAttemptTimeout] or [context.DeadlineExceeded].
func (e *AttemptTimeoutError) Is(target error) bool {
	return target == ErrAttemptTimeout || target == context.DeadlineExceeded
}

// Unwrap returns Err.
func (e *AttemptTimeoutError) Unwrap() error { return e.Err }

// Timeout returns true, as [net.Error] and [os.IsTimeout] expect.
func (e *AttemptTimeoutError) Timeout() bool { return true }

// attemptWithin runs fn with a context that ends after timeout.
func attemptWithin(ctx context.Context, timeout time.Duration, fn func(context.Context) error) error {
	if attemptCallerFirst(ctx, timeout) {
		return fn(ctx)
	}
	cause := &AttemptTimeoutError{Limit: timeout}
	attempt, cancel := context.WithTimeoutCause(ctx, timeout, cause)
	defer cancel()
	return attemptError(attempt, cause, fn(attempt))
}

// attemptCallerFirst reports whether ctx ends of its own before an attempt would
// time out. The caller's deadline wins a tie.
func attemptCallerFirst(ctx context.Context, timeout time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= timeout
}

// attemptError returns err, an attempt's, as a timeout if it came after cause had
// ended the attempt's context. Libraries report the end of a context in ways of
// their own, so any error counts, except one that was meant for the policy and an
// answer of the service.
func attemptError(attempt context.Context, cause *AttemptTimeoutError, err error) error {
	var status *StatusError
	switch {
	case err == nil, !attemptEnded(attempt, cause):
		return err
	case errors.Is(err, ErrAttemptTimeout), errors.Is(err, ErrOpen), isPermanent(err), errors.As(err, &status):
		return err
	case errors.Is(err, context.Canceled), err == context.DeadlineExceeded: //nolint:errorlint // nothing is wrapped around it
		return cause // says no more than that the context ended
	}
	return &AttemptTimeoutError{Limit: cause.Limit, Err: err}
}

// attemptEnded reports whether cause is what ended attempt.
func attemptEnded(attempt context.Context, cause *AttemptTimeoutError) bool {
	return context.Cause(attempt) == error(cause) //nolint:errorlint // this one, not one like it
}

// attemptClock bounds the time until the header of a response is in. Its context
// outlives that: it is the one the body is read under, until close.
type attemptClock struct {
	ctx    context.Context
	cause  *AttemptTimeoutError
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// startAttempt starts a clock, which close must free. Without a timeout, or if the
// caller's own deadline comes first, it does nothing.
func startAttempt(ctx context.Context, timeout time.Duration) attemptClock {
	if timeout <= 0 || attemptCallerFirst(ctx, timeout) {
		return attemptClock{ctx: ctx}
	}
	c := attemptClock{cause: &AttemptTimeoutError{Limit: timeout}}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(timeout, func() { c.cancel(c.cause) })
	return c
}

// stop ends the timing. It returns an error if the time was up before, even if
// the attempt did not notice: its context is no good for reading a body.
func (c attemptClock) stop() error {
	if c.timer == nil || c.timer.Stop() || !attemptEnded(c.ctx, c.cause) {
		return nil
	}
	return c.cause
}

func (c attemptClock) close() {
	if c.timer != nil {
		c.timer.Stop()
		c.cancel(nil)
	}
}
