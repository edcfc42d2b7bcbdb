package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/text"
)

var (
	// ErrClosed is returned by Run on a closed engine, and is the cause with which
	// Close cancels requests that outlast its context.
	ErrClosed = errors.New("loadtest: engine closed")
	// ErrNilContext is returned for a nil context.
	ErrNilContext = errors.New("loadtest: nil context")
	// ErrConfig matches every fault that a Validate reports.
	ErrConfig = errors.New("loadtest: bad configuration")
	// ErrLeak is returned by Close when a request ignores its canceled context.
	ErrLeak = errors.New("loadtest: requests still running after cancellation")
)

// TimeoutError is the error of a request that took longer than the engine's
// Timeout. It matches context.DeadlineExceeded, and Timeout reports true.
type TimeoutError struct {
	Limit time.Duration
	Phase Phase // how far the request had come
}

func (e *TimeoutError) Error() string {
	if e.Phase == PhaseUnknown {
		return fmt.Sprintf("loadtest: no result within %v", e.Limit)
	}
	return fmt.Sprintf("loadtest: no result within %v, %v", e.Limit, e.Phase)
}

// Is matches context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Timeout reports true, as net.Error asks.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary reports true: another attempt may be quicker.
func (e *TimeoutError) Temporary() bool { return true }

// PanicError carries a panic of a callback, or of a Func, from the worker on which it
// occurred to the goroutine that called Run, which panics with it.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the worker
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("loadtest: panic in a worker: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// LineError is the fault of one line of a list or a file.
type LineError struct {
	Line int // from 1
	// Text is the line, without white space around it and without the credentials of
	// a URL; of a long one the beginning.
	Text string
	Err  error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("loadtest: line %d: %s", e.Line, strings.TrimPrefix(e.Err.Error(), "loadtest: "))
}

// Unwrap returns the fault without its line.
func (e *LineError) Unwrap() error { return e.Err }

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

func fault(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
}

// FailedCheck counts the responses that failed one check.
type FailedCheck struct {
	Count   int64  `json:"count"`
	Example string `json:"example"` // the text of one error
}

// failedChecks counts failures by what was wanted. Beyond maxNames they are counted as
// others are.
type failedChecks map[string]FailedCheck

// add adds failures of the check that wanted want, and reports whether there is an example.
func (f *failedChecks) add(want string, failed FailedCheck) bool {
	if *f == nil {
		*f = make(failedChecks)
	}
	if _, known := (*f)[want]; !known && len(*f) >= maxNames {
		want = foldedEndpoints
	}
	sum := (*f)[want]
	sum.Count, sum.Example = sum.Count+failed.Count, cmp.Or(sum.Example, failed.Example)
	(*f)[want] = sum
	return sum.Example != ""
}

// merge adds from, which is not changed.
func (f *failedChecks) merge(from failedChecks) {
	for _, want := range slices.Sorted(maps.Keys(from)) {
		f.add(want, from[want])
	}
}

// failedCheck counts an error in ClassCheck. Only the first of a check is asked for its
// text.
func (b *buffer) failedCheck(err error) {
	want := foldedEndpoints
	var check interface{ FailedCheck() string }
	if errors.As(err, &check) {
		want = check.FailedCheck()
	}
	if b.addFailed(want, FailedCheck{Count: 1}) {
		return
	}
	b.addFailed(want, FailedCheck{Example: firstLine(err.Error())}) // the user's code: not under the lock
}

func (b *buffer) addFailed(want string, failed FailedCheck) bool {
	b.shard.mu.Lock()
	defer b.shard.mu.Unlock()
	return b.shard.checks.add(want, failed)
}

// write writes a line for each check.
func (f failedChecks) write(b *strings.Builder) {
	counts := make(map[string]int64, len(f))
	for want, failed := range f {
		counts[want] = failed.Count
	}
	for _, want := range text.ByCount(counts) {
		fmt.Fprintf(b, "  … check   %s × %s\n", text.Count(f[want].Count), f[want].Example)
	}
}
