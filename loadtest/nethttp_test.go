package loadtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// httpEngines are the three engines over net/http.
func httpEngines(conn ConnectionConfig, timeout time.Duration) map[string]EngineConfig {
	return map[string]EngineConfig{
		"sync":     SyncConfig{Conn: conn, Timeout: timeout},
		"threaded": ThreadedConfig{MaxWorkers: 4, Conn: conn, Timeout: timeout},
		"async":    AsyncConfig{MaxConcurrent: 8, Conn: conn, Timeout: timeout},
	}
}

// wireEngines are the same over Wire.
func wireEngines(conn ConnectionConfig, timeout time.Duration) map[string]EngineConfig {
	return map[string]EngineConfig{
		"wire/sync":     SyncConfig{Client: Wire(conn), Timeout: timeout},
		"wire/threaded": ThreadedConfig{MaxWorkers: 4, Client: Wire(conn), Timeout: timeout},
		"wire/async":    AsyncConfig{MaxConcurrent: 8, Client: Wire(conn), Timeout: timeout},
	}
}

// allEngines are the three engines over both.
func allEngines(conn ConnectionConfig, timeout time.Duration) map[string]EngineConfig {
	all := httpEngines(conn, timeout)
	maps.Copy(all, wireEngines(conn, timeout))
	return all
}

// wrapped is a client of a user's around one of ours.
type wrapped struct{ Client }

// What a client does not count is not reported as none.
func TestUnknownConnectionsAreNotReportedAsNone(t *testing.T) {
	srv := fixtures.NewServer(t)
	for _, tt := range []struct {
		reason string
		client Client
		known  bool
	}{
		{"net/http", NetHTTP(ConnectionConfig{}), true},
		{"wire", Wire(ConnectionConfig{}), true},
		{"wrapped", wrapped{NetHTTP(ConnectionConfig{})}, false},
		{"func", Func(nop), false},
	} {
		e := newEngine(t, SyncConfig{Client: tt.client})
		r, err := e.Run(t.Context(), Times(3, Get(srv.URL+"/get")))
		require.NoError(t, err)
		for _, r := range []*EngineResult{r, roundTrip(t, r)} {
			require.Equal(t, !tt.known, r.ConnectionsUnknown, tt.reason)
			if tt.known {
				require.Contains(t, r.String(), "resources 1 connections opened, ", tt.reason)
			} else {
				require.NotContains(t, r.String(), "connections", tt.reason)
				require.Contains(t, r.String(), "\n  resources ", tt.reason)
			}
		}
		again, err := e.Run(t.Context(), Times(3, Get(srv.URL+"/get")))
		require.NoError(t, err)
		require.Equal(t, tt.known, strings.Contains(again.String(), "0 connections opened"), "%s: all were kept", tt.reason)
		again.Merge(r)
		require.Equal(t, !tt.known, again.ConnectionsUnknown)
		closeEngine(t, e)
	}
}

func TestPoolingIsWhatTheServerSees(t *testing.T) {
	workers := map[string]int64{"sync": 1, "threaded": 4, "async": 8, "wire/sync": 1, "wire/threaded": 4, "wire/async": 8}
	for _, pooling := range []Pooling{PoolOptimized, PoolNaive} {
		for name, cfg := range allEngines(ConnectionConfig{Pooling: pooling}, 0) {
			t.Run(fmt.Sprintf("%s/%s", pooling, name), func(t *testing.T) {
				fixtures.NoLeaks(t)
				srv := fixtures.NewServer(t)
				e := Start(t, cfg)
				r, err := e.Run(t.Context(), Times(200, Get(srv.URL+"/get")))
				require.NoError(t, err)
				require.EqualValues(t, 200, r.SuccessCount, r.String())
				require.EqualValues(t, 200, srv.Hits())
				require.Equal(t, srv.Connections(), r.ConnectionsOpened, "what we count is what the server sees")
				require.Equal(t, map[int]int64{200: 200}, r.StatusCodes)
				if pooling == PoolNaive {
					require.EqualValues(t, 200, srv.Connections(), "a connection for every request")
					return
				}
				// net/http may dial for a request that then gets a connection come
				// free: a few more than workers, never many.
				require.LessOrEqual(t, srv.Connections(), 2*workers[name])
				before := srv.Connections()
				_, err = e.Run(t.Context(), Times(100, Get(srv.URL+"/get")))
				require.NoError(t, err)
				require.LessOrEqual(t, srv.Connections(), before+workers[name], "later runs reuse them")
			})
		}
	}
}

