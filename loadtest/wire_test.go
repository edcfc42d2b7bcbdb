package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/ring"
)

// wireSessionOf opens a session of a client that the test closes.
func wireSessionOf(t *testing.T, cfg ConnectionConfig) *wireSession {
	t.Helper()
	c := Wire(cfg)
	s, err := c.Session()
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
	})
	return s.(*wireSession)
}

// answering serves each request on a connection with the next of texts, and
// closes the connection after the last.
func answering(texts ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, text := range texts {
			if !readRequest(c) {
				return
			}
			_, _ = io.WriteString(c, text)
		}
	}
}

// forever is answering with one text without end.
func forever(text string) func(net.Conn) {
	return func(c net.Conn) {
		for readRequest(c) {
			_, _ = io.WriteString(c, text)
		}
	}
}

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestWireRefusesWhatOnlyNetHTTPDoes(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	protocols := func(f func(*http.Protocols)) *http.Protocols { p := new(http.Protocols); f(p); return p }
	for field, conn := range map[string]ConnectionConfig{
		"Transport":               {Transport: http.DefaultTransport},
		"Proxy":                   {Proxy: http.ProxyFromEnvironment},
		"Jar":                     {Jar: jar},
		"MaxRedirects":            {MaxRedirects: 1},
		"Decompress":              {Decompress: true},
		"MaxConnections":          {MaxConnections: 1},
		"MaxKeepaliveConnections": {MaxKeepaliveConnections: 1},
		"Protocols":               {Protocols: protocols(func(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) })},
		"Protocols other":         {Protocols: protocols(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })},
	} {
		_, err := NewAsyncEngine(AsyncConfig{Client: Wire(conn)})
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, "Wire has no "+field)
		require.ErrorContains(t, err, "use NetHTTP")
		c := Wire(conn)
		_, err = c.Session()
		require.ErrorIs(t, err, ErrConfig)
		require.NoError(t, c.Close())
	}
	err = Wire(ConnectionConfig{Timeout: -1, Decompress: true, MaxRedirects: 2}).(ConfigValidator).Validate()
	require.ErrorContains(t, err, "Timeout is -1ns")
	require.ErrorContains(t, err, "Decompress")
	require.ErrorContains(t, err, "MaxRedirects")
	require.NoError(t, Wire(ConnectionConfig{Protocols: protocols(func(p *http.Protocols) { p.SetHTTP1(true) })}).(ConfigValidator).Validate())

	e := Start(t, SyncConfig{Client: Wire(ConnectionConfig{})})
	for _, r := range []*Request{nil, Get("ftp://h/"), {Method: http.MethodConnect, URL: "http://h/"}, Get("http://bücher.test/")} {
		_, err := e.Run(t.Context(), Times(1, r))
		require.ErrorIs(t, err, ErrInvalidRequest)
	}
	s := wireSessionOf(t, ConnectionConfig{})
	for _, u := range []string{"http://bad host/", "http://bücher.test/"} {
		_, err = s.Do(t.Context(), Get(u))
		require.Equal(t, ClassInvalid, classify(err), "%v", err)
	}
	_, err = s.Do(t.Context(), &Request{URL: "http://h/", Header: http.Header{"Host": {"a b\x00"}}})
	require.Equal(t, ClassInvalid, classify(err), "%v", err)
}

