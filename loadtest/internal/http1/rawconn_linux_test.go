package http1

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
	"example.com/brunt/loadtest/internal/ring"
)

// exchangeWith sends out to a server of its own by a rawConn, and returns what came of it.
func exchangeWith(t *testing.T, serve func(net.Conn), out []byte, wary bool) (wrote int, read string, err error) {
	t.Helper()
	l := rawserver.Listen(t)
	defer l.Close()
	var served sync.WaitGroup
	defer served.Wait() // after all is closed
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	server, err := l.Accept()
	require.NoError(t, err)
	defer server.Close()
	if wary { // it has happened before
		serve(server)
		require.Eventually(t, func() bool { return (&conn{Conn: c, tcp: &trackedConn{Conn: c}}).peek() != nil }, 30*time.Second, time.Microsecond)
	} else {
		served.Go(func() { serve(server) }) // ends when the connections are closed
	}
	var in ring.Buffer
	defer in.Free()
	wrote, n, err := newRawConn(c).Exchange(out, &in, wary)
	in.Filled(n)
	return wrote, string(in.Bytes()), err
}

// A request that the kernel takes at once is followed by a read, and so is one that it
// does not.
func TestRawConnWritesAllAndReads(t *testing.T) {
	for _, size := range []int{1, 16 << 20} {
		wrote, read, err := exchangeWith(t, func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, int64(size))
			_, _ = io.WriteString(c, "answer")
		}, make([]byte, size), false)
		require.NoError(t, err)
		require.Equal(t, size, wrote)
		require.Equal(t, "answer", read, size)
	}
}

func TestRawConnFails(t *testing.T) {
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		size  int
		wary  bool
		want  error // nil: any
		some  bool  // was written
	}{
		"spoke before":       {func(c net.Conn) { _, _ = io.WriteString(c, "x") }, 1, true, ring.ErrUnasked, false},
		"closed before":      {func(c net.Conn) { c.Close() }, 1, true, io.EOF, false},
		"closed after":       {func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 1)); c.Close() }, 1, false, io.EOF, true},
		"reset in the midst": {func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, 1)); _ = c.(*net.TCPConn).SetLinger(0); c.Close() }, 16 << 20, false, nil, true}, // by EPIPE or ECONNRESET
	} {
		wrote, read, err := exchangeWith(t, tt.serve, make([]byte, tt.size), tt.wary)
		require.Error(t, err, name)
		if tt.want != nil {
			require.ErrorIs(t, err, tt.want, name)
		}
		require.Empty(t, read, name)
		require.Equal(t, tt.some, wrote > 0, name)
	}
}

func TestInterruptedCallsAreRepeated(t *testing.T) {
	for _, want := range []error{nil, io.EOF} {
		calls := 0
		n, err := uninterrupted(func(fd int, p []byte) (int, error) {
			require.Equal(t, 7, fd)
			if calls++; calls < 3 {
				return -1, syscall.EINTR
			}
			require.Equal(t, 3, calls)
			return len(p), want
		}, 7, make([]byte, 5))
		require.Equal(t, []any{3, 5, want}, []any{calls, n, err})
	}
}
