package loadtest

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

func TestOnlyPlainHTTP1BypassesTransport(t *testing.T) {
	protocols := func(f func(*http.Protocols)) *http.Protocols { p := new(http.Protocols); f(p); return p }
	h1 := protocols(func(p *http.Protocols) { p.SetHTTP1(true) })
	h2c := protocols(func(p *http.Protocols) { p.SetHTTP1(true); p.SetUnencryptedHTTP2(true) })
	both := protocols(func(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) })
	for _, tt := range []struct {
		reason string
		url    string
		conn   ConnectionConfig
		want   bool
	}{
		{"the default", "http://h/", ConnectionConfig{}, true},
		{"TLS may become HTTP/2", "https://h/", ConnectionConfig{}, false},
		{"TLS with HTTP/1.1 only", "https://h/", ConnectionConfig{Protocols: h1}, true},
		{"TLS with both", "https://h/", ConnectionConfig{Protocols: both}, false},
		{"HTTP/1.1 only", "http://h/", ConnectionConfig{Protocols: h1}, true},
		{"unencrypted HTTP/2", "http://h/", ConnectionConfig{Protocols: h2c}, false},
		{"naive", "http://h/", ConnectionConfig{Pooling: PoolNaive}, false},
		{"limited", "http://h/", ConnectionConfig{MaxConnections: 1}, false},
		{"limited by host", "http://h/", ConnectionConfig{MaxKeepaliveConnections: 1}, false},
		{"redirects", "http://h/", ConnectionConfig{MaxRedirects: 1}, false},
		{"decompression", "http://h/", ConnectionConfig{Decompress: true}, false},
		{"international name", "http://bücher.test/", ConnectionConfig{}, false},
	} {
		u, err := url.Parse(tt.url)
		require.NoError(t, err)
		require.Equal(t, tt.want, (&httpClient{cfg: tt.conn}).canGoDirectly(u), tt.reason)
	}
}

func TestWorkersShareConnectionsToSeveralHosts(t *testing.T) {
	fixtures.NoLeaks(t)
	a, b := fixtures.NewServer(t), fixtures.NewServer(t)
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		t.Run(name, func(t *testing.T) {
			a.ResetCounters()
			b.ResetCounters()
			e := Start(t, cfg)
			for range 2 {
				r, err := e.Run(t.Context(), Times(200, Get(a.URL+"/get"), Get(b.URL+"/get"), Get(b.URL+"/status/204")))
				require.NoError(t, err)
				require.EqualValues(t, 200, r.SuccessCount, r.String())
			}
			require.LessOrEqual(t, a.Connections(), int64(8))
			require.LessOrEqual(t, b.Connections(), int64(8))
		})
	}
}

// oneShot answers one request on each connection as if it would keep it, and
// closes it.
func oneShot(hits *atomic.Int64) func(net.Conn) {
	return func(c net.Conn) {
		if readRequest(c) {
			hits.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

func TestConnectionsThatTheServerClosedWhileIdleAreNoErrors(t *testing.T) {
	fixtures.NoLeaks(t)
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		var hits atomic.Int64
		target := rawServer(t, oneShot(&hits))
		r, err := Start(t, cfg).Run(t.Context(), Times(100, Get(target)))
		require.NoError(t, err)
		require.EqualValues(t, 100, r.SuccessCount, "%s: %v", name, r)
		require.EqualValues(t, 100, hits.Load(), "and none is sent twice")
		require.GreaterOrEqual(t, r.ConnectionsOpened, int64(100))
	}
}

func TestRequestsThatMustNotBeRepeatedAreNot(t *testing.T) {
	fixtures.NoLeaks(t)
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		// The second request on a connection is read, and never answered.
		var hits atomic.Int64
		target := rawServer(t, func(c net.Conn) {
			for i := range 2 {
				if !readRequest(c) {
					return
				}
				hits.Add(1)
				if i == 0 {
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}
		})
		post := &Request{Method: http.MethodPost, URL: target}
		r, err := Start(t, cfg).Run(t.Context(), Times(100, post))
		require.NoError(t, err)
		require.EqualValues(t, 100, hits.Load(), "%s: every request arrives once", name)
		require.Positive(t, r.ErrorCount)
		require.Equal(t, r.ErrorCount, r.Errors[ClassEOF]+r.Errors[ClassReset], r.String())

		hits.Store(0)
		keyed := &Request{Method: http.MethodPost, URL: target, Body: []byte(strings.Repeat("x", 10)), Header: http.Header{"Idempotency-Key": {"k"}}}
		r, err = Start(t, cfg).Run(t.Context(), Times(20, keyed))
		require.NoError(t, err)
		require.EqualValues(t, 20, r.SuccessCount, "one that says it may be repeated is: %v", r)
	}
}
