package resilience

import (
	"errors"
	"fmt"
)

// ErrConfig is matched by every fault that the Validate method of a configuration
// reports, and so by the error of the constructor that refuses it.
var ErrConfig = errors.New("resilience: bad configuration")

// Errors of things that start once and stop: [Pipeline] and [RuntimeMonitor].
var (
	ErrNotStarted = errors.New("resilience: not started")
	ErrStarted    = errors.New("resilience: started already")
	ErrStopped    = errors.New("resilience: stopped")
)

// ErrGoexit is the Value of a [*PanicError] for a callback that called
// runtime.Goexit, as testing's FailNow does.
var ErrGoexit = errors.New("runtime.Goexit called")

// PanicError is what OnError receives when OnBatch did not return.
type PanicError struct {
	Value any    // what was passed to panic, or ErrGoexit
	Stack []byte // the goroutine's stack at that moment, as runtime/debug formats it
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("resilience: panic in OnBatch: %v", e.Value)
}

// Unwrap returns Value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// configFaults collects the faults of a configuration.
type configFaults []error

// of returns a function that adds a fault of the named type if it is one.
func (f *configFaults) of(config string) func(bad bool, format string, args ...any) {
	return func(bad bool, format string, args ...any) {
		if bad {
			*f = append(*f, &configError{"resilience: " + config + "." + fmt.Sprintf(format, args...)})
		}
	}
}

// configError is one fault of a configuration. It matches [ErrConfig].
type configError struct{ text string }

func (e *configError) Error() string        { return e.text }
func (e *configError) Is(target error) bool { return target == ErrConfig }
