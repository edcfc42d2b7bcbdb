package target

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// startEpoll serves from one goroutine that waits in epoll, reads what has come and
// writes the answer, without a goroutine for each connection or a deadline.
func startEpoll(owner *Server) (*serving, error) {
	s := &epollServer{requests: requests{owner: owner}, buf: make([]byte, 64<<10)}
	if err := s.open(); err != nil {
		s.free()
		return nil, err
	}
	return &serving{over: "epoll", address: s.address, serve: s.serve, stop: s.wake.wake}, nil
}

// epollServer belongs to the goroutine that serves, except for wake.
type epollServer struct {
	requests

	address         string
	listener, epoll int // descriptors; 0 is none
	wake            *wakeup
	conns           []epollConnection
	buf             []byte
}

// epollConnection has the descriptor that is its index.
type epollConnection struct {
	open bool
	held []byte // the beginning of a request that has not ended yet
}

func (s *epollServer) open() (err error) {
	if s.listener, s.address, err = listen(unix.SOCK_NONBLOCK); err != nil {
		return err
	}
	if s.wake, err = newWakeup(); err != nil {
		return err
	}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	return errors.Join(s.watch(s.listener), s.watch(s.wake.fd))
}

func (s *epollServer) watch(fd int) error {
	err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

func (s *epollServer) free() {
	for fd, c := range s.conns {
		if c.open {
			unix.Close(fd) //nolint:errcheck // nothing is lost with it
		}
	}
	for _, fd := range []int{s.listener, s.epoll} {
		if fd != 0 {
			unix.Close(fd) //nolint:errcheck // as above
		}
	}
	if s.wake != nil {
		s.wake.close()
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
			case s.wake.fd:
				return nil
			case s.listener:
				if err := s.accept(); err != nil {
					return err
				}
			default:
				if !s.talk(fd) {
					s.conns[fd] = epollConnection{}
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
			s.conns = append(s.conns, make([]epollConnection, fd+1-len(s.conns))...)
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
	if c.held != nil {
		data = append(c.held, data...)
		c.held = nil
	}
	for len(data) > 0 {
		reply, rest, last := s.next(data)
		if reply == nil {
			c.held = bytes.Clone(data)
			return len(data) < maxHead
		}
		if !send(fd, reply) || last {
			return false
		}
		data = rest
	}
	return true
}

// send gives up on a connection that does not take a small answer at once: its
// client has sent a great many requests without reading.
func send(fd int, reply []byte) bool {
	n, err := unix.Write(fd, reply)
	return err == nil && n == len(reply)
}
