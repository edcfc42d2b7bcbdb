//go:build unix

package http1

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
	"example.com/brunt/loadtest/internal/ring"
)

// What is wrong with a connection on which nothing is expected has its cause.
func TestPeek(t *testing.T) {
	l := rawserver.Listen(t)
	defer l.Close()
	for name, tt := range map[string]struct {
		change func(net.Conn)
		want   error
	}{
		"closed":      {func(c net.Conn) { c.Close() }, io.EOF},
		"half closed": {func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }, io.EOF},
		"spoke":       {func(c net.Conn) { _, _ = io.WriteString(c, "x") }, ring.ErrUnasked},
		"reset":       {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }, syscall.ECONNRESET},
	} {
		client, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		server, err := l.Accept()
		require.NoError(t, err)
		c := &conn{Conn: client, tcp: &trackedConn{Conn: client}}
		require.NoError(t, c.peek(), name)
		tt.change(server)
		require.Eventually(t, func() bool { err = c.peek(); return err != nil }, 30*time.Second, time.Microsecond, name)
		require.ErrorIs(t, err, tt.want, name)
		client.Close()
		require.ErrorIs(t, c.peek(), net.ErrClosed, name)
		server.Close()
	}
	require.NoError(t, (&conn{tcp: &trackedConn{Conn: struct{ net.Conn }{}}}).peek(), "it cannot be asked")
}
