package target

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// startFast serves from one goroutine that waits in epoll, reads what has come and
// writes the answer, without a goroutine for each connection or a deadline.
func startFast(owner *Server) (*serving, error) {
	s := &epollServer{owner: owner, buf: make([]byte, 64<<10)}
	if err := s.open(); err != nil {
		s.free()
		return nil, err
	}
	return &serving{address: s.address, serve: s.serve, stop: s.close}, nil
}

// epollServer belongs to the goroutine that serves, except for close.
type epollServer struct {
	owner   *Server
	address string

	listener, epoll, wake int // descriptors; 0 is none
	conns                 []connection
	buf                   []byte
	// hit is the head that was a hit last. A run's requests are all the same, and
	// comparing them is cheaper than reading them.
	hit    []byte
	closed atomic.Bool
}

// connection has the descriptor that is its index.
type connection struct {
	open bool
	held []byte // the beginning of a request that has not ended yet
}

func (s *epollServer) open() (err error) {
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(s.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err = unix.Listen(s.listener, backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(s.listener)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	bound := name.(*unix.SockaddrInet4)
	s.address = (&net.TCPAddr{IP: bound.Addr[:], Port: bound.Port}).String()
	if s.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	return errors.Join(s.watch(s.listener), s.watch(s.wake))
}

// backlog is how many connections may wait to be accepted; the system has a limit
// of its own, often 4096.
const backlog = 16 << 10

func (s *epollServer) watch(fd int) error {
	err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// close wakes the goroutine that serves; it frees everything.
func (s *epollServer) close() error {
	if s.closed.Swap(true) {
		return nil
	}
	_, err := unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return os.NewSyscallError("write", err)
}

func (s *epollServer) free() {
	for fd, c := range s.conns {
		if c.open {
			unix.Close(fd) //nolint:errcheck // nothing is lost with it
		}
	}
	for _, fd := range []int{s.listener, s.epoll, s.wake} {
		if fd != 0 {
			unix.Close(fd) //nolint:errcheck // as above
		}
	}
}

func (s *epollServer) serve() error {
	defer s.free()
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case s.wake:
				return nil
			case s.listener:
				if err := s.accept(); err != nil {
					return err
				}
			default:
				if !s.talk(fd) {
					s.conns[fd] = connection{}
					s.owner.conns.add(-1)
					unix.Close(fd) //nolint:errcheck // as above; this ends the watch too
				}
			}
		}
	}
}

// accept accepts every connection that waits.
func (s *epollServer) accept() error {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("with %d connections open: %w", s.count(), os.NewSyscallError("accept4", err))
		}
		if fd >= len(s.conns) {
			s.conns = append(s.conns, make([]connection, fd+1-len(s.conns))...)
		}
		s.conns[fd].open = true
		s.owner.conns.add(1)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := s.watch(fd); err != nil {
			return err
		}
	}
}

func (s *epollServer) count() (n int) {
	for _, c := range s.conns {
		if c.open {
			n++
		}
	}
	return n
}

// talk reads once and answers what is complete; false ends the connection.
func (s *epollServer) talk(fd int) (keep bool) {
	n, err := unix.Read(fd, s.buf)
	if err != nil {
		return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
	}
	if n == 0 {
		return false
	}
	c, data := &s.conns[fd], s.buf[:n]
	if c.held == nil && bytes.Equal(data, s.hit) {
		s.owner.hits.Add(1)
		return send(fd, hello)
	}
	if c.held != nil {
		data = append(c.held, data...)
		c.held = nil
	}
	for {
		end := bytes.Index(data, endOfHead)
		if end < 0 {
			break
		}
		head := data[:end+len(endOfHead)]
		reply, last := s.owner.answer(head)
		if !send(fd, reply) || last {
			return false
		}
		if &reply[0] == &hello[0] {
			s.hit = append(s.hit[:0], head...)
		}
		data = data[len(head):]
	}
	if len(data) > 0 {
		c.held = bytes.Clone(data)
	}
	return len(data) < maxHead
}

// send gives up on a connection that does not take a small answer at once: its
// client has sent a great many requests without reading.
func send(fd int, reply []byte) bool {
	n, err := unix.Write(fd, reply)
	return err == nil && n == len(reply)
}
