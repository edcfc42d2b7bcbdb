package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// netDialer returns the dialer of a client whose Config has none. It runs on a
// goroutine of its own: dialing needs twice the stack of all else, and a worker's
// stack would stay that large.
func (c *Client) netDialer() DialFunc {
	dialer := &net.Dialer{Timeout: c.cfg.Timeout}
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() { // ends with the dialing, which heeds ctx
			defer close(done)
			conn, err = dialer.DialContext(ctx, network, addr)
		}()
		<-done
		return conn, err
	}
}

// ringDialer returns a dialer whose connections are served by the client's rings, as
// far as there are any; dial is for names, which a ring does not resolve.
func (c *Client) ringDialer(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if to, err := netip.ParseAddrPort(addr); err == nil && to.Addr().Zone() == "" {
			if r := c.rings.Pick(); r != nil {
				return r.Dial(ctx, to, c.cfg.Timeout)
			}
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return c.rings.Adopt(conn)
	}
}

// connect dials for r, a request of which clock measures the phases. The error is an
// *Error.
func (c *Client) connect(ctx context.Context, r *Request, clock *PhaseClock) (*conn, error) {
	var phase atomic.Uint32 // a Phase; dialing may try addresses side by side
	phase.Store(uint32(PhasePool))
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) {
			phase.CompareAndSwap(uint32(PhasePool), uint32(PhaseDNS))
			clock.Dialing(PhaseDNS)
		},
		ConnectStart: func(_, _ string) {
			phase.Store(uint32(PhaseConnect))
			clock.Dialing(PhaseConnect)
		},
	})
	dial := c.dialPlain
	if r.secure {
		dial = c.dialSecure
	}
	dialed, err := dial(traced, "tcp", r.addr)
	if err != nil {
		// A dialer keeps the deadline itself, and may see it before ctx does.
		if d, ok := ctx.Deadline(); ok && time.Until(d) <= 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.DeadlineExceeded
		}
		return nil, &Error{Phase(phase.Load()), err}
	}
	cn := &conn{Conn: dialed, tcp: dialed, key: r.key}
	switch inner := cn.dialed().(type) {
	case *net.TCPConn, *net.UnixConn:
		cn.buffered = true
		if c.cfg.Codec == Parse && !r.secure {
			cn.fast = newRawConn(inner)
		}
	case exchanger: // a ring's
		cn.buffered, cn.fast = true, inner
	}
	if r.secure {
		clock.Enter(PhaseTLS)
		if cn.Conn, err = c.handshake(ctx, dialed, r.host); err != nil {
			dialed.Close()
			return nil, &Error{PhaseTLS, err}
		}
	}
	return cn, nil
}

// handshake makes a TLS connection of dialed, which speaks HTTP/1.1 only.
func (c *Client) handshake(ctx context.Context, dialed net.Conn, host string) (net.Conn, error) {
	cfg := new(tls.Config)
	if c.cfg.TLS != nil {
		cfg = c.cfg.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"}
	limited, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errHandshake)
	defer cancel()
	secure := tls.Client(dialed, cfg)
	if err := secure.HandshakeContext(limited); err != nil {
		if errors.Is(context.Cause(limited), errHandshake) {
			err = errHandshake
		}
		return nil, err
	}
	return secure, nil
}

// errHandshake is the error of a handshake that takes longer than Config.Timeout.
var errHandshake error = handshakeTimeout{}

type handshakeTimeout struct{}

func (handshakeTimeout) Error() string { return "loadtest: TLS handshake timeout" }
func (handshakeTimeout) Timeout() bool { return true }

// Temporary reports true, as net.Error asks: another attempt may be quicker.
func (handshakeTimeout) Temporary() bool { return true }