// What a server gets is the same, byte for byte, whichever client sends it.
func TestWireSendsWhatNetHTTPSends(t *testing.T) {
	fixtures.NoLeaks(t)
	var mu sync.Mutex
	var got []byte
	target := rawServer(t, func(c net.Conn) {
		defer fmt.Fprint(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			mu.Lock()
			got = append(got, buf[:n]...)
			bare := !bytes.Contains(got, []byte("Content-Length")) || bytes.Contains(got, []byte("Content-Length: 0"))
			all := bare && bytes.HasSuffix(got, []byte("\r\n\r\n")) || bytes.HasSuffix(got, []byte("END"))
			mu.Unlock()
			if all || err != nil {
				return
			}
		}
	})
	long := []byte(strings.Repeat("0123456789", 10_000) + "END")
	for name, req := range map[string]*Request{
		"plain":          Get(target),
		"no method":      {URL: target + "x"},
		"odd method":     {Method: "BREW", URL: target + "pot-0"},
		"path and query": Get(target + "a%20b/c;d?e=f&g=%C3%BC#fragment"),
		"to be escaped":  Get(target + "ü/<x>?q=a|b"),
		"no path":        Get(strings.TrimSuffix(target, "/")),
		"user":           Get(strings.Replace(target, "//", "//user:secret@", 1)),
		"head":           {Method: http.MethodHead, URL: target},
		"header": {URL: target, Header: http.Header{
			"X-B": {"1", "2"}, "X-A": {" spaced "}, "x-low": {"y"}, "User-Agent": {"brunt"}, "Host": {"virtual.test"}, "Connection": {"close"},
		}},
		"framing of its own": {Method: "POST", URL: target, Body: []byte("1END"), Header: http.Header{"Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X"}}},
		"no agent":           {URL: target, Header: http.Header{"User-Agent": {""}}},
		"short body":         Post(target, "text/plain", []byte("END")),
		"long body":          Post(target, "text/plain", long),
		"empty POST":         Post(target, "text/plain", nil),
		"body of a GET":      {URL: target, Body: []byte("END")},
	} {
		for _, pooling := range []Pooling{PoolOptimized, PoolNaive} {
			sent := map[string]string{}
			for kind, client := range map[string]Client{"net/http": NetHTTP(ConnectionConfig{Pooling: pooling}), "wire": Wire(ConnectionConfig{Pooling: pooling})} {
				got = nil
				s, err := client.Session()
				require.NoError(t, err)
				_, err = s.Do(t.Context(), req)
				require.NoError(t, err, "%s, %s", name, kind)
				require.NoError(t, s.Close())
				require.NoError(t, client.Close())
				mu.Lock()
				sent[kind] = string(got)
				mu.Unlock()
			}
			require.NotEmpty(t, sent["wire"], name)
			require.Equal(t, sent["net/http"], sent["wire"], name)
		}
	}
}

func TestWireChecksSeeHeaderAndBody(t *testing.T) {
	fixtures.NoLeaks(t)
	body := strings.Repeat("body ", 30_000)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/x", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["x-odd-name"] = []string{"1", "2"}
		if r.URL.RawQuery == "chunked" {
			w.(http.Flusher).Flush()
		}
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, body)
	})))
	check := func(r Response) error {
		if string(r.Body) != body || r.Bytes != int64(len(body)) || len(r.Header["X-Odd-Name"]) != 2 || r.Proto != "HTTP/1.1" || r.StatusCode != 200 {
			return fmt.Errorf("%d %s: %d bytes, %v", r.StatusCode, r.Proto, r.Bytes, r.Header)
		}
		return nil
	}
	for name, cfg := range wireEngines(ConnectionConfig{}, 0) {
		r, err := Start(t, cfg).Run(t.Context(), Times(60,
			&Request{URL: srv.URL + "/x", Check: check},
			&Request{URL: srv.URL + "/x?chunked", Check: check},
			&Request{Method: http.MethodHead, URL: srv.URL + "/x", Check: bodyIs("")},
			Get(srv.URL+"/x")))
		require.NoError(t, err)
		require.EqualValues(t, 60, r.SuccessCount, "%s: %v", name, r)
		require.EqualValues(t, 45*len(body), r.BytesRead)
	}
	s := wireSessionOf(t, ConnectionConfig{})
	r, err := s.Do(t.Context(), Get(srv.URL+"/x"))
	require.NoError(t, err)
	require.Nil(t, r.Header, "there is nobody to look at it")
	require.Nil(t, r.Body)
	require.EqualValues(t, len(body), r.Bytes)
}