func TestThreadedSessionsDoNotShareConnections(t *testing.T) {
	srv := fixtures.NewServer(t, fixtures.WithLatency(fixtures.Constant(time.Millisecond)))
	e := Start(t, ThreadedConfig{MaxWorkers: 5})
	r, err := e.Run(t.Context(), Times(100, Get(srv.URL+"/get")))
	require.NoError(t, err)
	require.EqualValues(t, 5, r.ConnectionsOpened)
	require.EqualValues(t, 5, srv.Connections())
}

func TestConcurrencyReachesTheServer(t *testing.T) {
	srv := fixtures.NewServer(t, fixtures.WithLatency(fixtures.Constant(50*time.Millisecond)))
	e := Start(t, AsyncConfig{MaxConcurrent: 25})
	r, err := e.Run(t.Context(), Times(100, Get(srv.URL+"/get")))
	require.NoError(t, err)
	require.EqualValues(t, 100, r.SuccessCount)
	require.EqualValues(t, 25, srv.PeakConcurrent())
}

func TestTLSAndHTTP2(t *testing.T) {
	for name, tt := range map[string]struct {
		protocols func(*http.Protocols)
		proto     string
	}{
		"as the server offers": {nil, "HTTP/2.0"},
		"HTTP/1.1 only":        {func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/1.1"},
		"HTTP/2 only":          {func(p *http.Protocols) { p.SetHTTP2(true) }, "HTTP/2.0"},
	} {
		for engine := range httpEngines(ConnectionConfig{}, 0) {
			t.Run(name+"/"+engine, func(t *testing.T) {
				fixtures.NoLeaks(t)
				srv := fixtures.NewServer(t, fixtures.WithTLS())
				conn := ConnectionConfig{TLS: srv.TLSConfig()}
				if tt.protocols != nil {
					conn.Protocols = new(http.Protocols)
					tt.protocols(conn.Protocols)
				}
				e := Start(t, httpEngines(conn, 0)[engine])
				req := Get(srv.URL + "/get")
				req.Check = func(r Response) error {
					if r.Proto != tt.proto {
						return fmt.Errorf("proto %s", r.Proto)
					}
					return nil
				}
				r, err := e.Run(t.Context(), Times(100, req))
				require.NoError(t, err)
				require.EqualValues(t, 100, r.SuccessCount, r.String())
				if engine == "async" && tt.proto == "HTTP/2.0" {
					// Every worker dials, and the first connection may have served the whole run
					// before the others' dials return, or the server has seen them.
					require.True(t, 1 <= r.ConnectionsOpened && r.ConnectionsOpened <= 8, r.String())
					return
				}
				require.Equal(t, srv.Connections(), r.ConnectionsOpened)
			})
		}
	}
}

func TestUnencryptedHTTP2(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	e := Start(t, AsyncConfig{Conn: ConnectionConfig{Protocols: protocols}})
	r, err := e.Run(t.Context(), Times(50, &Request{URL: srv.URL, Check: bodyIs("HTTP/2.0")}))
	require.NoError(t, err)
	require.EqualValues(t, 50, r.SuccessCount, r.String())
}

func bodyIs(want string) func(Response) error {
	return func(r Response) error {
		if got := string(r.Body); got != want || r.Bytes != int64(len(want)) {
			return fmt.Errorf("body %q of %d bytes, want %q", got, r.Bytes, want)
		}
		return nil
	}
}

func TestMockTransport(t *testing.T) {
	mock := fixtures.MockTransport(t)
	mock.RegisterResponder(http.MethodGet, "http://service.test/a", httpmock.NewStringResponder(200, "hello"))
	mock.RegisterResponder(http.MethodGet, "http://service.test/b", httpmock.NewStringResponder(503, "sorry"))
	for name, cfg := range httpEngines(ConnectionConfig{Transport: mock}, 0) {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			e := Start(t, cfg)
			r, err := e.Run(t.Context(), Times(90, &Request{URL: "http://service.test/a", Check: bodyIs("hello")},
				Get("http://service.test/b"), Get("http://service.test/c")))
			require.NoError(t, err)
			require.EqualValues(t, 30, r.SuccessCount, r.String())
			require.Equal(t, map[ErrorClass]int64{ClassStatus: 30, ClassOther: 30}, r.Errors)
			require.Equal(t, map[int]int64{200: 30, 503: 30}, r.StatusCodes)
		})
	}
}

