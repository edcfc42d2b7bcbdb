package resilience

import "net/http"

// HTTPFailure reports whether an HTTP status speaks against the health of the
// service that sent it: every 5xx, and 429 Too Many Requests. Other 4xx are the
// caller's mistakes; a breaker that counted them would let one bad client cut
// off all the others.
func HTTPFailure(code int) bool {
	return code == http.StatusTooManyRequests || code >= 500 && code <= 599
}
