//go:build linux && !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
)

// dialByRing connects to addr by a ring of g's.
func dialByRing(ctx context.Context, t *testing.T, g *Group, addr string, limit time.Duration) (*Conn, error) {
	t.Helper()
	to, err := netip.ParseAddrPort(addr)
	require.NoError(t, err)
	r := g.Pick()
	require.NotNil(t, r)
	conn, err := r.Dial(ctx, to, limit)
	if err != nil {
		return nil, err
	}
	return conn.(*Conn), nil
}

// A connection that a ring has made is one as net's Dialer makes it.
func TestRingDialsAsNetDoes(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, plain := range []bool{false, true} {
			l, err := net.Listen("tcp", listen) //nolint:noctx // loopback
			if err != nil && listen != "127.0.0.1:0" {
				t.Logf("no IPv6: %v", err)
				continue
			}
			require.NoError(t, err)
			defer l.Close()
			g := &Group{Plain: plain}
			c, err := dialByRing(t.Context(), t, g, l.Addr().String(), time.Minute)
			require.NoError(t, err)
			peer, err := l.Accept()
			require.NoError(t, err)
			require.Equal(t, peer.RemoteAddr().String(), c.LocalAddr().String())
			require.Equal(t, l.Addr().String(), c.RemoteAddr().String())

			want := socketOptions(t, l.Addr().String())
			var got []int
			for _, o := range dialOptions {
				v, err := syscall.GetsockoptInt(c.fd, o[0], o[1])
				require.NoError(t, err)
				got = append(got, v)
			}
			require.Equal(t, want, got, "TCP_NODELAY, SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT")

			_, err = c.Write([]byte("hello"))
			require.NoError(t, err)
			buf := make([]byte, 5)
			_, err = io.ReadFull(peer, buf)
			require.NoError(t, err)
			require.Equal(t, "hello", string(buf))
			require.NoError(t, peer.Close())
			_, err = c.Read(buf)
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, c.Close())
			g.Close()
		}
	}
}

var dialOptions = [][2]int{
	{syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
	{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
}

// socketOptions are those of a connection that net's Dialer has made.
func socketOptions(t *testing.T, addr string) (values []int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback
	require.NoError(t, err)
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		for _, o := range dialOptions {
			v, err := syscall.GetsockoptInt(int(fd), o[0], o[1])
			if err != nil {
				t.Error(err)
			}
			values = append(values, v)
		}
	}))
	return values
}

func TestRingDialFails(t *testing.T) {
	addr := rawserver.Deaf(t)
	for _, plain := range []bool{false, true} {
		g := &Group{Plain: plain}
		var op *net.OpError

		_, err := dialByRing(t.Context(), t, g, addr, time.Millisecond)
		require.ErrorAs(t, err, &op)
		require.True(t, op.Timeout())
		require.EqualError(t, err, "dial tcp "+addr+": i/o timeout")

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err = dialByRing(ctx, t, g, addr, time.Minute)
		require.ErrorIs(t, err, context.Canceled)

		_, err = dialByRing(ctx, t, g, addr, time.Minute) // canceled before
		require.ErrorIs(t, err, context.Canceled)

		for _, nobody := range []string{"127.0.0.1:1", "[::1]:1"} {
			_, want := net.Dial("tcp", nobody) //nolint:noctx // loopback
			_, err = dialByRing(t.Context(), t, g, nobody, time.Minute)
			require.EqualError(t, err, want.Error())
		}
		for _, r := range g.all {
			for _, c := range r.conns {
				require.Nil(t, c)
			}
		}
		r := g.Pick()
		g.Close()
		require.Nil(t, g.Pick())
		_, err = r.Dial(t.Context(), netip.MustParseAddrPort(addr), time.Minute)
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

func TestRingConnThatTalksToItself(t *testing.T) {
	at := func(addr string) *net.TCPAddr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }
	require.True(t, (&Conn{local: at("127.0.0.1:40000"), remote: at("127.0.0.1:40000")}).selfConnected())
	require.False(t, (&Conn{local: at("127.0.0.1:40000"), remote: at("127.0.0.1:40001")}).selfConnected())
	require.False(t, (&Conn{local: at("127.0.0.2:40000"), remote: at("127.0.0.1:40000")}).selfConnected())
}
