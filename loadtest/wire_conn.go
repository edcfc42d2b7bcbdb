package loadtest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/ring"
)

// wireConn is a connection to one host.
type wireConn struct {
	net.Conn          // what requests go over: TCP, TLS, or whatever was dialed
	tcp      net.Conn // what was dialed
	key      string
	fast     exchanger // nil: by Write and Read
	buffered bool      // the kernel takes a short request whether the peer reads or not
	used     bool      // has carried a request
}

// exchanger is a connection that has a quicker way to write and then read once.
type exchanger interface {
	Exchange(out []byte, in *ring.Buffer, wary bool) (wrote, read int, err error)
}

// dialed is the connection below all wrapping of ours.
func (c *wireConn) dialed() net.Conn { return c.tcp.(*trackedConn).Conn }

// exchange writes out, and then reads once. If it is wary and can find out, it
// sends nothing over a connection that the peer has closed, or on which it has
// said something unasked.
func (c *wireConn) exchange(out []byte, in *ring.Buffer, wary bool) (wrote, read int, err error) {
	if c.fast != nil {
		return c.fast.Exchange(out, in, wary)
	}
	if wary {
		if err = c.peek(); err != nil {
			return 0, 0, err
		}
	}
	if wrote, err = c.Write(out); err != nil {
		return wrote, 0, err
	}
	read, err = c.Read(in.Room(0))
	return wrote, read, err
}

// expire ends all reading and writing.
func (c *wireConn) expire() {
	if c.SetDeadline(past) != nil {
		c.tcp.Close()
	}
}

// close closes the connection. An orderly end of TLS says so to the peer, which
// can take time if the peer does not listen.
func (c *wireConn) close(orderly bool) {
	if orderly {
		c.Close()
	}
	c.tcp.Close()
}

// connector opens connections that speak HTTP/1.1.
type connector struct {
	dial    dialFunc
	clear   dialFunc      // for connections without TLS
	timeout time.Duration // of a TLS handshake, and of a dial by a ring
	tls     *tls.Config
	fast    bool // by fastConn, where there is one
}

func newConnector(cfg ConnectionConfig, conns *connections) connector {
	timeout := cmp.Or(cfg.Timeout, defaultConnTimeout)
	c := connector{dial: conns.wrap(cfg.dialer(timeout)), timeout: timeout, tls: cfg.TLS}
	if cfg.DialContext == nil {
		c.dial = aside(c.dial)
	}
	c.clear = c.dial
	return c
}

// over has connections without TLS, of our own dialer's, served by g. Those that
// the user has dialed may be in the user's hands still.
func (c *connector) over(g *ring.Group, cfg ConnectionConfig, conns *connections) {
	if cfg.DialContext != nil {
		return
	}
	timeout, dial := c.timeout, cfg.dialer(c.timeout)
	named := aside(conns.wrap(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return g.Adopt(conn)
	}))
	c.clear = func(ctx context.Context, network, addr string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(addr)
		if err != nil || to.Addr().Zone() != "" {
			return named(ctx, network, addr)
		}
		r := g.Pick()
		if r == nil {
			return named(ctx, network, addr)
		}
		return conns.wrap(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return r.Dial(ctx, to, timeout)
		})(ctx, network, addr)
	}
}

// connect dials for r. The error is a PhaseError.
func (c *connector) connect(ctx context.Context, r *wireRequest) (*wireConn, error) {
	var phase atomic.Uint32 // a Phase; dialing may try addresses side by side
	phase.Store(uint32(PhasePool))
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { phase.CompareAndSwap(uint32(PhasePool), uint32(PhaseDNS)) },
		ConnectStart: func(_, _ string) { phase.Store(uint32(PhaseConnect)) },
	})
	dial := c.clear
	if r.secure {
		dial = c.dial
	}
	conn, err := dial(traced, "tcp", r.addr)
	if err != nil {
		// A dialer keeps the deadline itself, and may see it before ctx does.
		if d, ok := ctx.Deadline(); ok && time.Until(d) <= 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.DeadlineExceeded
		}
		return nil, &PhaseError{Phase(phase.Load()), err}
	}
	wc := &wireConn{Conn: conn, tcp: conn, key: r.key}
	switch inner := wc.dialed().(type) {
	case *net.TCPConn, *net.UnixConn:
		wc.buffered = true
		if c.fast && !r.secure {
			wc.fast = newFastConn(inner)
		}
	case exchanger: // a ring's
		wc.buffered, wc.fast = true, inner
	}
	if r.secure {
		if wc.Conn, err = c.handshake(ctx, conn, r.host); err != nil {
			conn.Close()
			return nil, &PhaseError{PhaseTLS, err}
		}
	}
	return wc, nil
}

// aside has dial run on a goroutine of its own: it needs twice the stack of all
// else, which a worker that has grown it for once would keep.
func aside(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		done := make(chan struct{})
		go func() { // ends with dial, which heeds ctx
			defer close(done)
			conn, err = dial(ctx, network, addr)
		}()
		<-done
		return conn, err
	}
}

// handshake makes a TLS connection of conn, which speaks HTTP/1.1 only.
func (c *connector) handshake(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	cfg := new(tls.Config)
	if c.tls != nil {
		cfg = c.tls.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"}
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, errHandshake)
	defer cancel()
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(limited); err != nil {
		if errors.Is(context.Cause(limited), errHandshake) {
			err = errHandshake
		}
		return nil, err
	}
	return secure, nil
}

// errHandshake is the error of a handshake that takes longer than Conn.Timeout.
var errHandshake error = handshakeTimeout{}

type handshakeTimeout struct{}

func (handshakeTimeout) Error() string { return "loadtest: TLS handshake timeout" }
func (handshakeTimeout) Timeout() bool { return true }

// Temporary reports true, as net.Error asks: another attempt may be quicker.
func (handshakeTimeout) Temporary() bool { return true }