func TestWireBodiesOfAnySize(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})))
	e := Start(t, SyncConfig{Client: Wire(ConnectionConfig{})})
	for _, n := range []int{0, 1, ring.ReadSize - 1, ring.ReadSize, ring.ReadSize + 1, http1.MaxInlineBody, http1.MaxInlineBody + 1, ring.LargeReadSize, 100_000, 1 << 20} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(i * i >> 3)
		}
		u := fmt.Sprintf("%s/bytes/%d", srv.URL, n)
		r, err := e.Run(t.Context(), Times(12,
			&Request{URL: u, Check: func(r Response) error {
				if len(r.Body) != n {
					return fmt.Errorf("%d bytes", len(r.Body))
				}
				return nil
			}},
			Get(u),
			&Request{Method: http.MethodHead, URL: u},
			&Request{Method: http.MethodPost, URL: srv.URL + "/echo", Body: body, Check: func(r Response) error {
				if !bytes.Equal(r.Body, body) {
					return fmt.Errorf("%d bytes", len(r.Body))
				}
				return nil
			}}))
		require.NoError(t, err)
		require.EqualValues(t, 12, r.SuccessCount, r.String())
		require.EqualValues(t, 9*n, r.BytesRead, "HEAD has none")
	}
	require.EqualValues(t, 1, srv.Connections(), "bodies read to their end leave the connection usable")
}

func TestWireLimits(t *testing.T) {
	fixtures.NoLeaks(t)
	const limit = 10_000
	body := strings.Repeat("x", limit)
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		want  map[ErrorClass]int64
	}{
		"length just so":    {forever(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", limit, body)), nil},
		"length":            {forever(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", limit+1, body)), map[ErrorClass]int64{ClassBodyLimit: 4}},
		"chunks just so":    {forever(chunked + "7d0\r\n" + body[:2000] + "\r\n1f40\r\n" + body[:8000] + "\r\n0\r\n\r\n"), nil},
		"chunks":            {forever(chunked + "7d1\r\n" + body[:2001] + "\r\n1f40\r\n"), map[ErrorClass]int64{ClassBodyLimit: 4}},
		"to the end":        {answering("HTTP/1.1 200 OK\r\n\r\n" + body), nil},
		"beyond the end":    {answering("HTTP/1.1 200 OK\r\n\r\n" + body + "x"), map[ErrorClass]int64{ClassBodyLimit: 4}},
		"long header line":  {forever("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", http1.MaxHeaderLine-5) + "\r\nContent-Length: 0\r\n\r\n"), nil},
		"longer":            {forever("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", http1.MaxHeaderLine-4) + "\r\nContent-Length: 0\r\n\r\n"), map[ErrorClass]int64{ClassProtocol: 4}},
		"endless line":      {endless("HTTP/1.1 200 OK\r\nA: ", body), map[ErrorClass]int64{ClassProtocol: 4}},
		"endless interims":  {endless("", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000)), map[ErrorClass]int64{ClassProtocol: 4}},
		"endless extension": {endless(chunked+"1;", strings.Repeat("extension", 100)), map[ErrorClass]int64{ClassProtocol: 4}},
		"endless trailer":   {endless(chunked+"0\r\n", strings.Repeat("A: b\r\n", 100)), map[ErrorClass]int64{ClassProtocol: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			target := rawServer(t, tt.serve)
			r, err := Start(t, SyncConfig{Client: Wire(ConnectionConfig{MaxResponseBytes: limit})}).Run(t.Context(), Times(4, Get(target)))
			require.NoError(t, err)
			require.Equal(t, tt.want, r.Errors, r.String())
		})
	}
}

