//go:build unix

package http1

import (
	"errors"
	"io"
	"syscall"

	"example.com/brunt/loadtest/internal/ring"
)

// CanPeek reports whether a connection between two requests shows that the server has
// closed it.
const CanPeek = true

// peek returns what is wrong with a connection on which nothing is expected: the peer
// has closed it, or has sent something. It sees that of connections of the operating
// system only.
func (c *conn) peek() error {
	if c, ok := c.dialed().(interface{ Peek() error }); ok { // a ring's
		return c.Peek()
	}
	socket, ok := c.dialed().(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var wrong error
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		case err != nil:
			wrong = err
		case n == 0:
			wrong = io.EOF
		default:
			wrong = ring.ErrUnasked
		}
		return true
	})
	return errors.Join(err, wrong)
}
