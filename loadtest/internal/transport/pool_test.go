package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/rawserver"
)

var errClosed = errors.New("closed")

// poolOf returns a pool of connections that t opens, and what they belong to, which the
// test closes.
func poolOf(tb testing.TB, t *http.Transport, limits Limits) (*Pool, *http1.Connections) {
	tb.Helper()
	if t.DialContext == nil {
		t.DialContext = new(net.Dialer).DialContext
	}
	if t.IdleConnTimeout == 0 {
		t.IdleConnTimeout = time.Minute
	}
	conns := http1.NewConnections(errClosed, nil)
	tb.Cleanup(func() { conns.CloseAll() })
	return NewPool(t, limits, conns, errClosed), conns
}

// client sends one request after another over a transport.
type client struct {
	http.RoundTripper
	Trace
}

// do returns the body of the response.
func (c *client) do(ctx context.Context, method, url, body string) (string, error) {
	ctx = httptrace.WithClientTrace(ctx, c.Hooks(func() {}))
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	c.Begin()
	resp, err := c.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func (c *client) get(ctx context.Context, url string) (string, error) {
	return c.do(ctx, http.MethodGet, url, "")
}

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

// requireQuiet wants a pool that nobody uses to have got back what it has lent.
func requireQuiet(t *testing.T, p *Pool) {
	t.Helper()
	for range 1000 { // a connection that was closed comes off a moment later
		if p.imbalance() == "" {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("after the last request: %s", p.imbalance())
}

func (p *Pool) imbalance() string {
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
	}{{"http/1.1", 0}, {"https", 0}, {"h2", 3}, {"h2c", 1}, {"h2c", 3}, {"h2c", 100}} {
		for _, limits := range []struct {
			Limits
			once bool
		}{
			{Limits{Total: 1}, false},
			{Limits{Total: 2}, false},
			{Limits{Total: 7}, false},
			{Limits{PerHost: 1}, false},
			{Limits{PerHost: 2}, false},
			{Limits{Total: 3, PerHost: 2}, false},
			{Limits{Total: 2}, true},
			{Limits{PerHost: 1}, true}, // one that is closed must not take another's place
		} {
			if tt.proto == "https" && limits.Total != 2 {
				continue // as http/1.1, and its dials take long
			}
			if tt.proto == "h2" && limits.Total != 2 && limits.PerHost != 2 {
				continue // as h2c
			}
			for _, hosts := range []int{1, 3} {
				name := fmt.Sprintf("%s/streams=%d/in_all=%d/host=%d/once=%v/hosts=%d", tt.proto, tt.streams, limits.Total, limits.PerHost, limits.once, hosts)
				t.Run(name, func(t *testing.T) {
					fixtures.NoLeaks(t)
					var (
						urls    []string
						speaks  *http.Transport
						sockets openSockets
					)
					for range hosts {
						var u string
						u, speaks = rawserver.Speaking(t, tt.proto, tt.streams, func(w http.ResponseWriter, r *http.Request) {
							_, _ = io.Copy(w, r.Body)
						})
						urls = append(urls, u)
					}
					speaks.DialContext, speaks.DisableKeepAlives = sockets.dial, limits.once
					p, _ := poolOf(t, speaks, limits.Limits)
					const workers, n = 20, 60
					var wg sync.WaitGroup
					var next atomic.Int64
					for range workers {
						wg.Go(func() { // ends after n requests, of all workers together
							c := client{RoundTripper: p}
							for i := next.Add(1); i <= n; i = next.Add(1) {
								method, want := http.MethodGet, ""
								if i%2 == 0 {
									method, want = http.MethodPost, "hello"
								}
								if got, err := c.do(t.Context(), method, urls[i/2%int64(hosts)], want); err != nil || got != want {
									t.Errorf("%s: got %q, %v", method, got, err)
								}
							}
						})
					}
					wg.Wait()
					requireQuiet(t, p)
					if limits.Total > 0 {
						require.LessOrEqual(t, sockets.peak, limits.Total, "connections in all")
					}
					if limits.PerHost > 0 {
						for _, peak := range sockets.peakHost {
							require.LessOrEqual(t, peak, limits.PerHost, "connections to one host")
						}
					}
				})
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
			var now atomic.Int64
			full := make(chan struct{})
			u, speaks := rawserver.Speaking(t, tt.proto, tt.streams, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/one" {
					return // by it a client learns how many streams there may be
				}
				if now.Add(1) == tt.want {
					close(full)
				}
				select { // until as many are here
				case <-full:
				case <-r.Context().Done():
				}
			})
			p, _ := poolOf(t, speaks, Limits{Total: tt.limit})
			_, err := (&client{RoundTripper: p}).get(t.Context(), u+"/one")
			require.NoError(t, err)
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() { // ends when the server is full
					if _, err := (&client{RoundTripper: p}).get(t.Context(), u); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			requireQuiet(t, p)
		})
	}
}

// A server that has been told that its settings arrived takes for a fault what it would
// only have refused before, and after that net/http uses the connection for nothing new.
// What was sent before the settings came, but came after their acknowledgment, is sent
// again on another, which keeps to the limit too.
func TestRequestsOvertakenByTheSettingsAreSentAgain(t *testing.T) {
	fixtures.NoLeaks(t)
	const requests = 3
	var sockets openSockets
	var dials atomic.Int64
	sent, answered := make(chan struct{}), make(chan struct{})
	u, speaks := rawserver.Speaking(t, "h2c", 1, func(w http.ResponseWriter, r *http.Request) {
		select { // the first waits until all others have had their answer
		case <-answered:
			fmt.Fprint(w, "hello")
		case <-r.Context().Done():
		}
	})
	speaks.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := sockets.dial(ctx, network, addr)
		if err == nil && dials.Add(1) == 1 {
			conn = &overtakingConn{Conn: conn, wait: requests - 1, sent: sent}
		}
		return conn, err
	}
	p, _ := poolOf(t, speaks, Limits{Total: 1})
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() { // ends after one request
			if got, err := (&client{RoundTripper: p}).get(t.Context(), u); err != nil || got != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	select {
	case <-sent:
	case <-time.After(30 * time.Second):
		t.Fatal("not all requests were sent before the server's settings came")
	}
	awaitWaiting(t, p, requests-1) // for the connection that takes the place of the first
	close(answered)
	wg.Wait()
	requireQuiet(t, p)
	require.EqualValues(t, 2, dials.Load())
	require.Equal(t, 1, sockets.peak, "connections at once")
}

// overtakingConn is a client's connection of HTTP/2 on which the acknowledgment of the
// server's settings overtakes all requests after the first.
type overtakingConn struct {
	net.Conn
	wait int           // requests to come
	sent chan struct{} // closed when they have; the client reads nothing before

	// Guarded by the client's lock on what it writes.
	held  []byte
	acked bool
}

func (c *overtakingConn) Read(p []byte) (int, error) {
	<-c.sent
	return c.Conn.Read(p)
}

// Write takes whole frames, of which the client flushes one or several at a time.
func (c *overtakingConn) Write(p []byte) (int, error) {
	const settings, headers, ack = 4, 1, 1 // RFC 9113, section 6
	var now []byte
	rest := p
	if preface := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); bytes.HasPrefix(rest, preface) {
		now, rest = append(now, preface...), rest[len(preface):]
	}
	for len(rest) > 0 {
		frame := rest[:9+int(rest[0])<<16+int(rest[1])<<8+int(rest[2])]
		rest = rest[len(frame):]
		switch kind, stream := frame[3], binary.BigEndian.Uint32(frame[5:9]); {
		case kind == headers && stream > 1 && !c.acked:
			c.held = append(c.held, frame...)
			if c.wait--; c.wait == 0 {
				close(c.sent)
			}
			continue
		case kind == settings && frame[4] == ack:
			c.acked = true
			now = append(now, frame...)
			now = append(now, c.held...)
			continue
		}
		now = append(now, frame...)
	}
	if _, err := c.Conn.Write(now); err != nil {
		return 0, err
	}
	return len(p), nil
}