// Kernels that take only part of a request at once are waited for.
func TestWirePartialWrites(t *testing.T) {
	fixtures.NoLeaks(t)
	l := listenOn(t, "unix", filepath.Join(t.TempDir(), "s"))
	body := bytes.Repeat([]byte("0123456789abcdef"), http1.MaxInlineBody/16)
	var got atomic.Int64
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if bytes.Equal(b, body) {
			got.Add(1)
		}
	})}
	serveOn(t, srv, l)
	s := wireSessionOf(t, ConnectionConfig{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
		if err == nil {
			err = c.(*net.UnixConn).SetWriteBuffer(1)
		}
		return c, err
	}})
	for range 20 {
		_, err := s.Do(t.Context(), Post("http://socket/", "", body))
		require.NoError(t, err)
	}
	require.EqualValues(t, 20, got.Load())
	require.EqualValues(t, 1, s.client.http1.Conns.Opened())
}

func TestWireTLSSpeaksHTTP1(t *testing.T) {
	for name := range wireEngines(ConnectionConfig{}, 0) {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t, fixtures.WithTLS())
			cfg := srv.TLSConfig()
			cfg.NextProtos = []string{"h2", "http/1.1"} // the server would have h2
			e := Start(t, wireEngines(ConnectionConfig{TLS: cfg}, 0)[name])
			req := Post(srv.URL+"/get", "text/plain", make([]byte, 50_000))
			req.Method = http.MethodGet
			req.Check = func(r Response) error {
				if r.Proto != "HTTP/1.1" {
					return errors.New(r.Proto)
				}
				return nil
			}
			r, err := e.Run(t.Context(), Times(100, req, Get(srv.URL+"/get")))
			require.NoError(t, err)
			require.EqualValues(t, 100, r.SuccessCount, r.String())
			require.Equal(t, srv.Connections(), r.ConnectionsOpened)
			require.LessOrEqual(t, r.ConnectionsOpened, int64(8))
		})
	}
}

func TestWireUnixSocket(t *testing.T) {
	fixtures.NoLeaks(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Skip("this system has no unix sockets: ", err)
	}
	serveHTTP(t, l, 0)
	for name, cfg := range wireEngines(ConnectionConfig{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}, 0) {
		r, err := Start(t, cfg).Run(t.Context(), Times(50, &Request{URL: "http://socket/", Check: bodyIs("hello")}))
		require.NoError(t, err)
		require.EqualValues(t, 50, r.SuccessCount, "%s: %v", name, r)
	}
}

// serveHTTP answers everything on l after d, until the test ends.
func serveHTTP(t *testing.T, l net.Listener, d time.Duration) {
	t.Helper()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = sleep(d)(r.Context())
		_, _ = io.WriteString(w, "hello")
	})}
	serveOn(t, srv, l)
}

func serveOn(t *testing.T, srv *http.Server, l net.Listener) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) }) // ends with Close
	t.Cleanup(func() {
		srv.Close()
		wg.Wait()
	})
}

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Connections to other hosts are kept for all sessions, however many hosts there are.
func TestWireKeepsConnectionsToManyHosts(t *testing.T) {
	fixtures.NoLeaks(t)
	l := listen(t)
	serveHTTP(t, l, 0)
	c := Wire(ConnectionConfig{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}})
	const hosts = 40
	for range 2 {
		s := sessionOf(t, c)
		for range 2 {
			for i := range hosts {
				_, err := s.Do(t.Context(), Get(fmt.Sprintf("http://h%d.test/", i)))
				require.NoError(t, err)
			}
		}
		require.NoError(t, s.Close())
	}
	require.EqualValues(t, hosts, c.(*wireClient).http1.Conns.Opened())
}

func TestWireIsOfNoUseAfterClose(t *testing.T) {
	fixtures.NoLeaks(t)
	target := rawServer(t, forever(okResponse))
	c := Wire(ConnectionConfig{})
	s, err := c.Session()
	require.NoError(t, err)
	_, err = s.Do(t.Context(), Get(target))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = c.Session()
	require.ErrorIs(t, err, ErrClosed)
	for range 2 {
		_, err = s.Do(t.Context(), Get(target))
		require.ErrorIs(t, err, ErrClosed)
	}
	require.NoError(t, s.Close())
	require.NoError(t, c.Close())
}
