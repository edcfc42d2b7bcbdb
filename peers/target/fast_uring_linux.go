package target

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The sizes of a server over io_uring. A turn takes no more completions than the
// ring has room to react to, and a buffer holds several requests; more connections
// than there are of either only mean more turns.
const (
	uringEntries = 4096
	uringBuffers = 1024
	uringBuffer  = 2 << 10
)

// startURing serves from one goroutine over io_uring: one system call hands over the
// answers to all requests that have come, and waits for more.
func startURing(owner *Server) (*serving, error) {
	return startURingOf(owner, uringEntries, uringBuffers)
}

func startURingOf(owner *Server, entries uint32, buffers int) (*serving, error) {
	s := &uringServer{requests: requests{owner: owner}}
	if err := s.open(entries, buffers); err != nil {
		return nil, errors.Join(err, s.free())
	}
	return &serving{over: "io_uring", address: s.address, serve: s.serve, stop: s.wake.wake}, nil
}

// uringServer belongs to the goroutine that serves, except for wake.
//
// Each operation has its kind and the descriptor it is about as user data. A
// descriptor is closed after the last completion of what was about it, so its
// number cannot be another connection's before that.
type uringServer struct {
	requests

	address  string
	listener int // 0 is none
	wake     *wakeup
	ring     *uring
	buffers  *buffers
	conns    []uringConnection
	inFlight int   // operations that have not completed for the last time, without sends
	sends    []int // the connections of sends that are queued, or not known to have succeeded
	urgent   bool  // one of them has more to do after it
	stopping bool  // nothing new begins
}

// uringConnection has the descriptor that is its index. The kernel refers to its
// bytes, and not to itself.
type uringConnection struct {
	open      bool
	receiving bool   // a receive is in flight
	ending    bool   // to be closed as soon as nothing is
	shut      bool   // what was received has been told to end
	held      []byte // the beginning of a request that has not ended yet
	sending   []byte // what is being sent: one thing at a time, which keeps their order
	replies   []byte // what is to be sent after that
}

// The kinds of operations, in the upper half of the user data.
const (
	onWake = iota
	onAccept
	onReceive
	onSend
	onCancel
)

