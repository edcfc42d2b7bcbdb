//go:build !(mips || mipsle || mips64 || mips64le)

package loadtest

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// ringConn is a TCP connection whose reading and writing a ring does. It is safe
// to close and to expire beside a reader and a writer, of which there may be one
// each.
type ringConn struct {
	ring          *ring
	fd            int
	slot, stamp   int32
	local, remote net.Addr

	// Guarded by ring.mu.
	read, write     ringOp
	readable        bool // epoll has said so, and there was no read since
	ending          bool // epoll has said that the peer has closed, so that reads never wait
	writable        bool // epoll has said so, and there was no write since
	expired, closed bool
	both            bool          // the reader waits for the write too
	gone            chan struct{} // closed when nothing is under way, if Close waits for that

	// Where a read goes is decided when there is something to read, so that
	// connections that wait have no buffer.
	in     *window // nil: read.buf
	parser *wireParser
}

type ringOp struct {
	state opState
	buf   []byte
	n     int
	err   error
	wake  chan struct{} // of one, to the goroutine that waits
}

type opState uint8

const (
	opNone     opState = iota
	opWaiting          // for epoll
	opUnderWay         // queued, or being done
)

// adopt returns a connection that takes the place of conn, which has been closed,
// or conn if there is no ring for it.
func (g *rings) adopt(conn net.Conn) (net.Conn, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn, nil
	}
	r := g.pick()
	if r == nil {
		return conn, nil
	}
	c := &ringConn{ring: r, local: tcp.LocalAddr(), remote: tcp.RemoteAddr()}
	c.read.wake = make(chan struct{}, 1)
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		var n uintptr
		n, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
		c.fd = int(n)
	}); err != nil || errno != 0 {
		return conn, nil // with the last descriptor there is, say
	}
	// The Go poller must not wake up for what is the ring's.
	conn.Close()
	if err := r.add(c); err != nil {
		_ = syscall.Close(c.fd)
		return nil, err
	}
	return c, nil
}

