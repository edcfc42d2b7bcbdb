package resilience

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// RetryAfterError is an error whose maker knows how long the caller should
// wait before the next attempt. [RetryPolicy.Execute] finds it with
// [errors.As] and waits at least that long, but never longer than
// [RetryConfig.MaxDelay].
type RetryAfterError interface {
	error

	// RetryAfter reports the wait, and false when there is no advice.
	RetryAfter() (time.Duration, bool)
}

// ParseRetryAfter reads the value of a Retry-After header field (RFC 9110
// §10.2.3): a number of seconds, or an HTTP-date, which it turns into the wait
// from now.
//
// A date that has passed is a wait of zero. A number too large for a Duration
// becomes the largest Duration; whoever sleeps for it caps it first. A negative
// number, a fraction or anything else is no advice: ok is false and the wait
// zero. The wait is never negative.
func ParseRetryAfter(value string, now time.Time) (wait time.Duration, ok bool) {
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0, false
	}
	if wait, ok = retryAfterSeconds(value); ok {
		return wait, true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return max(date.Sub(now), 0), true
}

// retryAfterSeconds reads 1*DIGIT, saturating at the largest Duration.
func retryAfterSeconds(value string) (time.Duration, bool) {
	const most = uint64(math.MaxInt64 / int64(time.Second))
	var seconds uint64
	for i := range len(value) {
		digit := value[i] - '0'
		if digit > 9 {
			return 0, false
		}
		if seconds <= most {
			seconds = seconds*10 + uint64(digit)
		}
	}
	if seconds > most {
		return math.MaxInt64, true
	}
	return time.Duration(seconds) * time.Second, true
}

// retryAfterHeader reads Retry-After from a response's header. A date is
// compared with the response's own Date when it has one, so that the two
// machines' clocks need not agree.
func retryAfterHeader(header http.Header, now func() time.Time) (time.Duration, bool) {
	value := header.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	sent, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		sent = now()
	}
	return ParseRetryAfter(value, sent)
}