// closer is a transport of the user's that says when its idle connections are closed.
type closer struct {
	http.RoundTripper
	closed atomic.Int64
}

func (c *closer) CloseIdleConnections() { c.closed.Add(1) }

func TestForeignTransport(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t)
	inner := &http.Transport{}
	t.Cleanup(inner.CloseIdleConnections)
	var closes atomic.Int64
	c := &closer{RoundTripper: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Close {
			closes.Add(1)
		}
		return inner.RoundTrip(r)
	})}
	for i, tt := range []struct {
		pooling Pooling
		opened  int64
		closes  int64
	}{{PoolOptimized, 1, 0}, {PoolNaive, 20, 20}} {
		e := newEngine(t, SyncConfig{Conn: ConnectionConfig{Transport: c, Pooling: tt.pooling}})
		r, err := e.Run(t.Context(), Times(20, Get(srv.URL+"/get")))
		require.NoError(t, err)
		require.EqualValues(t, 20, r.SuccessCount, r.String())
		require.Equal(t, tt.opened, r.ConnectionsOpened, "counted through the trace")
		require.Equal(t, tt.closes, closes.Load())
		closeEngine(t, e)
		require.EqualValues(t, i+1, c.closed.Load(), "its idle connections are closed with the engine")
		inner.CloseIdleConnections()
	}
}

func TestRequestsArriveAsGiven(t *testing.T) {
	fixtures.NoLeaks(t)
	payload := bytes.Repeat([]byte("payload "), 10_000)
	var wrong atomic.Value
	srv := fixtures.NewServer(t, fixtures.WithHandler("/echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil, !bytes.Equal(body, payload):
			wrong.Store(fmt.Sprintf("body of %d bytes, %v", len(body), err))
		case r.ContentLength != int64(len(payload)):
			wrong.Store(fmt.Sprintf("content length %d", r.ContentLength))
		case r.Method != http.MethodPut, r.Host != "virtual.test", r.Header.Get("X-One") != "1", len(r.Header["X-Two"]) != 2:
			wrong.Store(fmt.Sprint(r.Method, r.Host, r.Header))
		case r.Header.Get("Accept-Encoding") != "":
			wrong.Store("asked for compression")
		}
		_, _ = w.Write(body[:5])
	})))
	header := http.Header{"Host": {"virtual.test"}, "X-One": {"1"}, "X-Two": {"2", "3"}}
	req := &Request{Method: http.MethodPut, URL: srv.URL + "/echo", Header: header, Body: payload, Check: bodyIs("paylo")}
	e := Start(t, AsyncConfig{MaxConcurrent: 8})
	r, err := e.Run(t.Context(), Times(200, req))
	require.NoError(t, err)
	require.EqualValues(t, 200, r.SuccessCount, r.String())
	require.Nil(t, wrong.Load())
	require.EqualValues(t, 5*200, r.BytesRead)
	require.Len(t, header, 3, "the caller's header is left alone")
}

func TestPostSendsItsBody(t *testing.T) {
	srv := fixtures.NewServer(t, fixtures.WithHandler("/echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s ", r.Method, r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	})))
	req := Post(srv.URL+"/echo", "text/plain", []byte("hello"))
	req.Check = bodyIs("POST text/plain hello")
	r, err := Start(t, SyncConfig{}).Run(t.Context(), Times(3, req))
	require.NoError(t, err)
	require.EqualValues(t, 3, r.SuccessCount, r.String())
}

func TestBodiesAreReadToTheirEndWhateverTheirSize(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t)
	e := Start(t, SyncConfig{})
	for _, n := range []int{0, 1, 4095, 4096, 4097, 32 << 10, 100_000, 1 << 20} {
		length := func(r Response) error {
			if len(r.Body) != n {
				return fmt.Errorf("%d bytes", len(r.Body))
			}
			return nil
		}
		u := fmt.Sprintf("%s/bytes/%d", srv.URL, n)
		r, err := e.Run(t.Context(), Times(10, &Request{URL: u, Check: length}, Get(u), &Request{Method: http.MethodHead, URL: u}))
		require.NoError(t, err)
		require.EqualValues(t, 10, r.SuccessCount, r.String())
		require.EqualValues(t, 7*n, r.BytesRead, "4 checked and 3 discarded; HEAD has none")
	}
	require.EqualValues(t, 1, srv.Connections(), "drained bodies leave the connection usable")
}

