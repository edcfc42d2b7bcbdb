//go:build unix

package proc

import (
	"fmt"
	"syscall"
)

// AllowFiles lets this process, and those it starts from now on, have n files open
// at once. The Go runtime raises its own soft limit anyway; setting it makes it
// what children inherit.
func AllowFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("proc: read RLIMIT_NOFILE: %w", err)
	}
	if n > uint64(limit.Max) { //nolint:unconvert // signed on some systems
		return fmt.Errorf("proc: %d open files are needed and the hard limit (RLIMIT_NOFILE, ulimit -Hn) is %d", n, limit.Max)
	}
	if uint64(limit.Cur) < n { //nolint:unconvert // as above
		setLimit(&limit.Cur, n)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("proc: raise RLIMIT_NOFILE to %d: %w", n, err)
	}
	return nil
}

// setLimit suits those systems too.
func setLimit[T int64 | uint64](limit *T, n uint64) { *limit = T(n) }
