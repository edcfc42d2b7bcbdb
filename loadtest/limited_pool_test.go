package loadtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// openSockets dials and knows how many connections were open at once, in all and to
// one host.
type openSockets struct {
	mu             sync.Mutex
	now, peak      int
	host, peakHost map[string]int
}

func (o *openSockets) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	o.mu.Lock()
	if o.host == nil {
		o.host, o.peakHost = make(map[string]int), make(map[string]int)
	}
	o.now++
	o.host[addr]++
	o.peak, o.peakHost[addr] = max(o.peak, o.now), max(o.peakHost[addr], o.host[addr])
	o.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		o.closed(addr)
		return nil, err
	}
	return &socket{Conn: conn, of: o, addr: addr}, nil
}

func (o *openSockets) closed(addr string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now--
	o.host[addr]--
}

type socket struct {
	net.Conn
	of   *openSockets
	addr string
	once sync.Once
}

func (s *socket) Close() error {
	s.once.Do(func() { s.of.closed(s.addr) })
	return s.Conn.Close()
}

// protocolServer speaks one protocol, HTTP/2 with so many streams to a connection.
func protocolServer(t *testing.T, proto string, streams int, handle http.HandlerFunc) (string, ConnectionConfig) {
	t.Helper()
	srv := httptest.NewUnstartedServer(handle)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	t.Cleanup(srv.Close)
	cfg := ConnectionConfig{Protocols: new(http.Protocols)}
	switch proto {
	case "http/1.1":
		cfg.Protocols.SetHTTP1(true)
		srv.Start()
		return srv.URL, cfg
	case "h2c":
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		cfg.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
		return srv.URL, cfg
	}
	srv.EnableHTTP2 = proto == "h2"
	srv.StartTLS()
	cfg.Protocols.SetHTTP1(true)
	cfg.Protocols.SetHTTP2(true)
	cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	return srv.URL, cfg
}