func TestSessionKeepsABoundedNumberOfRequests(t *testing.T) {
	srv := fixtures.NewServer(t)
	e := newEngine(t, SyncConfig{}).(*SyncEngine)
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Seq(func(yield func(*Request) bool) {
		for i := range 3 * maxKeptRequests {
			if !yield(Get(fmt.Sprintf("%s/get?i=%d", srv.URL, i))) {
				return
			}
		}
	}))
	require.NoError(t, err)
	require.EqualValues(t, 3*maxKeptRequests, r.SuccessCount)
	require.EqualValues(t, 3*maxKeptRequests, srv.Hits())
	require.Len(t, e.idle, 1)
	require.LessOrEqual(t, len(e.idle[0].(*httpSession).requests.all), maxKeptRequests)
}

func TestStatusesAreCounted(t *testing.T) {
	srv := fixtures.NewServer(t)
	var reqs []*Request
	for _, code := range []int{200, 204, 301, 304, 404, 500, 503} {
		reqs = append(reqs, &Request{URL: fmt.Sprintf("%s/status/%d", srv.URL, code), Name: fmt.Sprint(code)})
	}
	r, err := Start(t, ThreadedConfig{}).Run(t.Context(), Times(70, reqs...))
	require.NoError(t, err)
	accounted(t, 70, r)
	require.EqualValues(t, 20, r.SuccessCount)
	require.EqualValues(t, 30, r.ErrorCount)
	require.EqualValues(t, 20, r.OtherCount, "3xx is neither")
	require.Equal(t, map[int]int64{200: 10, 204: 10, 301: 10, 304: 10, 404: 10, 500: 10, 503: 10}, r.StatusCodes)
	require.Len(t, r.Endpoints, 7)
	require.EqualValues(t, 10, r.Endpoints["404"].Errors[ClassStatus])
	require.Contains(t, fmt.Sprint(r.Warnings), "10 redirects (3xx)", "304 is none")
}

func TestRedirectsAreFollowedOnRequestAndNotForEver(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t,
		fixtures.WithHandler("/loop", http.RedirectHandler("/loop", http.StatusFound)),
		fixtures.WithHandler("/once", http.RedirectHandler("/get", http.StatusFound)))
	e := Start(t, ThreadedConfig{Conn: ConnectionConfig{MaxRedirects: 3}})
	r, err := e.Run(t.Context(), Times(20, Get(srv.URL+"/once"), Get(srv.URL+"/loop")))
	require.NoError(t, err)
	require.EqualValues(t, 10, r.SuccessCount, r.String())
	require.Equal(t, map[ErrorClass]int64{ClassRedirect: 10}, r.Errors)
	require.Contains(t, r.ErrorExamples[ClassRedirect], "stopped after 3 redirects")
	require.EqualValues(t, 10, srv.HitsFor("/get"))
	require.EqualValues(t, 10*4, srv.HitsFor("/loop"))

	srv.ResetCounters()
	r, err = Start(t, SyncConfig{}).Run(t.Context(), Times(5, Get(srv.URL+"/loop")))
	require.NoError(t, err)
	require.EqualValues(t, 5, r.OtherCount, "not followed unless asked")
	require.EqualValues(t, 5, srv.Hits())
}

func TestCookiesAreKeptInTheJar(t *testing.T) {
	var n atomic.Int64
	srv := fixtures.NewServer(t, fixtures.WithHandler("/cookie", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint(n.Add(1))})
		fmt.Fprint(w, len(r.Cookies()))
	})))
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	e := Start(t, SyncConfig{Conn: ConnectionConfig{Jar: jar}})
	want := "0"
	r, err := e.Run(t.Context(), Times(5, &Request{URL: srv.URL + "/cookie", Check: func(r Response) error {
		err := bodyIs(want)(r)
		want = "1" // one cookie from then on, not one more each time
		return err
	}}))
	require.NoError(t, err)
	require.EqualValues(t, 5, r.SuccessCount, r.String())
}

func TestDecompressCountsWhatItUnpacks(t *testing.T) {
	srv := fixtures.NewServer(t, fixtures.WithHandler("/gz", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			fmt.Fprint(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, strings.Repeat("z", 10_000))
		z.Close()
	})))
	for decompress, want := range map[bool]int64{false: 5, true: 10_000} {
		r, err := Start(t, SyncConfig{Conn: ConnectionConfig{Decompress: decompress}}).Run(t.Context(), URLs(srv.URL+"/gz"))
		require.NoError(t, err)
		require.Equal(t, want, r.BytesRead)
	}
}

