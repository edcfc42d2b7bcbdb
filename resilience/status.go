package resilience

import (
	"fmt"
	"net/http"
	"time"
)

// StatusError is an HTTP response that counts as a failure. [Transport] makes
// one for its retry policy and its breaker; a function run by
// [RetryPolicy.Execute] may return one to have its status classified.
type StatusError struct {
	Code  int           // HTTP status code
	After time.Duration // the response's Retry-After; zero means none, or no wait
}

// NewStatusError makes a StatusError of a response's status and its
// Retry-After header. It leaves the body alone.
func NewStatusError(resp *http.Response) *StatusError {
	after, _ := retryAfterHeader(resp.Header, time.Now)
	return &StatusError{Code: resp.StatusCode, After: after}
}

// Error implements error.
func (e *StatusError) Error() string {
	if text := http.StatusText(e.Code); text != "" {
		return fmt.Sprintf("resilience: HTTP status %d %s", e.Code, text)
	}
	return fmt.Sprintf("resilience: HTTP status %d", e.Code)
}

// RetryAfter implements [RetryAfterError].
func (e *StatusError) RetryAfter() (time.Duration, bool) { return e.After, e.After > 0 }

// HTTPFailure reports whether an HTTP status speaks against the health of the
// service that sent it: every 5xx, and 429 Too Many Requests. Other 4xx are the
// caller's mistakes; a breaker that counted them would let one bad client cut
// off all the others.
func HTTPFailure(code int) bool {
	return code == http.StatusTooManyRequests || code >= 500 && code <= 599
}
