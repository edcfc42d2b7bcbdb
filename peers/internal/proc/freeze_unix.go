//go:build unix

package proc

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Freeze stops every thread of a process for d, and tells how long it really was.
func Freeze(p *os.Process, d time.Duration) (took time.Duration, err error) {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return took, fmt.Errorf("proc: stop a process: %w", err)
	}
	began := time.Now()
	time.Sleep(d)
	err = p.Signal(syscall.SIGCONT)
	took = time.Since(began)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return took, fmt.Errorf("proc: continue a process: %w", err)
	}
	return took, nil
}