// requireQuiet wants a pool that nobody uses to have got back what it has lent.
func requireQuiet(t *testing.T, p *limitedPool) {
	t.Helper()
	for range 1000 { // a connection that was closed comes off a moment later
		if p.imbalance() == "" {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("after the last request: %s", p.imbalance())
}

func (p *limitedPool) imbalance() string {
	p.mu.Lock()
	defer p.unlock()
	conns := 0
	for _, h := range p.hosts {
		conns += len(h.conns)
		if h.opening != 0 || len(h.waiting) != 0 {
			return fmt.Sprintf("%d opening, %d waiting", h.opening, len(h.waiting))
		}
		for _, c := range h.conns {
			if c.busy != 0 {
				return fmt.Sprintf("a connection with %d requests", c.busy)
			}
		}
	}
	if p.open != conns {
		return fmt.Sprintf("%d connections, but %d open", conns, p.open)
	}
	return ""
}

// Limits hold for connections, whatever a connection carries, and within them every
// request is served.
func TestLimitsServeAllRequests(t *testing.T) {
	for _, tt := range []struct {
		proto   string
		streams int
	}{{"http/1.1", 0}, {"https", 0}, {"h2", 1}, {"h2", 3}, {"h2", 100}, {"h2c", 3}} {
		for _, limits := range []ConnectionConfig{
			{MaxConnections: 1},
			{MaxConnections: 2},
			{MaxConnections: 7},
			{MaxKeepaliveConnections: 1},
			{MaxKeepaliveConnections: 2},
			{MaxConnections: 3, MaxKeepaliveConnections: 2},
			{MaxConnections: 2, Pooling: PoolNaive},
			{MaxKeepaliveConnections: 1, Pooling: PoolNaive}, // one that is closed must not take another's place
		} {
			if tt.proto == "https" && limits.MaxConnections != 2 {
				continue // as http/1.1, and its dials take long
			}
			for _, hosts := range []int{1, 3} {
				for _, engine := range []string{"async", "threaded"} {
					if engine == "threaded" && limits.MaxConnections != 2 {
						continue
					}
					name := fmt.Sprintf("%s/streams=%d/in_all=%d/host=%d/%s/hosts=%d/%s", tt.proto, tt.streams,
						limits.MaxConnections, limits.MaxKeepaliveConnections, limits.Pooling, hosts, engine)
					t.Run(name, func(t *testing.T) {
						fixtures.NoLeaks(t)
						var (
							reqs    []*Request
							cfg     ConnectionConfig
							sockets openSockets
						)
						for range hosts {
							var u string
							u, cfg = protocolServer(t, tt.proto, tt.streams, func(w http.ResponseWriter, r *http.Request) {
								body, _ := io.ReadAll(r.Body)
								_, _ = w.Write(body)
							})
							reqs = append(reqs, Get(u), &Request{Method: http.MethodPost, URL: u, Body: []byte("hello"), Check: bodyIs("hello")})
						}
						cfg.MaxConnections, cfg.MaxKeepaliveConnections = limits.MaxConnections, limits.MaxKeepaliveConnections
						cfg.Pooling, cfg.DialContext = limits.Pooling, sockets.dial
						client := NetHTTP(cfg).(*httpClient)
						const workers, n = 20, 60
						var ec EngineConfig = AsyncConfig{MaxConcurrent: workers, Client: client}
						if engine == "threaded" {
							ec = ThreadedConfig{MaxWorkers: workers, Client: client}
						}
						r, err := Start(t, ec).Run(t.Context(), Times(n, reqs...))
						require.NoError(t, err)
						require.EqualValues(t, n, r.SuccessCount, r.String())
						requireQuiet(t, client.shared.(*limitedPool))
						if limits.MaxConnections > 0 {
							require.LessOrEqual(t, sockets.peak, limits.MaxConnections, "connections in all")
						}
						if limit := limits.MaxKeepaliveConnections; limit > 0 {
							for _, peak := range sockets.peakHost {
								require.LessOrEqual(t, peak, limit, "connections to one host")
							}
						}
					})
				}
			}
		}
	}
}

// Where a connection carries many requests, as many are under way at once as the
// connections within the limit take, no fewer.
func TestLimitsLetStreamsBeUsed(t *testing.T) {
	for _, tt := range []struct {
		proto          string
		streams, limit int
		want           int64
	}{{"h2", 3, 2, 6}, {"h2c", 3, 2, 6}, {"h2", 100, 1, 12}, {"h2", 1, 5, 5}, {"http/1.1", 0, 5, 5}} {
		t.Run(fmt.Sprintf("%s/streams=%d/limit=%d", tt.proto, tt.streams, tt.limit), func(t *testing.T) {
			fixtures.NoLeaks(t)
			var (
				mu   sync.Mutex
				now  int64
				full = make(chan struct{})
			)
			u, cfg := protocolServer(t, tt.proto, tt.streams, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/one" {
					return // by it a client learns how many streams there may be
				}
				mu.Lock()
				if now++; now == tt.want {
					close(full)
				}
				mu.Unlock()
				select { // until as many are here
				case <-full:
				case <-r.Context().Done():
				}
			})
			cfg.MaxConnections = tt.limit
			e := Start(t, AsyncConfig{MaxConcurrent: 12, Conn: cfg})
			_, err := e.Run(t.Context(), URLs(u+"/one"))
			require.NoError(t, err)
			r, err := e.Run(t.Context(), Times(12, Get(u)))
			require.NoError(t, err)
			require.EqualValues(t, 12, r.SuccessCount, r.String())
		})
	}
}

// awaitWaiting waits until so many requests wait for a connection of p.
func awaitWaiting(t *testing.T, p *limitedPool, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.unlock()
		waiting := 0
		for _, h := range p.hosts {
			waiting += len(h.waiting)
		}
		return waiting == n
	}, 30*time.Second, time.Millisecond)
}

// A wait for the pool is called that, whatever the request has been through before.
func TestWaitingForThePoolAgainIsThatPhase(t *testing.T) {
	for _, name := range []string{"after a redirect", "after a connection broke"} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			there, turn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			target := rawServer(t, func(c net.Conn) {
				first := false
				once.Do(func() { first = true })
				if !first {
					hang(c) // whoever comes next keeps the only connection
					return
				}
				reply(okResponse)(c)
				readRequest(c)
				close(there)
				<-turn
				if name == "after a redirect" {
					_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
					hang(c)
				}
			})
			client := NetHTTP(ConnectionConfig{MaxConnections: 1, MaxRedirects: 3}).(*httpClient)
			defer func() { require.NoError(t, client.Close()) }()
			session := func() Session {
				s, err := client.Session()
				require.NoError(t, err)
				return s
			}
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, 1)
			s := session()
			_, err := s.Do(ctx, Get(target))
			require.NoError(t, err)
			go func() { // ends with ctx
				_, err := s.Do(ctx, Get(target))
				errs <- err
			}()
			<-there
			p := client.shared.(*limitedPool)
			holding, release := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { // ends with release
				_, _ = session().Do(holding, Get(target))
			})
			awaitWaiting(t, p, 1)
			close(turn)
			// The one that waited has the connection, and the first waits in its place.
			require.Eventually(t, func() bool {
				p.mu.Lock()
				defer p.unlock()
				for _, h := range p.hosts {
					if len(h.waiting) == 1 && h.waiting[0].turn == 3 {
						return true
					}
				}
				return false
			}, 30*time.Second, time.Millisecond)
			cancel()
			var at *PhaseError
			require.ErrorAs(t, <-errs, &at)
			require.Equal(t, PhasePool, at.Phase)
			release()
			wg.Wait()
			requireQuiet(t, p)
		})
	}
}

