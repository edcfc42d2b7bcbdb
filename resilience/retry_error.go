package resilience

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reasons for which [RetryPolicy.Execute] gives up on an error it would
// otherwise retry. Both arrive inside a [*RetryError], beside the last error.
var (
	// ErrExhausted says that MaxAttempts attempts have failed.
	ErrExhausted = errors.New("resilience: retry attempts exhausted")

	// ErrBudgetExceeded says that the retries of all executions together have
	// used up the budget of the window.
	ErrBudgetExceeded = errors.New("resilience: retry budget exceeded")
)

// errRetryTooLate is the reason when the wait would outlast the context.
var errRetryTooLate = fmt.Errorf("resilience: no time for another attempt: %w", context.DeadlineExceeded)

// RetryError is how an execution ends that wanted another attempt and could not
// have it. [errors.Is] and [errors.As] find both Reason and Last in it.
type RetryError struct {
	Attempts   int           // attempts that were made
	TotalDelay time.Duration // waits between them, summed

	// Reason is why there was no further attempt: [ErrExhausted],
	// [ErrBudgetExceeded], the error of a context that ended, one that matches
	// [context.DeadlineExceeded] when the wait would have outlasted the deadline,
	// or [ErrOpen] from a breaker that opened meanwhile.
	Reason error

	// Last is the error of the last attempt.
	Last error
}

// Error implements error.
func (e *RetryError) Error() string {
	attempts := "attempts"
	if e.Attempts == 1 {
		attempts = "attempt"
	}
	reason := strings.TrimPrefix(e.Reason.Error(), "resilience: ")
	return fmt.Sprintf("resilience: gave up after %d %s: %s; last error: %v", e.Attempts, attempts, reason, e.Last)
}

// Unwrap returns Reason and Last.
func (e *RetryError) Unwrap() []error { return []error{e.Reason, e.Last} }
