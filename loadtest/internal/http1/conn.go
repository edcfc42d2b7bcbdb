package http1

import (
	"net"
	"time"

	"example.com/brunt/loadtest/internal/ring"
)

// conn is a connection to one host.
type conn struct {
	net.Conn             // what requests go over: TCP, TLS, or whatever was dialed
	tcp      net.Conn    // what was dialed
	key      string      // of the host, as in Request
	fast     exchanger   // nil: by Write and Read
	buffered bool        // the kernel takes a short request whether the peer reads or not
	used     bool        // has carried a request
	expiry   *time.Timer // pending while a pool has it; nil if none ever had
}

// exchanger is a connection that has a quicker way to write and then read once.
type exchanger interface {
	Exchange(out []byte, in *ring.Buffer, wary bool) (wrote, read int, err error)
}

// dialed returns the connection below all wrapping by this package.
func (c *conn) dialed() net.Conn { return c.tcp.(*trackedConn).Conn }

// exchange writes out, and then reads once. If it is wary and can find out, it
// sends nothing over a connection that the peer has closed, or on which it has
// sent something unasked.
func (c *conn) exchange(out []byte, in *ring.Buffer, wary bool) (wrote, read int, err error) {
	if c.fast != nil {
		return c.fast.Exchange(out, in, wary)
	}
	if wrote, err = c.send(out, wary); err != nil {
		return wrote, 0, err
	}
	read, err = c.Read(in.Room(0))
	return wrote, read, err
}

// send is exchange without the reading.
func (c *conn) send(out []byte, wary bool) (int, error) {
	if wary {
		if err := c.peek(); err != nil {
			return 0, err
		}
	}
	return c.Write(out)
}

// expire ends all reading and writing.
func (c *conn) expire() {
	if c.SetDeadline(past) != nil {
		c.tcp.Close()
	}
}

// close closes the connection. An orderly end of TLS says so to the peer, which
// can take seconds if the peer does not listen.
func (c *conn) close(orderly bool) {
	if orderly {
		c.Close()
	}
	c.tcp.Close()
}