// awaitWaiting waits until so many requests wait for a connection of p.
func awaitWaiting(t *testing.T, p *Pool, n int) {
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
			target := rawserver.Start(t, func(c net.Conn) {
				first := false
				once.Do(func() { first = true })
				if !first {
					rawserver.Hang(c) // whoever comes next keeps the only connection
					return
				}
				answer(c)
				rawserver.ReadRequest(c)
				close(there)
				<-turn
				if name == "after a redirect" {
					_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
					rawserver.Hang(c)
				}
			})
			p, _ := poolOf(t, new(http.Transport), Limits{Total: 1})
			c := client{RoundTripper: follower{http.Client{Transport: p}}}
			_, err := c.get(t.Context(), target)
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, 1)
			go func() { // ends with ctx
				_, err := c.get(ctx, target)
				errs <- err
			}()
			<-there
			holding, release := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { // ends with release
				_, _ = (&client{RoundTripper: p}).get(holding, target)
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
			require.ErrorIs(t, <-errs, context.Canceled)
			require.Equal(t, http1.PhasePool, c.Phase())
			release()
			wg.Wait()
			requireQuiet(t, p)
		})
	}
}

// follower follows redirects.
type follower struct{ http.Client }

func (f follower) RoundTrip(r *http.Request) (*http.Response, error) { return f.Do(r) }

