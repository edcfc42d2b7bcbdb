package wake

import (
	"os"
	"syscall"
	"time"

	"example.com/brunt/loadtest/internal/ring"
)

// A timerFD lets one goroutine sleep until a timerfd(2) expires, in Go's poller. To
// set it is the only call: that takes back what was there to read, and the poller,
// which is told of changes alone, needs no read.
type timerFD struct {
	file   *os.File
	raw    syscall.RawConn
	called func() bool // whether sleep is to end early

	d   time.Duration // of the sleep under way; 0 once the timer is set
	set func(fd uintptr) bool
	now func(fd uintptr)
}

// newTimerFD returns nil if there is none to be had.
func newTimerFD(called func() bool) *timerFD {
	fd, err := ring.NewTimerFD()
	if err != nil {
		return nil
	}
	t := &timerFD{file: os.NewFile(uintptr(fd), "timerfd"), called: called}
	t.set = t.setOnce
	t.now = func(fd uintptr) { _ = ring.SetTimerFD(fd, 1) } // which it has taken before
	t.raw, err = t.file.SyscallConn()
	if err != nil || t.file.SetDeadline(time.Time{}) != nil || ring.SetTimerFD(uintptr(fd), time.Hour) != nil {
		t.file.Close() // the poller does not take it, or a sandbox forbids to set it
		return nil
	}
	return t
}

// sleep returns after d, which is above 0, or when called, or for no reason.
func (t *timerFD) sleep(d time.Duration) {
	t.d = d
	_ = t.raw.Read(t.set) // fails if it is closed, which called tells too
}

// setOnce is called before the goroutine waits in the poller, and after that.
func (t *timerFD) setOnce(fd uintptr) (done bool) {
	d := t.d
	t.d = 0
	// Whoever calls says so first and wakes then: either it is seen here, or the
	// timer is set to now after it was set to d.
	return d == 0 || ring.SetTimerFD(fd, d) != nil || t.called()
}

// wake ends the sleep under way.
func (t *timerFD) wake() { _ = t.raw.Control(t.now) } // fails if it is closed

// close ends the sleep under way as well.
func (t *timerFD) close() error { return t.file.Close() }
