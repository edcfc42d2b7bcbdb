package ring

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

const clockMonotonic = 1

// NewTimerFD returns a descriptor of timerfd_create(2) on the clock that package time
// measures with, for Go's poller: it does not block.
func NewTimerFD() (fd int, err error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("timerfd_create", errno)
	}
	return int(n), nil
}

// SetTimerFD makes fd readable once, d from now, whatever it was set to and whether it
// has been read or not. d must be above 0.
func SetTimerFD(fd uintptr, d time.Duration) error {
	setting := struct{ interval, value syscall.Timespec }{value: syscall.NsecToTimespec(int64(d))} // struct itimerspec
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("timerfd_settime", errno)
	}
	return nil
}
