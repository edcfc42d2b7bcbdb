//go:build !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// keepalive is what a net.Dialer asks of the kernel: so many seconds of silence
// before a probe, and between two, and so many probes.
const (
	keepaliveSeconds = 15
	keepaliveProbes  = 9
)

// Dial connects to an IP address within limit. A net.Dialer needs a goroutine with
// a large stack and a good deal of garbage for it, and a run's workers may all dial
// at once; here they wait as for anything else on a ring.
func (r *Ring) Dial(ctx context.Context, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
	remote := net.TCPAddrFromAddrPort(to)
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.ConnectStart != nil {
		trace.ConnectStart("tcp", remote.String())
	}
	for try := 1; ; try++ {
		c, err := r.connect(ctx, remote, limit)
		switch {
		case err != nil:
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: remote, Err: err}
		case c.selfConnected() && try < 3: // as a net.Dialer has it
			c.Close()
		default:
			return c, nil
		}
	}
}

// connect makes one attempt.
func (r *Ring) connect(ctx context.Context, remote *net.TCPAddr, limit time.Duration) (*Conn, error) {
	fd, err := connecting(remote)
	if err != nil {
		return nil, err
	}
	c := &Conn{ring: r, fd: fd, remote: remote}
	c.read.wake = make(chan struct{}, 1)
	if err := r.add(c); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	// Both end at once, if at all.
	expire := func() { _ = c.SetDeadline(past) }
	late := time.AfterFunc(limit, expire)
	done := context.AfterFunc(ctx, expire)
	err = c.establish()
	inTime := late.Stop()
	switch {
	case !done():
		err = ctx.Err()
	case !inTime:
		err = os.ErrDeadlineExceeded
	case err == nil:
		c.local, err = localAddr(fd)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// connecting returns a socket that is being connected.
func connecting(remote *net.TCPAddr) (fd int, err error) {
	family, to := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: remote.Port, Addr: [16]byte(remote.IP.To16())})
	if ip := remote.IP.To4(); ip != nil {
		family, to = syscall.AF_INET, &syscall.SockaddrInet4{Port: remote.Port, Addr: [4]byte(ip)}
	}
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	for _, o := range []struct{ level, name, value int }{
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, keepaliveSeconds},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, keepaliveSeconds},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepaliveProbes},
	} {
		if err = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, o.level, o.name, o.value)); err != nil {
			break
		}
	}
	if err == nil {
		err = os.NewSyscallError("connect", syscall.Connect(fd, to))
	}
	// Interrupted, it goes on none the less.
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) && !errors.Is(err, syscall.EINTR) {
		_ = syscall.Close(fd)
		return 0, err
	}
	return fd, nil
}

// establish waits until c is connected. The writing of nothing waits for that, and
// fails as connecting does.
func (c *Conn) establish() error {
	_, err := c.writeAll([]byte{})
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return os.NewSyscallError("connect", errno)
	}
	return err
}

func localAddr(fd int) (net.Addr, error) {
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: name.Addr[:], Port: name.Port}, nil
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: name.Addr[:], Port: name.Port}, nil
	}
	return nil, os.NewSyscallError("getsockname", syscall.EAFNOSUPPORT)
}

// selfConnected says whether c, on this machine, got the port that it was to
// connect to, on which nobody listens.
func (c *Conn) selfConnected() bool {
	local, remote := c.local.(*net.TCPAddr), c.remote.(*net.TCPAddr)
	return local.Port == remote.Port && local.IP.Equal(remote.IP)
}
