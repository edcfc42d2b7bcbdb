//go:build unix

package loadtest

import (
	"errors"
	"io"
	"syscall"

	"example.com/brunt/loadtest/internal/ring"
)

// canPeek says whether peek looks.
const canPeek = true

// peek says what is wrong with a connection on which nothing is expected: that
// the peer has closed it, or said something unasked. It sees that of connections
// of the operating system.
func (c *wireConn) peek() error {
	if c, ok := c.dialed().(interface{ Peek() error }); ok { // a ring's
		return c.Peek()
	}
	conn, ok := c.dialed().(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := conn.SyscallConn()
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