// Requests that give up take nothing with them, at whatever moment they do.
func TestWaitersThatGiveUpLeaveThePoolAsItWas(t *testing.T) {
	for _, proto := range []string{"http/1.1", "h2", "h2c"} {
		t.Run(proto, func(t *testing.T) {
			fixtures.NoLeaks(t)
			u, cfg := protocolServer(t, proto, 3, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
			cfg.MaxConnections = 2
			client := NetHTTP(cfg).(*httpClient)
			defer func() { require.NoError(t, client.Close()) }()
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() { // ends after 40 requests
					s, err := client.Session()
					if err != nil {
						t.Error(err)
						return
					}
					defer s.Close()
					for j := range 40 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*j)*20*time.Microsecond)
						_, _ = s.Do(ctx, Get(u))
						cancel()
					}
				})
			}
			wg.Wait()
			p := client.shared.(*limitedPool)
			requireQuiet(t, p)
			s, err := client.Session()
			require.NoError(t, err)
			for range 5 {
				_, err = s.Do(t.Context(), Get(u))
				require.NoError(t, err)
			}
		})
	}
}

func TestClosingEndsTheWaitForThePool(t *testing.T) {
	fixtures.NoLeaks(t)
	client := NetHTTP(ConnectionConfig{MaxConnections: 1}).(*httpClient)
	target := rawServer(t, hang)
	errs := make(chan error, 2)
	for range 2 {
		s, err := client.Session()
		require.NoError(t, err)
		go func() { // ends with Close
			_, err := s.Do(t.Context(), Get(target))
			errs <- err
		}()
	}
	awaitWaiting(t, client.shared.(*limitedPool), 1)
	require.NoError(t, client.Close())
	require.Error(t, <-errs)
	require.Error(t, <-errs)
}

// A request over a limited pool is sent again when http.Transport would.
func TestLimitedPoolSendsAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		req  Request
		want ErrorClass
	}{
		"idempotent":     {Request{}, ClassNone},
		"not idempotent": {Request{Method: http.MethodPost, Body: []byte("x")}, ClassEOF},
	} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			// The server answers one request on each connection, and closes it when the
			// second has come.
			target := rawServer(t, func(c net.Conn) {
				reply(okResponse)(c)
				readRequest(c)
			})
			tt.req.URL = target
			s := sessionOf(t, NetHTTP(ConnectionConfig{MaxConnections: 1}))
			for i := range 3 {
				_, err := s.Do(t.Context(), &tt.req)
				if want := tt.want; i == 1 && want != ClassNone {
					require.Equal(t, want, classify(err), "%v", err)
					continue
				}
				require.NoError(t, err)
			}
		})
	}
}

func TestLimitedPoolConnectionsExpire(t *testing.T) {
	srv := fixtures.NewServer(t)
	e := Start(t, SyncConfig{Conn: ConnectionConfig{MaxConnections: 1, KeepaliveExpiry: time.Millisecond}})
	_, err := e.Run(t.Context(), URLs(srv.URL+"/get"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return srv.OpenConnections() == 0 }, 10*time.Second, time.Millisecond)
}

func TestLimitedPoolTranslatesHostNames(t *testing.T) {
	srv := fixtures.NewServer(t)
	var dialed string
	cfg := ConnectionConfig{MaxConnections: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed = addr
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(srv.URL, "http://"))
	}}
	r, err := Start(t, SyncConfig{Conn: cfg}).Run(t.Context(), URLs("http://bücher.test:81/get"))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.SuccessCount, r.String())
	require.Equal(t, "xn--bcher-kva.test:81", dialed)
}
