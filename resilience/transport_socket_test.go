package resilience

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// transportListen starts a server on a real socket and counts the connections it
// accepts.
func transportListen(tb testing.TB, handler http.HandlerFunc) (url string, conns *atomic.Int32) {
	tb.Helper()
	conns = new(atomic.Int32)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	tb.Cleanup(server.Close)
	return server.URL, conns
}

func transportFast(tb testing.TB, attempts int) *RetryPolicy {
	tb.Helper()
	p, err := NewRetryPolicy(RetryConfig{
		MaxAttempts: attempts, BaseDelay: time.Microsecond, MaxDelay: time.Millisecond, RetryBudget: NoBudget,
	})
	require.NoError(tb, err)
	return p
}

// A library left the bodies of failed attempts unread and open: ten calls of
// (503, 503, 200) took 21 connections, and goroutines stayed behind.
func TestTransportPeerBug18RetryBodiesClosed(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		var served atomic.Int32
		url, conns := transportListen(t, func(w http.ResponseWriter, _ *http.Request) {
			if served.Add(1)%3 != 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = io.WriteString(w, strings.Repeat("x", 5000))
			if chunked {
				_ = http.NewResponseController(w).Flush()
				_, _ = io.WriteString(w, "more")
			}
		})
		tr := NewTransport(TransportConfig{Retry: transportFast(t, 3), Limiter: transportLimiter(t, 1), Breaker: transportBreaker(t, 1000)})
		client := &http.Client{Transport: tr}
		for range 10 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			require.NoError(t, err)
			resp, err := client.Do(req)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		require.Equal(t, int32(30), served.Load())
		require.Equal(t, int32(1), conns.Load(), "connections, chunked %v", chunked)
		client.CloseIdleConnections() // TestMain looks for what stays behind
	}
}

// Contexts of attempts were canceled before the body was read, or shared
// between calls.
func TestTransportPeerBug21BodyOutlivesRoundTrip(t *testing.T) {
	const size = 1 << 20
	var served atomic.Int32
	url, _ := transportListen(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1)%2 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for sent := 0; sent < size || r.URL.Path == "/endless"; sent += 1024 {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return // the client has gone
			}
		}
	})
	tr := NewTransport(TransportConfig{Retry: transportFast(t, 3)})
	defer tr.CloseIdleConnections()
	first, cancelFirst := context.WithCancel(t.Context())
	bodies := map[string]io.ReadCloser{}
	for path, ctx := range map[string]context.Context{"/endless": first, "/": t.Context()} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		bodies[path] = resp.Body
	}
	cancelFirst()
	n, err := io.Copy(io.Discard, bodies["/"])
	require.NoError(t, err, "canceling one call leaves the other alone")
	require.Equal(t, int64(size), n)
	_, err = io.Copy(io.Discard, bodies["/endless"])
	require.ErrorIs(t, err, context.Canceled, "and does end its own")
}

// The standard library's client, redirects and bodies included, works on top.
func TestTransportUnderHTTPClient(t *testing.T) {
	var attempts atomic.Int32
	url, _ := transportListen(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case attempts.Add(1)%2 == 1:
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		default:
			_, _ = w.Write(body)
		}
	})
	tr := NewTransport(TransportConfig{Retry: transportFast(t, 2), Limiter: transportLimiter(t, 1)})
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader("payload"))
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "payload", string(text))
	require.Equal(t, int32(4), attempts.Load())
}

func BenchmarkTransport(b *testing.B) {
	url, _ := transportListen(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	base := &http.Transport{MaxIdleConnsPerHost: 10}
	defer base.CloseIdleConnections()
	for _, row := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", base},
		{"all", NewTransport(TransportConfig{Base: base, Retry: transportFast(b, 3), Limiter: transportLimiter(b, 10), Breaker: transportBreaker(b, 5)})},
	} {
		b.Run("wrap="+row.name, func(b *testing.B) {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := row.rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
