// Package rawserver has servers for tests of HTTP clients: those of TCP, which send what
// the test writes byte by byte, and one that speaks the protocol that it is told to.
package rawserver

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Start serves each connection by serve, closes it then, and returns the server's
// URL. When the test ends, so do the server and its connections.
func Start(tb testing.TB, serve func(net.Conn)) string {
	tb.Helper()
	l := Listen(tb)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { // ends with serve, at the latest when the test does
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				serve(c)
			})
		}
	})
	tb.Cleanup(func() {
		cancel()
		l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String() + "/"
}

// Listen listens on a free port of 127.0.0.1. The caller closes the listener.
func Listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// ReadRequest reads to the blank line that ends a request without a body, and
// reports whether it came.
func ReadRequest(c net.Conn) bool {
	var got []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(got, []byte("\r\n\r\n")) {
		n, err := c.Read(buf)
		if err != nil {
			return false
		}
		got = append(got, buf[:n]...)
	}
	return true
}

// Hang reads until the client closes the connection, and says nothing.
func Hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// Deaf returns the address of a listener to which connections do not come about:
// its backlog is full. It skips the test on systems other than Linux.
func Deaf(tb testing.TB) string {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("elsewhere a full backlog refuses connections")
	}
	l := Listen(tb).(*net.TCPListener)
	tb.Cleanup(func() { l.Close() })
	raw, err := l.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var listened error
	if err := raw.Control(func(fd uintptr) { listened = relisten(fd) }); err != nil || listened != nil {
		tb.Fatal(err, listened)
	}
	for { // the kernel takes one or two more than its backlog
		c, err := (&net.Dialer{Timeout: 100 * time.Millisecond}).DialContext(tb.Context(), "tcp", l.Addr().String())
		if err != nil {
			return l.Addr().String()
		}
		tb.Cleanup(func() { c.Close() })
	}
}
