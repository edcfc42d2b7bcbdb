package loadtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/internal/http1"
)

// respond answers whatever is read from l's connections with text, and
// allocates nothing for it.
func respond(tb testing.TB, l net.Listener, text string) {
	tb.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { // ends when the client closes the connection
				defer c.Close()
				buf, out := make([]byte, 64<<10), []byte(text)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
}

func listenOn(tb testing.TB, network, addr string) net.Listener {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), network, addr)
	if err != nil && network == "unix" {
		tb.Skip("this system has no unix sockets: ", err)
	}
	require.NoError(tb, err)
	return l
}

// An answer as a plain Go server gives it.
var typicalResponse = "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nContent-Length: 12\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello, world"

func TestWireAllocatesNothing(t *testing.T) {
	pipe := newPipes()
	listeners := map[string]net.Listener{
		"tcp":    listenOn(t, "tcp", "127.0.0.1:0"),
		"memory": pipe,
	}
	if runtime.GOOS != "windows" {
		listeners["unix"] = listenOn(t, "unix", filepath.Join(t.TempDir(), "s"))
	}
	for network, l := range listeners {
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			if l == net.Listener(pipe) {
				return pipe.dial(ctx, network, addr)
			}
			return new(net.Dialer).DialContext(ctx, l.Addr().Network(), l.Addr().String())
		}
		t.Run(network, func(t *testing.T) {
			respond(t, l, typicalResponse)
			allocatesNothing(t, dial, Get("http://h/"))
			if network != "memory" { // there a body is written beside the reading
				allocatesNothing(t, dial, Post("http://h/", "text/plain", make([]byte, 1000)))
			}
			allocatesNothing(t, dial, Get("http://h/a"), Get("http://h/b"), &Request{Method: http.MethodPut, URL: "http://h/c"})
		})
	}
	for name, text := range map[string]string{
		"chunked": chunked + strings.Repeat("3e8\r\n"+strings.Repeat("x", 1000)+"\r\n", 20) + "0\r\nA: b\r\n\r\n",
		"long":    fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n%0100000d", 1),
		"error":   "HTTP/1.1 500 Sorry\r\nConnection: keep-alive\r\nTrailer: x\r\nContent-Length: 0\r\n\r\n",
		"interim": "HTTP/1.1 103 Early Hints\r\n\r\n" + typicalResponse,
	} {
		t.Run(name, func(t *testing.T) {
			l := listenOn(t, "tcp", "127.0.0.1:0")
			respond(t, l, text)
			allocatesNothing(t, nil, Get("http://"+l.Addr().String()+"/"))
		})
	}
}

func allocatesNothing(t *testing.T, dial http1.DialFunc, reqs ...*Request) {
	t.Helper()
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	s := wireSessionOf(t, ConnectionConfig{DialContext: dial})
	require.Zero(t, testing.AllocsPerRun(500, func() {
		for _, req := range reqs {
			if _, err := s.Do(t.Context(), req); err != nil {
				t.Error(err)
			}
		}
	}))
}

// BenchmarkWire is what a request costs over either client, in one process with
// a responder that knows no HTTP.
//
// What the engine's own measuring takes of it is best seen with the server in another
// process: in peers,
//
//	go run ./cmd/benchpeers -mode outside -rounds 1 -duration 4s -connections 10,100 -only brunt-wire-threaded -cpuprofile DIR
//
// On an Intel Xeon with 2 CPUs, one of them for the client, the profiles of 4 s each say:
//
//	                                                 10 conns   100 conns
//	(*ring).pump: reading and writing                  86.6 %      85.8 %
//	(*wireSession).Do: request, response, waking up     5.8 %       5.6 %
//	the rest of (*worker).loop: clock, recorder, feed   2.6 %       4.8 %
//	Go's scheduler, its poller, and the collector       5.0 %       3.8 %
//
// of 5.6 and 4.2 µs a request, and more than three quarters of it in the kernel.
func BenchmarkWire(b *testing.B) {
	for _, conns := range []int{1, 10, 100} {
		for _, client := range []struct {
			name string
			make func(ConnectionConfig) Client
		}{{"nethttp", NetHTTP}, {"wire", Wire}} {
			b.Run(fmt.Sprintf("conns=%d/client=%s", conns, client.name), func(b *testing.B) {
				l := listenOn(b, "tcp", "127.0.0.1:0")
				respond(b, l, typicalResponse)
				b.ReportAllocs()
				Bench(b, Start(b, ThreadedConfig{MaxWorkers: conns, Client: client.make(ConnectionConfig{})}), Get("http://"+l.Addr().String()+"/"))
			})
		}
	}
}
