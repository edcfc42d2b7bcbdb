package target

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// wakeup is a descriptor that gets readable when another goroutine wants the one
// that serves to end. It is safe for concurrent use.
type wakeup struct {
	mu sync.Mutex
	fd int // of eventfd(2); 0 when closed
}

func newWakeup() (*wakeup, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &wakeup{fd: fd}, nil
}

// wake does nothing once serving has ended: the number may be another's by then.
func (w *wakeup) wake() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd == 0 {
		return nil
	}
	_, err := unix.Write(w.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return os.NewSyscallError("write", err)
}

func (w *wakeup) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd) //nolint:errcheck // nothing is lost with it
	w.fd = 0
}