func (r *ring) add(c *ringConn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return net.ErrClosed // the epoll set's number may be something else's soon
	}
	if n := len(r.free); n > 0 {
		c.slot, r.free = r.free[n-1], r.free[:n-1]
	} else {
		c.slot = int32(len(r.conns))
		r.conns = append(r.conns, nil)
	}
	r.stamp++
	c.stamp = r.stamp
	r.conns[c.slot] = c
	err := syscall.EpollCtl(r.epoll, syscall.EPOLL_CTL_ADD, c.fd, &syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | epollEdge, Fd: c.slot, Pad: c.stamp,
	})
	if err != nil {
		r.remove(c)
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// remove frees c's slot. The caller holds mu.
func (r *ring) remove(c *ringConn) {
	r.conns[c.slot] = nil
	r.free = append(r.free, c.slot)
}

// refusal is why c takes no more. The caller holds mu.
func (c *ringConn) refusal() error {
	switch {
	case c.closed, c.ring.stopping:
		return net.ErrClosed
	case c.expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// exchange is that of wireConn.
func (c *ringConn) exchange(out []byte, in *window, p *wireParser, wary bool) (wrote, read int, err error) {
	r := c.ring
	r.mu.Lock()
	err = c.refusal()
	if err == nil && (wary || c.readable) {
		err = c.look()
	}
	if err != nil {
		r.mu.Unlock()
		return 0, 0, c.opError("write", err)
	}
	c.both = true
	c.in, c.parser = in, p
	c.read.start(nil)
	direct := c.post(out)
	r.mu.Unlock()
	if direct {
		c.writeDirectly()
	}
	<-c.read.wake
	// Nothing touches either until the next call.
	wrote, read, err = c.write.n, c.read.n, c.read.err
	if c.write.err != nil && read == 0 {
		return wrote, 0, c.opError("write", c.write.err)
	}
	return wrote, read, c.opError("read", err)
}

// start makes o wait for epoll.
func (o *ringOp) start(buf []byte) { *o = ringOp{state: opWaiting, buf: buf, wake: o.wake} }

// post has out written by the pump or, if that sleeps, says that the caller must.
// The caller holds mu.
func (c *ringConn) post(out []byte) (direct bool) {
	c.write.start(out)
	c.write.state = opUnderWay
	if c.ring.parked {
		return true
	}
	c.ring.queue = append(c.ring.queue, c)
	return false
}

// writeDirectly does what the pump would have to be woken for. An event meanwhile
// calls for another try.
func (c *ringConn) writeDirectly() {
	r := c.ring
	r.mu.Lock()
	for try := true; try; try = c.write.state == opWaiting && c.writable {
		c.write.state, c.writable = opUnderWay, false
		s := ringStep{conn: c, buf: c.write.buf[c.write.n:], send: true}
		r.mu.Unlock()
		s.perform()
		r.mu.Lock()
		c.sent(s.result)
	}
	r.mu.Unlock()
}

// peek is that of wireConn.
func (c *ringConn) peek() error {
	c.ring.mu.Lock()
	defer c.ring.mu.Unlock()
	err := c.refusal()
	if err == nil {
		err = c.look()
	}
	return c.opError("read", err)
}

// look finds out whether the peer has closed the connection or spoken unasked.
// The caller holds mu.
func (c *ringConn) look() error {
	for {
		n, _, err := syscall.Recvfrom(c.fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR: //nolint:errorlint // a bare number
			continue
		case err == syscall.EAGAIN: //nolint:errorlint // as above
			c.readable = c.ending
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.EOF
		}
		return errUnasked
	}
}

// sent takes the result of a write. The caller holds mu, as for all below.
func (c *ringConn) sent(result int32) {
	w := &c.write
	switch {
	case result >= 0:
		w.n += int(result)
		if w.n == len(w.buf) {
			break
		}
		fallthrough // the kernel's buffer is full
	case syscall.Errno(-result) == syscall.EAGAIN:
		w.state = opWaiting
		if w.err = c.refusal(); w.err == nil {
			return
		}
	default:
		w.err = os.NewSyscallError("write", syscall.Errno(-result))
	}
	w.state = opNone
	if w.err != nil && c.both && c.read.state == opWaiting {
		c.read.state = opNone // there is nothing to wait for
	}
	c.settle()
}

// received takes the result of a read into size bytes.
func (c *ringConn) received(result int32, size int) {
	o := &c.read
	switch {
	case result > 0:
		o.n = int(result)
		c.readable = c.readable || c.ending || o.n == size
	case result == 0:
		o.err = io.EOF
	case syscall.Errno(-result) == syscall.EAGAIN:
		if c.in != nil && c.in.empty() {
			c.in.free()
		}
		o.state = opWaiting
		o.err = c.refusal()
		if o.err == nil && (!c.both || c.write.err == nil) { // as in sent
			return
		}
	default:
		o.err = os.NewSyscallError("read", syscall.Errno(-result))
	}
	o.state = opNone
	c.settle()
}

// settle wakes whoever has got what it waits for.
func (c *ringConn) settle() {
	if c.both {
		if c.read.state == opNone && c.write.state == opNone {
			c.both = false
			c.in, c.parser, c.write.buf = nil, nil, nil
			c.read.wake <- struct{}{}
		}
	} else {
		c.read.tell()
		c.write.tell()
	}
	if c.gone != nil && c.read.state != opUnderWay && c.write.state != opUnderWay {
		close(c.gone)
		c.gone = nil
	}
}

// tell wakes the one that waits for o, once.
func (o *ringOp) tell() {
	if o.state == opNone && o.buf != nil {
		o.buf = nil
		o.wake <- struct{}{}
	}
}

// interrupt ends what waits for epoll.
func (c *ringConn) interrupt(err error) {
	for _, o := range []*ringOp{&c.read, &c.write} {
		if o.state == opWaiting {
			o.state, o.err = opNone, err
		}
	}
	c.settle()
}

// Read reads what there is, or waits for it.
func (c *ringConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r := c.ring
	r.mu.Lock()
	if err := c.refusal(); err != nil {
		r.mu.Unlock()
		return 0, c.opError("read", err)
	}
	c.read.start(p)
	for try := true; try; try = c.read.state == opWaiting && c.readable {
		// At once, as what there is may have been announced already. An event
		// meanwhile calls for another look.
		c.read.state, c.readable = opUnderWay, false
		r.mu.Unlock()
		s := ringStep{conn: c, buf: p}
		s.perform()
		r.mu.Lock()
		c.received(s.result, len(p))
	}
	r.mu.Unlock()
	<-c.read.wake
	return c.read.n, c.opError("read", c.read.err)
}

// Write writes all of p.
func (c *ringConn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r := c.ring
	r.mu.Lock()
	if err := c.refusal(); err != nil {
		r.mu.Unlock()
		return 0, c.opError("write", err)
	}
	if c.write.wake == nil {
		c.write.wake = make(chan struct{}, 1)
	}
	direct := c.post(p)
	r.mu.Unlock()
	if direct {
		c.writeDirectly()
	}
	<-c.write.wake
	return c.write.n, c.opError("write", c.write.err)
}

// SetDeadline knows two deadlines: one that has passed, and none.
func (c *ringConn) SetDeadline(t time.Time) error {
	if !t.IsZero() && t.After(past) {
		return os.ErrNoDeadline
	}
	c.ring.mu.Lock()
	defer c.ring.mu.Unlock()
	if c.expired = !t.IsZero(); c.expired {
		c.interrupt(os.ErrDeadlineExceeded)
	}
	return nil
}

// SetReadDeadline is not supported.
func (c *ringConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline is not supported.
func (c *ringConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// Close ends what goes on, and then closes the connection.
func (c *ringConn) Close() error {
	r := c.ring
	r.mu.Lock()
	if c.closed {
		r.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	c.interrupt(net.ErrClosed)
	var gone chan struct{}
	if c.read.state == opUnderWay || c.write.state == opUnderWay {
		// The descriptor may be another connection's as soon as it is closed.
		gone = make(chan struct{})
		c.gone = gone
	}
	r.mu.Unlock()
	if gone != nil {
		<-gone
	}
	r.mu.Lock()
	r.remove(c)
	r.mu.Unlock()
	return os.NewSyscallError("close", syscall.Close(c.fd)) // which ends epoll's watch too
}

// LocalAddr is that of the connection.
func (c *ringConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is that of the connection.
func (c *ringConn) RemoteAddr() net.Addr { return c.remote }

func (c *ringConn) opError(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // as net.Conn
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
