package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
)

var (
	errTest   = errors.New("test error")
	errClosed = errors.New("closed")
)

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// codec is a kind of session.
type codec struct {
	name   string
	config Config
}

var codecs = []codec{
	{"net/http", Config{Codec: ReadResponse}},
	{"parser", Config{}},
	{"rings", Config{Rings: true}},
	{"plain rings", Config{Rings: true, PlainRing: true}},
}

func forCodecs(t *testing.T, f func(t *testing.T, k codec)) {
	t.Helper()
	for _, k := range codecs {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

// client returns a client that the test closes.
func (k codec) client(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Codec, cfg.Rings, cfg.PlainRing = k.config.Codec, k.config.Rings, k.config.PlainRing
	cfg.Timeout, cfg.BodyLimit, cfg.ErrClosed = time.Minute, testLimit, errClosed
	if cfg.Expiry == 0 {
		cfg.Expiry = time.Minute
	}
	c := NewClient(cfg)
	t.Cleanup(func() { require.Zero(t, c.Close()) })
	return c
}

// open opens a session of a new client.
func (k codec) open(t *testing.T, cfg Config) *Session {
	t.Helper()
	s := k.client(t, cfg).Session()
	t.Cleanup(s.Close)
	return s
}

func request(t *testing.T, method, url string, body []byte) *Request {
	t.Helper()
	hr, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	r, err := NewRequest(hr, body, false)
	require.NoError(t, err)
	return r
}

func get(t *testing.T, url string) *Request {
	t.Helper()
	return request(t, http.MethodGet, url, nil)
}

// forever answers every request on a connection with text.
func forever(text string) func(net.Conn) {
	return func(c net.Conn) {
		for rawserver.ReadRequest(c) {
			_, _ = io.WriteString(c, text)
		}
	}
}

// awaitAbort waits until s knows that its context has ended.
func awaitAbort(t *testing.T, s *Session) {
	t.Helper()
	require.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.aborted }, 30*time.Second, time.Microsecond)
}

// awaitNews waits until what the server has done to the connection has arrived.
func awaitNews(t *testing.T, s *Session) {
	t.Helper()
	require.Eventually(t, func() bool { return s.conn.peek() != nil }, 30*time.Second, time.Microsecond)
}

// A server that gives up a connection between two requests costs none of them.
func TestSessionsFindOutBeforeTheySendInVain(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		if !CanPeek {
			t.Skip("this system does not tell")
		}
		for name, serve := range map[string]func(net.Conn){
			"closed":      func(c net.Conn) { c.Close() },
			"half closed": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
			"reset":       func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
			"spoke": func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
			},
		} {
			for _, tt := range []struct {
				method string
				parked bool
				size   int
			}{
				{http.MethodPost, false, 0},
				{http.MethodPost, true, 1},
				{http.MethodGet, true, 0},
				{http.MethodPost, false, 2 * maxInlineBytes},
				{http.MethodPut, true, 2 * maxInlineBytes},
			} {
				read := make(chan struct{}, 1)
				target := rawserver.Start(t, func(c net.Conn) {
					_, _ = io.ReadFull(c, make([]byte, 50+tt.size))
					_, _ = c.Read(make([]byte, 1024))
					_, _ = io.WriteString(c, okResponse)
					<-read // so that the answer ends before what comes now
					serve(c)
					rawserver.Hang(c)
				})
				s := k.open(t, Config{})
				req := request(t, tt.method, target, make([]byte, tt.size))
				for range 3 {
					r, err := s.Do(t.Context(), req, false)
					require.NoError(t, err, name)
					require.Equal(t, 200, r.StatusCode, name)
					read <- struct{}{}
					awaitNews(t, s)
					if tt.parked {
						s.Park()
					}
				}
				require.EqualValues(t, 3, s.client.Conns.Opened(), name)
			}
		}
	})
}

func TestSessionsOverTLSFindOut(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		if !CanPeek {
			t.Skip("this system does not tell")
		}
		srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer srv.Close()
		cfg := Config{TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig}
		s := k.open(t, cfg)
		for _, size := range []int{1, 2 * maxInlineBytes} {
			post := request(t, http.MethodPost, srv.URL, make([]byte, size))
			opened := s.client.Conns.Opened()
			for range 5 {
				_, err := s.Do(t.Context(), post, false)
				require.NoError(t, err)
				s.Park()
			}
			require.Equal(t, max(opened, 1), s.client.Conns.Opened())
			srv.CloseClientConnections()
			_, err := s.Do(t.Context(), post, false)
			require.NoError(t, err)
			require.Equal(t, max(opened, 1)+1, s.client.Conns.Opened())
		}
	})
}

// stubborn connections know no deadlines.
type stubborn struct{ net.Conn }

func (stubborn) SetDeadline(time.Time) error { return errTest }

func TestConnectionsWithoutDeadlinesAreClosed(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		var hanging atomic.Bool
		arrived := make(chan struct{})
		target := rawserver.Start(t, func(c net.Conn) {
			for rawserver.ReadRequest(c) {
				if hanging.Load() {
					arrived <- struct{}{}
					rawserver.Hang(c)
					return
				}
				_, _ = io.WriteString(c, okResponse)
			}
		})
		s := k.open(t, Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return stubborn{c}, err
		}})
		for _, hangs := range []bool{false, true, false} {
			hanging.Store(hangs)
			ctx, cancel := context.WithCancelCause(t.Context())
			if hangs {
				go func() { // ends when the request has arrived
					<-arrived
					cancel(errTest)
				}()
			}
			_, err := s.Do(ctx, get(t, target), false)
			require.Equal(t, hangs, errors.Is(err, errTest), "%v", err)
			cancel(errTest)
			if !hangs {
				awaitAbort(t, s)
			}
		}
		s.Park()
		_, err := s.Do(t.Context(), get(t, target), false)
		require.NoError(t, err, "what the end of a context has closed is replaced")
	})
}

// A context that ends between two requests costs no connection.
func TestSessionsOutliveTheirContexts(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		a, b := rawserver.Start(t, forever(okResponse)), rawserver.Start(t, forever(okResponse))
		s := k.open(t, Config{})
		for i := range 50 {
			ctx, cancel := context.WithCancelCause(t.Context())
			for _, u := range []string{a, b, a} {
				_, err := s.Do(ctx, get(t, u), false)
				require.NoError(t, err)
			}
			cancel(errTest)
			_, err := s.Do(ctx, get(t, a), false)
			require.ErrorIs(t, err, errTest)
			if i%2 == 0 {
				awaitAbort(t, s)
			}
			if i%3 == 0 {
				s.Park()
			}
		}
		require.EqualValues(t, 2, s.client.Conns.Opened())
	})
}

// The parser's requests go over a connection of the system's by the quickest way there is.
func TestWhatIsQuick(t *testing.T) {
	srv := rawserver.Start(t, forever(okResponse))
	forCodecs(t, func(t *testing.T, k codec) {
		s := k.open(t, Config{})
		_, err := s.Do(t.Context(), request(t, http.MethodGet, srv, nil), false)
		require.NoError(t, err)
		_, system := s.conn.dialed().(*net.TCPConn)
		want := !system || k.config.Codec == Parse && newRawConn(s.conn.dialed()) != nil
		require.Equal(t, want, s.conn.fast != nil)
	})
}