// answer reads a request and answers it.
func answer(c net.Conn) {
	if rawserver.ReadRequest(c) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

// Requests that give up take nothing with them, at whatever moment they do.
func TestWaitersThatGiveUpLeaveThePoolAsItWas(t *testing.T) {
	for _, proto := range []string{"http/1.1", "h2", "h2c"} {
		t.Run(proto, func(t *testing.T) {
			fixtures.NoLeaks(t)
			u, speaks := rawserver.Speaking(t, proto, 3, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
			p, _ := poolOf(t, speaks, Limits{Total: 2})
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() { // ends after 40 requests
					c := client{RoundTripper: p}
					for j := range 40 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*j)*20*time.Microsecond)
						_, _ = c.get(ctx, u)
						cancel()
					}
				})
			}
			wg.Wait()
			requireQuiet(t, p)
			c := client{RoundTripper: p}
			for range 5 {
				_, err := c.get(t.Context(), u)
				require.NoError(t, err)
			}
		})
	}
}

func TestClosingEndsTheWaitForThePool(t *testing.T) {
	fixtures.NoLeaks(t)
	p, conns := poolOf(t, new(http.Transport), Limits{Total: 1})
	target := rawserver.Start(t, rawserver.Hang)
	errs := make(chan error, 2)
	for range 2 {
		go func() { // ends with CloseAll
			_, err := (&client{RoundTripper: p}).get(t.Context(), target)
			errs <- err
		}()
	}
	awaitWaiting(t, p, 1)
	conns.CloseAll()
	a, b := <-errs, <-errs
	require.Error(t, a)
	require.Error(t, b)
	require.ErrorIs(t, errors.Join(a, b), errClosed, "the one that waited")
}

// A request is sent again when http.Transport would.
func TestPoolSendsAgain(t *testing.T) {
	for method, again := range map[string]bool{http.MethodGet: true, http.MethodPost: false} {
		t.Run(method, func(t *testing.T) {
			fixtures.NoLeaks(t)
			// The server answers one request on each connection, and closes it when the
			// second has come.
			target := rawserver.Start(t, func(c net.Conn) {
				answer(c)
				rawserver.ReadRequest(c)
			})
			p, _ := poolOf(t, new(http.Transport), Limits{Total: 1})
			c := client{RoundTripper: p}
			for i := range 3 {
				_, err := c.do(t.Context(), method, target, "")
				if i == 1 && !again {
					require.ErrorIs(t, err, io.EOF)
					continue
				}
				require.NoError(t, err)
			}
		})
	}
}

func TestPooledConnectionsExpire(t *testing.T) {
	fixtures.NoLeaks(t)
	target := rawserver.Start(t, func(c net.Conn) { answer(c); rawserver.Hang(c) })
	p, conns := poolOf(t, &http.Transport{IdleConnTimeout: time.Millisecond}, Limits{Total: 1})
	_, err := (&client{RoundTripper: p}).get(t.Context(), target)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return conns.Open() == 0 }, 10*time.Second, time.Millisecond)
	requireQuiet(t, p)
}

func TestIdlePooledConnectionsAreClosed(t *testing.T) {
	fixtures.NoLeaks(t)
	target := rawserver.Start(t, func(c net.Conn) { answer(c); rawserver.Hang(c) })
	p, conns := poolOf(t, new(http.Transport), Limits{PerHost: 1})
	_, err := (&client{RoundTripper: p}).get(t.Context(), target)
	require.NoError(t, err)
	require.Equal(t, 1, conns.Open())
	p.CloseIdleConnections()
	require.Eventually(t, func() bool { return conns.Open() == 0 }, 10*time.Second, time.Millisecond)
	requireQuiet(t, p)
}

func TestPoolTranslatesHostNames(t *testing.T) {
	target := rawserver.Start(t, answer)
	var dialed string
	p, _ := poolOf(t, &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed = addr
		return new(net.Dialer).DialContext(ctx, network, strings.Trim(target, "htp:/"))
	}}, Limits{Total: 1})
	_, err := (&client{RoundTripper: p}).get(t.Context(), "http://bücher.test:81/get")
	require.NoError(t, err)
	require.Equal(t, "xn--bcher-kva.test:81", dialed)
}

func TestPoolRefusesOtherSchemes(t *testing.T) {
	p, _ := poolOf(t, new(http.Transport), Limits{Total: 1})
	_, err := (&client{RoundTripper: p}).get(t.Context(), "ftp://h.test/")
	require.ErrorContains(t, err, `unsupported protocol scheme "ftp"`)
}
