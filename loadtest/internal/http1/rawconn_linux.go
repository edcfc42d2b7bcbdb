package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"example.com/brunt/loadtest/internal/ring"
)

// rawConn writes and reads a socket of package net. It saves the read that every net.Conn.Read begins with and that fails,
// as a response cannot have come by the time its request has been written. It
// writes inside of a read: RawConn.Read first arms the network poller, then calls
// step, which writes and says that it must wait; the poller wakes it when the
// response is there. To write before RawConn.Read would not do: arming drops an
// event that has already happened.
//
// So it drops the news that the peer has closed the connection meanwhile, too.
// A peer that closes answers the request with a reset, which wakes step. One that
// only shuts down its side, goes on reading and says nothing would not be noticed
// before the request's time is up; hence wary, which reads
// first, for connections that have been idle and requests that must not be sent
// in vain.
type rawConn struct {
	conn interface {
		net.Conn
		syscall.Conn
	}
	raw  syscall.RawConn
	step func(fd uintptr) bool // f.next

	out         []byte
	in          *ring.Buffer
	wary        bool
	asked       bool // out has been written
	wrote, read int
	err         error
}

// Over Unix sockets, a request takes 0.92 of the CPU time that Write and Read take, the
// server in the same process included, at 10 and at 100 connections.
func newRawConn(conn net.Conn) exchanger {
	f := &rawConn{}
	var ok bool
	if f.conn, ok = conn.(interface {
		net.Conn
		syscall.Conn
	}); !ok {
		return nil
	}
	var err error
	if f.raw, err = f.conn.SyscallConn(); err != nil {
		return nil
	}
	f.step = f.next
	return f
}

// Exchange does what conn.exchange does.
func (f *rawConn) Exchange(out []byte, in *ring.Buffer, wary bool) (wrote, read int, err error) {
	f.out, f.in, f.wary = out, in, wary
	f.asked, f.wrote, f.read, f.err = false, 0, 0, nil
	err = f.raw.Read(f.step)
	f.out, f.in = nil, nil
	switch {
	case err != nil:
		return f.wrote, 0, err
	case f.err == nil && f.wrote < len(out):
		// The kernel's buffer is full, which is rare: wait in the common way.
		n, err := f.conn.Write(out[f.wrote:])
		if wrote = f.wrote + n; err != nil {
			return wrote, 0, err
		}
		read, err = f.conn.Read(in.Room(0))
		return wrote, read, err
	}
	return f.wrote, f.read, f.err
}

// next does what can be done without waiting, and reports whether that was all.
func (f *rawConn) next(fd uintptr) bool {
	if f.wary {
		f.wary = false
		if f.receive(int(fd)) {
			if f.read > 0 {
				f.read, f.err = 0, ring.ErrUnasked
			}
			return true
		}
	}
	if !f.asked {
		f.asked = true
		return f.ask(int(fd))
	}
	return f.receive(int(fd))
}

// ask writes the request, and reports whether that went wrong or is not all yet.
func (f *rawConn) ask(fd int) bool {
	n, err := uninterrupted(syscall.Write, fd, f.out)
	f.wrote = max(n, 0)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		f.err = f.opError("write", err)
		return true
	}
	return f.wrote < len(f.out)
}

// receive reads, and reports whether there was anything to be read: bytes, the end
// or an error.
func (f *rawConn) receive(fd int) bool {
	n, err := uninterrupted(syscall.Read, fd, f.in.Room(0))
	switch {
	case err == nil && n > 0:
		f.read = n
	case err == nil:
		f.err = io.EOF
	case errors.Is(err, syscall.EAGAIN):
		f.in.Free()
		return false
	default:
		f.err = f.opError("read", err)
	}
	return true
}

func uninterrupted(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		if n, err := call(fd, p); err == nil || !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}

func (f *rawConn) opError(op string, err error) error {
	return &net.OpError{
		Op: op, Net: f.conn.LocalAddr().Network(), Source: f.conn.LocalAddr(), Addr: f.conn.RemoteAddr(),
		Err: os.NewSyscallError(op, err),
	}
}
