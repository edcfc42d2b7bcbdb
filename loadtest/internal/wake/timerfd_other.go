//go:build !linux

package wake

import "time"

// A timerFD is for Linux only.
type timerFD struct{}

func newTimerFD(func() bool) *timerFD { return nil }

func (*timerFD) sleep(time.Duration) {}
func (*timerFD) wake()               {}
func (*timerFD) close() error        { return nil }