func (s *uringServer) open(entries uint32, buffers int) (err error) {
	if s.ring, err = newURing(entries); err != nil {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if s.buffers, err = newBuffers(s.ring, 0, buffers, uringBuffer); err != nil {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	// Neither is non-blocking: the kernel would have operations fail that must wait.
	if s.listener, s.address, err = listen(0); err != nil {
		return err
	}
	s.wake, err = newWakeup()
	return err
}

func (s *uringServer) serve() (err error) {
	// The ring is bound to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() { err = errors.Join(err, s.free()) }()
	if err = s.ring.enable(); err != nil {
		return err
	}
	s.submit(onWake, s.wake.fd, submission{op: ioringOpPollAdd, opFlags: pollEvents(unix.POLLIN)})
	s.accept()
	for err == nil && !s.stopping {
		err = s.turn(1)
	}
	s.stopping = true
	return errors.Join(err, s.drain())
}

// drain ends what is in flight, so that the kernel lets go of the memory and the
// descriptors.
func (s *uringServer) drain() error {
	for s.ring.room() == 0 {
		if err := s.turn(0); err != nil {
			return err
		}
	}
	s.submit(onCancel, -1, submission{op: ioringOpAsyncCancel, opFlags: ioringAsyncCancelAll | ioringAsyncCancelAny})
	for s.inFlight > 0 {
		if err := s.turn(1); err != nil {
			return err
		}
	}
	return nil
}

// free closes everything. If drain has failed, the kernel sees to what is in flight
// when the ring is closed.
func (s *uringServer) free() (err error) {
	if s.buffers != nil {
		err = s.buffers.close()
	}
	if s.ring != nil {
		s.ring.close()
	}
	for fd, c := range s.conns {
		if c.open {
			unix.Close(fd) //nolint:errcheck // nothing is lost with it
		}
	}
	if s.listener != 0 {
		unix.Close(s.listener) //nolint:errcheck // as above
	}
	if s.wake != nil {
		s.wake.close()
	}
	return err
}

func (s *uringServer) submit(kind uint64, fd int, e submission) {
	e.fd, e.user = int32(fd), kind<<32|uint64(uint32(fd))
	s.ring.submit(e)
	if kind != onSend {
		s.inFlight++
	}
}

// turn waits for so many things to happen, unless there is something to do, and
// reacts to them.
func (s *uringServer) turn(wait int) error {
	if s.ring.waiting() || s.urgent {
		wait = 0
	}
	s.urgent = false
	seen := s.ring.end
	if err := s.ring.enter(wait); err != nil {
		return err
	}
	s.settle(seen)
	// A completion is followed by two submissions at the most.
	for s.ring.waiting() && s.ring.room() >= 2 {
		if err := s.react(s.ring.completed()); err != nil {
			return err
		}
	}
	return nil
}

// settle learns what has become of the sends. They never wait (MSG_DONTWAIT), so
// that enter has seen to all that it has taken, and have a completion if they failed
// only: those are looked for among the new ones before anything else is sent.
//
// A send that was cut short has failed (MSG_WAITALL). That is given up: the client
// has sent a great many requests without reading.
func (s *uringServer) settle(seen uint32) {
	for i := seen; i != s.ring.end; i++ {
		if c := s.ring.at(i); c.user>>32 == onSend {
			conn := &s.conns[c.fd()]
			conn.ending, conn.replies = true, nil
		}
	}
	if s.ring.queued > 0 || s.ring.overflowed() {
		s.urgent = true // there are sends, or completions, that are yet to come
		return
	}
	sent := s.sends
	s.sends = s.sends[:0] // refilled from behind: each of sent adds one at the most
	for _, fd := range sent {
		conn := &s.conns[fd]
		more := conn.ending || conn.replies != nil
		if more && s.ring.room() < 2 {
			s.sends, s.urgent = append(s.sends, fd), true
			continue
		}
		conn.sending = nil
		if more {
			s.goOn(fd)
		}
	}
}

func (s *uringServer) react(c completion) error {
	kind := c.user >> 32
	if kind != onSend && !c.more() {
		s.inFlight--
	}
	switch kind {
	case onWake:
		s.stopping = true
	case onAccept:
		return s.accepted(c)
	case onReceive:
		s.received(c.fd(), c)
	}
	return nil
}

// accept accepts every connection from now on.
func (s *uringServer) accept() {
	s.submit(onAccept, s.listener, submission{op: ioringOpAccept, priority: ioringAcceptMultishot, opFlags: unix.SOCK_CLOEXEC})
}

func (s *uringServer) accepted(c completion) error {
	switch err := c.errno(); {
	case err == 0:
		if err := s.take(int(c.result)); err != nil {
			return err
		}
	case s.stopping, err == unix.EINTR, err == unix.ECONNABORTED, err == unix.EAGAIN:
	default:
		return fmt.Errorf("with %d connections open: %w", s.count(), os.NewSyscallError("accept4", err))
	}
	if !c.more() && !s.stopping {
		s.accept()
	}
	return nil
}

// take takes a connection on.
func (s *uringServer) take(fd int) error {
	if fd >= len(s.conns) {
		s.conns = append(s.conns, make([]uringConnection, fd+1-len(s.conns))...)
	}
	s.conns[fd].open = true
	s.owner.conns.add(1)
	if s.stopping {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	s.receive(fd)
	return nil
}

func (s *uringServer) count() (n int) {
	for _, c := range s.conns {
		if c.open {
			n++
		}
	}
	return n
}

// receive reads, into whatever buffer there is, all that comes from now on.
func (s *uringServer) receive(fd int) {
	s.conns[fd].receiving = true
	s.submit(onReceive, fd, submission{
		op: ioringOpRecv, priority: ioringRecvMultishot | ioringRecvsendPollFirst, flags: iosqeBufferSelect, group: s.buffers.group,
	})
}

func (s *uringServer) received(fd int, c completion) {
	conn := &s.conns[fd]
	conn.receiving = c.more()
	if c.flags&ioringCQEFBuffer != 0 {
		id, data := s.buffers.of(c)
		if len(data) > 0 && !conn.ending && !s.stopping {
			conn.ending = !s.talk(conn, data)
		}
		s.buffers.give(id)
	}
	switch c.errno() {
	case 0:
		conn.ending = conn.ending || c.result == 0
	case unix.ENOBUFS, unix.EINTR, unix.EAGAIN: // all buffers were in use; they are back now
	default:
		conn.ending = true
	}
	s.goOn(fd)
}

// talk prepares answers to what is complete; false ends the connection after them.
func (s *uringServer) talk(conn *uringConnection, data []byte) (keep bool) {
	if conn.held != nil {
		data = append(conn.held, data...)
		conn.held = nil
	}
	for len(data) > 0 {
		reply, rest, last := s.next(data)
		if reply == nil {
			conn.held = bytes.Clone(data)
			return len(data) < maxHead
		}
		if conn.replies == nil {
			conn.replies = reply // as nearly always: there is nothing to copy
		} else {
			conn.replies = append(conn.replies, reply...)
		}
		if last {
			return false
		}
		data = rest
	}
	return true
}

// goOn begins what a connection is due: at the most a send and a receive.
func (s *uringServer) goOn(fd int) {
	conn := &s.conns[fd]
	if s.stopping {
		return
	}
	if conn.sending == nil && conn.replies != nil {
		conn.sending, conn.replies = conn.replies, nil
		s.submit(onSend, fd, submission{
			op: ioringOpSend, flags: iosqeCQESkipSuccess, addr: address(conn.sending), size: uint32(len(conn.sending)),
			opFlags: unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL,
		})
		s.sends = append(s.sends, fd)
	}
	if !conn.ending && !conn.receiving {
		s.receive(fd)
	}
	switch {
	case conn.sending != nil: // settle comes back here
		s.urgent = s.urgent || conn.ending || conn.replies != nil
	case !conn.ending:
	case !conn.receiving:
		*conn = uringConnection{}
		s.owner.conns.add(-1)
		unix.Close(fd) //nolint:errcheck // nothing is lost with it
	case !conn.shut:
		// A receive in flight holds the connection open, whatever close does.
		conn.shut = true
		unix.Shutdown(fd, unix.SHUT_RDWR) //nolint:errcheck // it has ended by itself, then
	}
}
