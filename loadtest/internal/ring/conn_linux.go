//go:build !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A Conn is a TCP connection that a [Ring] reads and writes. One goroutine may
// read while another one writes; others may close it or set its deadline meanwhile.
type Conn struct {
	ring          *Ring
	fd            int
	slot, stamp   int32
	local, remote net.Addr

	// Guarded by ring.mu.
	read, write     operation
	readable        bool // epoll has said so, and there was no read since
	ending          bool // epoll has said that the peer has closed, so that reads never wait
	writable        bool // epoll has said so, and there was no write since
	expired, closed bool
	both            bool          // the reader waits for the write too
	gone            chan struct{} // closed when nothing is under way, if Close waits for that

	// Where a read goes is decided when there is something to read, so that
	// connections that wait have no buffer.
	in *Buffer // nil: read.buf
}

type operation struct {
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

// Adopt returns a connection that replaces conn, which it closes. It returns conn
// itself if that is not a TCP connection of package net, or if there is no ring.
func (g *Group) Adopt(conn net.Conn) (net.Conn, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn, nil
	}
	r := g.Pick()
	if r == nil {
		return conn, nil
	}
	c := &Conn{ring: r, local: tcp.LocalAddr(), remote: tcp.RemoteAddr()}
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

func (r *Ring) add(c *Conn) error {
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
func (r *Ring) remove(c *Conn) {
	r.conns[c.slot] = nil
	r.free = append(r.free, c.slot)
}

// refusal is why c takes no more. The caller holds mu.
func (c *Conn) refusal() error {
	switch {
	case c.closed, c.ring.stopping:
		return net.ErrClosed
	case c.expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Exchange writes out and then reads once into in, waking the caller once. If it
// is wary, it writes nothing to a connection that the peer has closed, or on which
// the peer has sent something unasked. Neither out nor in is touched after it has
// returned.
func (c *Conn) Exchange(out []byte, in *Buffer, wary bool) (wrote, read int, err error) {
	r := c.ring
	r.mu.Lock()
	err = c.refusal()
	if err == nil && (wary || c.readable) {
		err = c.peek()
	}
	if err != nil {
		r.mu.Unlock()
		return 0, 0, c.opError("write", err)
	}
	c.both = true
	c.in = in
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
func (o *operation) start(buf []byte) { *o = operation{state: opWaiting, buf: buf, wake: o.wake} }

// post has out written by the pump or, if that sleeps, says that the caller must.
// The caller holds mu.
func (c *Conn) post(out []byte) (direct bool) {
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
func (c *Conn) writeDirectly() {
	r := c.ring
	r.mu.Lock()
	for try := true; try; try = c.write.state == opWaiting && c.writable {
		c.write.state, c.writable = opUnderWay, false
		s := step{conn: c, buf: c.write.buf[c.write.n:], send: true}
		r.mu.Unlock()
		s.perform()
		r.mu.Lock()
		c.sent(s.result)
	}
	r.mu.Unlock()
}

// Peek reports what is wrong with a connection on which nothing is expected: io.EOF
// if the peer has closed it, [ErrUnasked] if it has sent something, or nil.
func (c *Conn) Peek() error {
	c.ring.mu.Lock()
	defer c.ring.mu.Unlock()
	err := c.refusal()
	if err == nil {
		err = c.peek()
	}
	return c.opError("read", err)
}

// peek finds out whether the peer has closed the connection or sent something.
// The caller holds mu.
func (c *Conn) peek() error {
	for {
		n, _, err := syscall.Recvfrom(c.fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR: // a bare number
			continue
		case err == syscall.EAGAIN: // as above
			c.readable = c.ending
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.EOF
		}
		return ErrUnasked
	}
}

// sent takes the result of a write. The caller holds mu, as for all below.
func (c *Conn) sent(result int32) {
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
func (c *Conn) received(result int32, size int) {
	o := &c.read
	switch {
	case result > 0:
		o.n = int(result)
		c.readable = c.readable || c.ending || o.n == size
	case result == 0:
		o.err = io.EOF
	case syscall.Errno(-result) == syscall.EAGAIN:
		if c.in != nil && c.in.Empty() {
			c.in.Free()
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
func (c *Conn) settle() {
	if c.both {
		if c.read.state == opNone && c.write.state == opNone {
			c.both = false
			c.in, c.write.buf = nil, nil
			c.read.wake <- struct{}{}
		}
	} else {
		c.read.signal()
		c.write.signal()
	}
	if c.gone != nil && c.read.state != opUnderWay && c.write.state != opUnderWay {
		close(c.gone)
		c.gone = nil
	}
}

// signal wakes the one that waits for o, once.
func (o *operation) signal() {
	if o.state == opNone && o.buf != nil {
		o.buf = nil
		o.wake <- struct{}{}
	}
}

// interrupt ends what waits for epoll.
func (c *Conn) interrupt(err error) {
	for _, o := range []*operation{&c.read, &c.write} {
		if o.state == opWaiting {
			o.state, o.err = opNone, err
		}
	}
	c.settle()
}

// Read reads what there is, or waits for it.
func (c *Conn) Read(p []byte) (int, error) {
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
		s := step{conn: c, buf: p}
		s.perform()
		r.mu.Lock()
		c.received(s.result, len(p))
	}
	r.mu.Unlock()
	<-c.read.wake
	return c.read.n, c.opError("read", c.read.err)
}

// Write writes all of p.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.writeAll(p)
	return n, c.opError("write", err)
}

// writeAll is Write, also of nothing, which waits until the connection can be written
// to.
func (c *Conn) writeAll(p []byte) (int, error) {
	r := c.ring
	r.mu.Lock()
	if err := c.refusal(); err != nil {
		r.mu.Unlock()
		return 0, err
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
	return c.write.n, c.write.err
}

// SetDeadline supports two deadlines: one that has passed, which ends all reading
// and writing, and the zero time, which is none. Any other is os.ErrNoDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	if !t.IsZero() && time.Until(t) > 0 {
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
func (c *Conn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline is not supported.
func (c *Conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// Close ends what goes on, and then closes the connection.
func (c *Conn) Close() error {
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
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is that of the connection.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // as net.Conn
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