func TestProxyIsOnlyTheOneGiven(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	srv := fixtures.NewServer(t)
	proxy, err := url.Parse(srv.URL)
	require.NoError(t, err)
	e := Start(t, SyncConfig{Conn: ConnectionConfig{Proxy: http.ProxyURL(proxy)}})
	r, err := e.Run(t.Context(), URLs("http://far.test/get"))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.SuccessCount, r.String())
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Skip("this system has no unix sockets: ", err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "unix") }))
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	e := Start(t, ThreadedConfig{Conn: ConnectionConfig{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}})
	r, err := e.Run(t.Context(), Times(50, &Request{URL: "http://socket/", Check: bodyIs("unix")}))
	require.NoError(t, err)
	require.EqualValues(t, 50, r.SuccessCount, r.String())
}

func TestConnectionLimits(t *testing.T) {
	perHost, inAll := ConnectionConfig{MaxKeepaliveConnections: 3}, ConnectionConfig{MaxConnections: 3}
	for name, cfg := range map[string]EngineConfig{
		"of one host":      AsyncConfig{MaxConcurrent: 20, Conn: perHost},
		"in all":           AsyncConfig{MaxConcurrent: 20, Conn: inAll},
		"in all, threaded": ThreadedConfig{MaxWorkers: 20, Conn: inAll},
	} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t, fixtures.WithLatency(fixtures.Constant(2*time.Millisecond)))
			r, err := Start(t, cfg).Run(t.Context(), Times(300, Get(srv.URL+"/get")))
			require.NoError(t, err)
			require.EqualValues(t, 300, r.SuccessCount, r.String())
			require.LessOrEqual(t, srv.PeakConcurrent(), int64(3))
		})
	}
}

// Idle connections to one host must not keep another from being reached.
func TestConnectionLimitIsSharedBetweenHosts(t *testing.T) {
	fixtures.NoLeaks(t)
	a, b := fixtures.NewServer(t), fixtures.NewServer(t)
	e := Start(t, AsyncConfig{MaxConcurrent: 4, Conn: ConnectionConfig{MaxConnections: 2}})
	for range 3 {
		for _, srv := range []*fixtures.Server{a, b} {
			r, err := e.Run(t.Context(), Times(20, Get(srv.URL+"/get")))
			require.NoError(t, err)
			require.EqualValues(t, 20, r.SuccessCount, r.String())
		}
	}
	r, err := e.Run(t.Context(), Times(200, Get(a.URL+"/get"), Get(b.URL+"/get")))
	require.NoError(t, err)
	require.EqualValues(t, 200, r.SuccessCount, "both in one run: %v", r)
}

func TestIdleConnectionsExpire(t *testing.T) {
	srv := fixtures.NewServer(t)
	e := Start(t, SyncConfig{Conn: ConnectionConfig{KeepaliveExpiry: time.Millisecond}})
	_, err := e.Run(t.Context(), URLs(srv.URL+"/get"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return srv.OpenConnections() == 0 }, 10*time.Second, time.Millisecond)
}

func TestClientIsOfNoUseAfterClose(t *testing.T) {
	srv := fixtures.NewServer(t)
	c := NetHTTP(ConnectionConfig{})
	s, err := c.Session()
	require.NoError(t, err)
	_, err = s.Do(t.Context(), Get(srv.URL+"/get"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return srv.OpenConnections() == 0 }, 10*time.Second, time.Millisecond)
	_, err = c.Session()
	require.ErrorIs(t, err, ErrClosed)
	_, err = s.Do(t.Context(), Get(srv.URL+"/get"))
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, s.Close())
	require.NoError(t, c.Close())
}

func TestBadClientSaysSoAtItsFirstSession(t *testing.T) {
	c := NetHTTP(ConnectionConfig{MaxConnections: -1})
	_, err := c.Session()
	require.ErrorIs(t, err, ErrConfig)
	require.NoError(t, c.Close())
	_, err = Func(nil).Session()
	require.ErrorIs(t, err, ErrConfig)
}

func TestSessionRefusesWhatItCannotBuild(t *testing.T) {
	c := NetHTTP(ConnectionConfig{})
	defer c.Close()
	s, err := c.Session()
	require.NoError(t, err)
	_, err = s.Do(t.Context(), Get("http://bad host/"))
	require.ErrorIs(t, err, ErrInvalidRequest)
	require.Equal(t, ClassInvalid, classify(err))
}
