//go:build !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A Ring reads and writes for many connections, by one goroutine: the pump. Others
// queue what they have to send and sleep; the pump writes and reads for all of them
// at once, by one system call where there is an io_uring. System calls and wake-ups
// are what a client in a closed loop can save, and the more connections are busy
// the more it saves.
//
// The pump waits in a private epoll set, whose descriptor waits in Go's network
// poller, so that no thread is held: a thread blocked in epoll_wait would keep a
// server in the same process from running.
//
// Nothing is left to the kernel to do later. A read or write that would have to
// wait is tried again when epoll reports an event.
type Ring struct {
	uring *uring // nil: by a system call for each
	epoll int
	file  *os.File // of epoll, in Go's poller
	raw   syscall.RawConn
	done  chan struct{} // closed when the pump has ended

	mu       sync.Mutex
	queue    []*Conn // have something to send
	parked   bool    // the pump sleeps, or is about to
	stopping bool
	conns    []*Conn // by slot
	free     []int32 // slots
	stamp    int32   // of the connection opened last

	// The pump's own.
	events [32]syscall.EpollEvent
	ready  int // of events
	steps  []step
	wait   func(fd uintptr) bool
}

// step is a read or write that does not wait.
type step struct {
	conn   *Conn
	buf    []byte
	send   bool
	result int32 // bytes, or the negative error number
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// epollEdge is EPOLLET, which package syscall has with the wrong sign.
const epollEdge = 1 << 31

func newRing(plain bool) (*Ring, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(epoll, true); err != nil {
		_ = syscall.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	r := &Ring{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), done: make(chan struct{})}
	r.wait = func(uintptr) bool { return r.poll() }
	if r.raw, err = r.file.SyscallConn(); err == nil {
		err = r.file.SetReadDeadline(time.Time{}) // fails unless the poller has it
	}
	if err != nil {
		r.file.Close()
		return nil, err
	}
	if !plain && !raceDetector {
		// Without one it is still quicker than a goroutine's own reads and writes.
		r.uring, _ = newURing()
	}
	go r.pump() // ends with close
	return r, nil
}

// close ends the pump, when it has done what it was asked for. Connections that
// are still open are good for nothing but to be closed.
func (r *Ring) close() {
	r.mu.Lock()
	r.stopping = true
	for _, c := range r.conns {
		if c != nil {
			c.interrupt(net.ErrClosed)
		}
	}
	r.mu.Unlock()
	_ = r.file.SetReadDeadline(past)
	<-r.done
	r.file.Close()
	if r.uring != nil {
		r.uring.close()
	}
}

func (r *Ring) pump() {
	defer close(r.done)
	for {
		if r.ready == 0 {
			r.poll()
		}
		stopping := r.gather()
		if len(r.steps) > 0 {
			r.perform()
			r.settle()
			// Those that it has woken go first: what they send next is one batch.
			runtime.Gosched()
			continue
		}
		if stopping {
			return // nobody waits for a step, and nobody can queue one
		}
		if r.park() {
			_ = r.raw.Read(r.wait) // until there are events, or close
			r.mu.Lock()
			r.parked = false
			r.mu.Unlock()
		}
	}
}

// poll asks for events, and reports whether there are any.
func (r *Ring) poll() bool {
	// It does not wait, nor does what the uring is asked for: so Go's scheduler need
	// not know, which otherwise takes the pump for stuck and wakes a thread to
	// replace it. That costs a quarter of all CPU time at 10 connections.
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.epoll),
		uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), 0, 0, 0)
	r.ready = 0
	if errno == 0 { // otherwise the next time will tell
		r.ready = int(n)
	}
	return r.ready > 0
}

// park reports whether the pump may sleep.
func (r *Ring) park() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parked = len(r.queue) == 0 && !r.stopping
	return r.parked
}

// gather makes steps of the events and the queue, and says whether these are the
// last.
func (r *Ring) gather() (stopping bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.events[:r.ready] {
		e := &r.events[i]
		c := r.conns[e.Fd]
		if c == nil || c.stamp != e.Pad {
			continue // closed meanwhile
		}
		if e.Events&^syscall.EPOLLOUT != 0 {
			c.readable = true
			c.ending = c.ending || e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0
			r.receive(c)
		}
		if e.Events&^syscall.EPOLLIN != 0 {
			c.writable = true
			if c.write.state == opWaiting {
				r.send(c)
			}
		}
	}
	r.ready = 0
	for i, c := range r.queue {
		r.send(c)
		r.queue[i] = nil
	}
	r.queue = r.queue[:0]
	return r.stopping
}

// receive adds a step if somebody waits for it. The caller holds mu.
func (r *Ring) receive(c *Conn) {
	if c.read.state != opWaiting || !c.readable {
		return
	}
	c.read.state, c.readable = opUnderWay, false
	buf := c.read.buf
	if c.in != nil {
		buf = c.in.Room(0)
	}
	r.steps = append(r.steps, step{conn: c, buf: buf})
}

// send adds a step. The caller holds mu.
func (r *Ring) send(c *Conn) {
	c.write.state, c.writable = opUnderWay, false
	r.steps = append(r.steps, step{conn: c, buf: c.write.buf[c.write.n:], send: true})
}

// perform does the steps.
func (r *Ring) perform() {
	done := 0
	if r.uring != nil {
		done = r.uring.perform(r.steps)
	}
	for i := range r.steps[done:] {
		r.steps[done+i].perform()
	}
}

func (s *step) perform() {
	call := syscall.Read
	if s.send {
		call = syscall.Write
	}
	n, err := uninterrupted(call, s.conn.fd, s.buf)
	if errno, ok := err.(syscall.Errno); ok { //nolint:errorlint // a bare number, and nothing allocated
		n = -int(errno)
	}
	s.result = int32(n)
}

// settle tells what the steps came to.
func (r *Ring) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.steps {
		s := &r.steps[i]
		if s.send {
			s.conn.sent(s.result)
		} else {
			s.conn.received(s.result, len(s.buf))
		}
		*s = step{}
	}
	r.steps = r.steps[:0]
}

// uninterrupted calls again what a signal has interrupted.
func uninterrupted(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		if n, err := call(fd, p); err != syscall.EINTR { //nolint:errorlint // a bare number
			return n, err
		}
	}
}
