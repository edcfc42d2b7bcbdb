//go:build linux && !(mips || mipsle || mips64 || mips64le)

package loadtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// ringConns dials the server by a ring, with io_uring or without.
func ringConn1(t *testing.T, g *rings, addr string) *ringConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback
	require.NoError(t, err)
	conn, err = g.adopt(conn)
	require.NoError(t, err)
	require.IsType(t, &ringConn{}, conn)
	return conn.(*ringConn)
}

func TestRingServesManyConnections(t *testing.T) {
	for _, plain := range []bool{false, true} {
		fixtures.NoLeaks(t)
		srv := fixtures.NewServer(t)
		client := Wire(ConnectionConfig{})
		client.(*wireClient).rings.plain = plain
		engine := Start(t, AsyncConfig{MaxConcurrent: 50, Client: client})
		res, err := engine.Run(t.Context(), Times(5000, Get(srv.URL+"/bytes/10000"), Get(srv.URL+"/get"), Post(srv.URL+"/get", "text/plain", []byte("x"))))
		require.NoError(t, err)
		require.EqualValues(t, 5000, res.SuccessCount, "%v", res)
		require.EqualValues(t, 50, srv.Connections())
		require.NoError(t, engine.Close(t.Context()))
		engine = Start(t, AsyncConfig{MaxConcurrent: 1, Client: Wire(ConnectionConfig{})})
		require.NoError(t, engine.Close(t.Context()))
	}
}

// A ring's connection reads and writes as any other: streams longer than the
// kernel's buffers, both ways at once, to the end.
func TestRingConnCarriesLongStreams(t *testing.T) {
	for _, plain := range []bool{false, true} {
		fixtures.NoLeaks(t)
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
		require.NoError(t, err)
		served := make(chan struct{})
		go func() { // ends when the connection does
			defer close(served)
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			c.Close()
		}()
		g := &rings{plain: plain}
		c := ringConn1(t, g, l.Addr().String())
		text := strings.Repeat("0123456789abcdef", 1<<19) // 8 MiB
		wrote := make(chan error, 1)
		go func() { // ends with the write
			_, err := io.WriteString(c, text)
			wrote <- err
		}()
		got := make([]byte, len(text))
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.NoError(t, <-wrote)
		same := text == string(got) // a diff of megabytes helps nobody
		require.True(t, same)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		<-served
		g.close()
		l.Close()
	}
}

// Close and an expired deadline end a read and a write that wait.
func TestRingConnEndsWhatWaits(t *testing.T) {
	for name, end := range map[string]func(*ringConn){
		"close":  func(c *ringConn) { c.Close() },
		"expire": func(c *ringConn) { _ = c.SetDeadline(past) },
	} {
		fixtures.NoLeaks(t)
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
		require.NoError(t, err)
		g := &rings{}
		c := ringConn1(t, g, l.Addr().String())
		errs := make(chan error, 2)
		go func() { // ends with end
			_, err := c.Read(make([]byte, 10))
			errs <- err
		}()
		go func() { // as above: nobody reads what it writes
			_, err := c.Write(make([]byte, 64<<20))
			errs <- err
		}()
		time.Sleep(10 * time.Millisecond) // in most runs, both wait by now
		end(c)
		for range 2 {
			var opErr *net.OpError
			require.ErrorAs(t, <-errs, &opErr, name)
		}
		c.Close()
		g.close()
		l.Close()
	}
}

// Where there is no ring any more, connections are what they were.
func TestRingAdoptsNothingAfterClose(t *testing.T) {
	srv := fixtures.NewServer(t)
	g := &rings{}
	g.close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://")) //nolint:noctx // loopback
	require.NoError(t, err)
	defer conn.Close()
	same, err := g.adopt(conn)
	require.NoError(t, err)
	require.Same(t, conn, same)
}

// A request to a server that never answers ends with its context.
func TestRingHonoursCancellation(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/hang", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })))
	client := Wire(ConnectionConfig{})
	s, err := client.Session()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = s.Do(ctx, Get(srv.URL+"/hang"))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	require.NoError(t, client.Close())
}
