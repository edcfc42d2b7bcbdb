package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

func TestLanesEndWhenTheServerSaysSo(t *testing.T) {
	for name, tt := range map[string]struct {
		response string
		opened   int64
	}{
		"kept":                    {okResponse, 1},
		"closed":                  {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 10},
		"HTTP/1.0":                {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 10},
		"HTTP/1.0 kept":           {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 1},
		"chunked":                 {chunked + "2\r\nok\r\n0\r\nA: trailer\r\n\r\n", 1},
		"interim":                 {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + okResponse, 1},
		"no body":                 {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 1},
		"leftovers":               {okResponse + "x", 10},
		"a response that is many": {okResponse + okResponse, 10},
	} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			target := rawServer(t, forever(tt.response))
			r, err := Start(t, SyncConfig{}).Run(t.Context(), Times(10, Get(target)))
			require.NoError(t, err)
			require.EqualValues(t, 10, r.SuccessCount, r.String())
			require.Equal(t, tt.opened, r.ConnectionsOpened)
		})
	}
	t.Run("body without a length", func(t *testing.T) {
		target := rawServer(t, answering("HTTP/1.1 200 OK\r\n\r\nto the end"))
		r, err := Start(t, SyncConfig{}).Run(t.Context(), Times(10, &Request{URL: target, Check: bodyIs("to the end")}))
		require.NoError(t, err)
		require.EqualValues(t, 10, r.SuccessCount, r.String())
		require.EqualValues(t, 10, r.ConnectionsOpened)
	})
	t.Run("another protocol", func(t *testing.T) {
		target := rawServer(t, answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbye"))
		r, err := Start(t, SyncConfig{}).Run(t.Context(), Times(10, &Request{URL: target, Check: bodyIs("bye")}))
		require.NoError(t, err)
		require.Equal(t, map[int]int64{101: 10}, r.StatusCodes)
		require.EqualValues(t, 10, r.ConnectionsOpened)
	})
}

func TestEachWorkerHasOneLane(t *testing.T) {
	workers := map[string]int64{"sync": 1, "threaded": 4, "async": 8}
	for name, cfg := range httpEngines(ConnectionConfig{}, 0) {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t, fixtures.WithLatency(fixtures.Constant(time.Millisecond)))
			e := Start(t, cfg)
			for range 3 {
				r, err := e.Run(t.Context(), Times(100, Get(srv.URL+"/get"), Post(srv.URL+"/get", "", []byte("x"))))
				require.NoError(t, err)
				require.EqualValues(t, 100, r.Requests, r.String())
				require.Equal(t, workers[name], srv.Connections(), "later runs reuse them")
			}
		})
	}
}

// Only what does not go by lanes needs a transport.
func TestTransportsAreMadeWhenTheyAreNeeded(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t)
	c := NetHTTP(ConnectionConfig{}).(*httpClient)
	session, err := c.privateSession()
	require.NoError(t, err)
	s := session.(*httpSession)
	_, err = s.Do(t.Context(), Get(srv.URL+"/get"))
	require.NoError(t, err)
	require.Nil(t, s.transport)
	_, err = s.Do(t.Context(), &Request{Method: http.MethodPost, URL: srv.URL + "/get", Body: []byte("x"), Header: http.Header{"Expect": {"100-continue"}}})
	require.NoError(t, err)
	require.NotNil(t, s.transport)
	require.EqualValues(t, 2, srv.Connections())
	require.NoError(t, s.Close())
	require.NotContains(t, c.transports, s.transport)
	require.NoError(t, c.Close())
	require.Zero(t, c.conns.count())
}

// The second request on each connection arrives and is never answered.
func TestLanesRepeatWhatTransportRepeats(t *testing.T) {
	fixtures.NoLeaks(t)
	key := http.Header{"Idempotency-Key": {"k"}}
	for _, tt := range []struct {
		method string
		header http.Header
		again  bool
	}{
		{"", nil, true},
		{"GET", nil, true},
		{"HEAD", nil, true},
		{"OPTIONS", nil, true},
		{"TRACE", nil, true},
		{"POST", key, true},
		{"PUT", nil, false},
		{"DELETE", nil, false},
		{"POST", nil, false},
		{"BREW", nil, false},
	} {
		for _, client := range []Client{NetHTTP(ConnectionConfig{}), byTransport(0)} {
			var hits atomic.Int64
			target := rawServer(t, func(c net.Conn) {
				for i := range 2 {
					if !readRequest(c) {
						return
					}
					if hits.Add(1); i == 0 {
						_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
					}
				}
			})
			s := sessionOf(t, client)
			req := &Request{Method: tt.method, URL: target, Header: tt.header}
			_, err := s.Do(t.Context(), req)
			require.NoError(t, err)
			_, err = s.Do(t.Context(), req)
			if tt.again {
				require.NoError(t, err, tt.method)
				require.EqualValues(t, 3, hits.Load(), tt.method)
				continue
			}
			require.Contains(t, []ErrorClass{ClassEOF, ClassReset}, classify(err), "%s: %v", tt.method, err)
			require.EqualValues(t, 2, hits.Load(), tt.method)
		}
	}
}

// A request that fails on its first connection is not sent over another.
func TestLanesRepeatNothingOverANewConnection(t *testing.T) {
	fixtures.NoLeaks(t)
	var hits atomic.Int64
	target := rawServer(t, func(c net.Conn) {
		if readRequest(c) {
			hits.Add(1)
		}
	})
	_, err := laneSessionOf(t, ConnectionConfig{}).Do(t.Context(), Get(target))
	require.Equal(t, io.EOF, err, "as http.Transport has it")
	require.EqualValues(t, 1, hits.Load())
}

// A server that gives up a connection between two requests costs none of them.
func TestLanesFindOutBeforeTheySendInVain(t *testing.T) {
	if !canPeek {
		t.Skip("this system does not tell")
	}
	fixtures.NoLeaks(t)
	for name, serve := range map[string]func(net.Conn){
		"closed":      func(net.Conn) {},
		"half closed": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
		"reset":       func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) },
		"spoke": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
		},
	} {
		for _, tt := range []struct {
			method string
			parked bool
			size   int
		}{
			{http.MethodPost, false, 0}, {http.MethodPost, true, 1}, {http.MethodPost, false, 2 * maxInlineBytes}, {http.MethodGet, true, 0},
		} {
			gone := make(chan struct{}, 1)
			target := rawServer(t, func(c net.Conn) {
				_, _ = io.ReadFull(c, make([]byte, 50+tt.size))
				_, _ = c.Read(make([]byte, 1024))
				_, _ = io.WriteString(c, okResponse)
				serve(c)
				if name == "closed" || name == "reset" {
					c.Close()
				}
				time.AfterFunc(10*time.Millisecond, func() { gone <- struct{}{} }) // until it has arrived
				hang(c)
			})
			s := laneSessionOf(t, ConnectionConfig{})
			req := &Request{Method: tt.method, URL: target, Body: make([]byte, tt.size)}
			for range 3 {
				r, err := s.Do(t.Context(), req)
				require.NoError(t, err, name)
				require.Equal(t, 200, r.StatusCode, name)
				<-gone
				if tt.parked {
					s.park()
				}
			}
			require.EqualValues(t, 3, s.client.connectionsOpened(), name)
		}
	}
}

func TestLanesOverTLSFindOut(t *testing.T) {
	if !canPeek {
		t.Skip("this system does not tell")
	}
	fixtures.NoLeaks(t)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s := laneSessionOf(t, ConnectionConfig{TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig, Protocols: protocols})
	post := Post(srv.URL, "", []byte("x"))
	for range 5 {
		_, err := s.Do(t.Context(), post)
		require.NoError(t, err)
		s.park()
	}
	require.EqualValues(t, 1, s.client.connectionsOpened())
	srv.CloseClientConnections()
	_, err := s.Do(t.Context(), post)
	require.NoError(t, err)
	require.EqualValues(t, 2, s.client.connectionsOpened())
}

// A server may answer before it has read a long body, and never read the rest.
func TestLanesReadAnswersToRequestsThatAreStillOnTheirWay(t *testing.T) {
	fixtures.NoLeaks(t)
	for name, end := range map[string]func(*testing.T, net.Conn){
		"and waits": func(t *testing.T, _ net.Conn) { <-t.Context().Done() },
		"and closes": func(_ *testing.T, c net.Conn) {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.CopyN(io.Discard, c, 1<<20) // a reset would overtake the answer
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := rawServer(t, func(c net.Conn) {
				_, _ = io.ReadFull(c, make([]byte, 1000))
				_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
				end(t, c)
			})
			s := laneSessionOf(t, ConnectionConfig{})
			for range 2 {
				r, err := s.Do(t.Context(), Post(target, "text/plain", make([]byte, 32<<20)))
				require.NoError(t, err)
				require.Equal(t, 413, r.StatusCode)
				require.EqualValues(t, 2, r.Bytes)
			}
			require.EqualValues(t, 2, s.client.connectionsOpened(), "what is left of the body costs the connection")
		})
	}
	t.Run("and nobody answers", func(t *testing.T) {
		forEngines(t, func(t *testing.T, c config) {
			l := newPipes()
			go func() { // ends with l.Close
				for {
					if _, err := l.Accept(); err != nil {
						return
					}
				}
			}()
			e := newEngine(t, c.make(NetHTTP(ConnectionConfig{DialContext: l.dial}), time.Second))
			r, err := e.Run(t.Context(), Times(200, Post("http://pipe/", "", make([]byte, 100)), Get("http://pipe/")))
			require.NoError(t, err)
			require.Equal(t, map[ErrorClass]int64{ClassTimeoutHeaders: 200}, r.Errors, r.String())
			closeEngine(t, e)
			l.Close()
		})
	})
}

// In memory, and so in virtual time: nothing but the server takes any.
func TestLanesInVirtualTime(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		l := newPipes()
		serveHTTP(t, l, 10*time.Millisecond)
		e := newEngine(t, c.make(NetHTTP(ConnectionConfig{DialContext: l.dial}), 0))
		body := make([]byte, 20_000)
		r, err := e.Run(t.Context(), Times(300, Get("http://pipe/"), Post("http://pipe/", "", body[:10]), Post("http://pipe/", "", body)))
		require.NoError(t, err)
		accounted(t, 300, r)
		require.EqualValues(t, 300, r.SuccessCount, r.String())
		require.Equal(t, 10*time.Millisecond, r.P50())
		require.Equal(t, 10*time.Millisecond, r.Quantile(1))
		require.EqualValues(t, c.workers, r.ConnectionsOpened)
		closeEngine(t, e)
	})
}

func TestLanesTimeOutInVirtualTime(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		l := newPipes()
		serveHTTP(t, l, time.Minute)
		e := newEngine(t, c.make(NetHTTP(ConnectionConfig{DialContext: l.dial}), time.Second))
		r, err := e.Run(t.Context(), Times(200, Get("http://pipe/")))
		require.NoError(t, err)
		require.Equal(t, map[ErrorClass]int64{ClassTimeoutHeaders: 200}, r.Errors, r.String())
		closeEngine(t, e)
	})
}

// Lanes expire while no session uses them, and not before.
func TestParkedLanesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		serveHTTP(t, l, 0)
		c := NetHTTP(ConnectionConfig{DialContext: l.dial, KeepaliveExpiry: time.Minute}).(*httpClient)
		session, err := c.Session()
		require.NoError(t, err)
		s := session.(*httpSession)
		do := func() {
			_, err := s.Do(t.Context(), Get("http://pipe/"))
			require.NoError(t, err)
		}
		do()
		time.Sleep(time.Hour)
		do()
		require.EqualValues(t, 1, c.connectionsOpened(), "between requests of a run they do not")
		s.park()
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Equal(t, 1, c.conns.count())
		do()
		s.park()
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Equal(t, 1, c.conns.count(), "a request starts the time anew")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Zero(t, c.conns.count())
		do()
		require.EqualValues(t, 2, c.connectionsOpened())
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
		require.Zero(t, c.conns.count())
	})
}

func TestLanesWithoutDeadlinesAreClosed(t *testing.T) {
	fixtures.NoLeaks(t)
	var hanging atomic.Bool
	target := rawServer(t, func(c net.Conn) {
		for readRequest(c) {
			if hanging.Load() {
				hang(c)
				return
			}
			_, _ = io.WriteString(c, okResponse)
		}
	})
	s := laneSessionOf(t, ConnectionConfig{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return stubborn{c}, err
	}})
	for _, hangs := range []bool{false, true, false} {
		hanging.Store(hangs)
		ctx, cancel := context.WithCancelCause(t.Context())
		if hangs {
			time.AfterFunc(20*time.Millisecond, func() { cancel(errTest) })
		}
		_, err := s.Do(ctx, Get(target))
		require.Equal(t, hangs, errors.Is(err, errTest), "%v", err)
		cancel(errTest)
		if !hangs {
			require.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.aborted }, 10*time.Second, time.Microsecond)
		}
	}
	s.park()
	_, err := s.Do(t.Context(), Get(target))
	require.NoError(t, err, "what the end of a context has closed is replaced")
}

// A context that ends between two requests costs no lane.
func TestLanesOutliveTheirContexts(t *testing.T) {
	fixtures.NoLeaks(t)
	a, b := rawServer(t, forever(okResponse)), rawServer(t, forever(okResponse))
	s := laneSessionOf(t, ConnectionConfig{})
	for i := range 50 {
		ctx, cancel := context.WithCancelCause(t.Context())
		for _, u := range []string{a, b, a} {
			_, err := s.Do(ctx, Get(u))
			require.NoError(t, err)
		}
		cancel(errTest)
		_, err := s.Do(ctx, Get(a))
		require.ErrorIs(t, err, errTest)
		if i%2 == 0 {
			require.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.aborted }, 10*time.Second, time.Microsecond)
		}
		if i%3 == 0 {
			s.park()
		}
	}
	require.EqualValues(t, 2, s.client.connectionsOpened())
}

// Contexts that end at any time leave no session behind that does not work.
func TestLanesSurviveCancellationAtAnyTime(t *testing.T) {
	fixtures.NoLeaks(t)
	a, b := rawServer(t, forever(okResponse)), rawServer(t, forever(okResponse))
	s := laneSessionOf(t, ConnectionConfig{})
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%100)*time.Microsecond)
		for _, u := range []string{a, a, b, a, b} {
			if _, err := s.Do(ctx, Get(u)); err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				break
			}
		}
		cancel()
		_, err := s.Do(t.Context(), Get(a))
		require.NoError(t, err)
	}
}

func TestClosingEndsTheRequestsOnLanes(t *testing.T) {
	fixtures.NoLeaks(t)
	for name, answer := range map[string]string{
		"headers": "",
		"body":    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
	} {
		arrived := make(chan struct{})
		target := rawServer(t, func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, answer)
			close(arrived)
			hang(c)
		})
		c := NetHTTP(ConnectionConfig{}).(*httpClient)
		s, err := c.Session()
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { // ends with Close
			if _, err := s.Do(context.Background(), Get(target)); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		})
		<-arrived
		require.NoError(t, c.Close())
		wg.Wait()
		require.Zero(t, c.conns.count())
		require.NoError(t, s.Close())
	}
}

// Whatever a server does, every request is accounted for, and none that must not
// be repeated arrives twice.
func TestLanesSurviveChaos(t *testing.T) {
	fixtures.NoLeaks(t)
	endings := []string{
		okResponse, okResponse, okResponse, okResponse, okResponse, okResponse,
		"HTTP/1.1 503 Sorry\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "garbage\r\n", "",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", chunked + "2\r\nok\r\n0\r\n\r\n",
	}
	for name, cfg := range httpEngines(ConnectionConfig{}, 50*time.Millisecond) {
		t.Run(name, func(t *testing.T) {
			var (
				mu    sync.Mutex
				hits  = map[string]int{}
				turns atomic.Int64
			)
			target := rawServer(t, func(c net.Conn) {
				for {
					buf := make([]byte, 1024)
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					line, _, _ := strings.Cut(string(buf[:n]), " HTTP")
					mu.Lock()
					hits[line]++
					mu.Unlock()
					turn := int(turns.Add(1))
					_, _ = io.WriteString(c, endings[turn%len(endings)])
					switch {
					case turn%97 == 0:
						hang(c)
						return
					case turn%41 == 0:
						_ = c.(*net.TCPConn).SetLinger(0)
						return
					case turn%len(endings) > 5 && turn%len(endings) < 10 || turn%13 == 0:
						return
					}
				}
			})
			var n int
			r, err := Start(t, cfg).Run(t.Context(), Seq(func(yield func(*Request) bool) {
				for ; n < 1000; n++ {
					method := http.MethodPost
					if n%2 == 0 {
						method = http.MethodGet
					}
					if !yield(&Request{Method: method, URL: fmt.Sprint(target, n)}) {
						return
					}
				}
			}))
			require.NoError(t, err)
			require.EqualValues(t, 1000, r.Requests)
			require.EqualValues(t, 1000, r.SuccessCount+r.ErrorCount)
			require.Zero(t, r.Errors[ClassOther]+r.Errors[ClassLocal]+r.Errors[ClassCanceled], r.String())
			for _, class := range []ErrorClass{ClassStatus, ClassProtocol, ClassEOF} {
				require.Positive(t, r.Errors[class], r.String())
			}
			mu.Lock()
			defer mu.Unlock()
			for line, k := range hits {
				if k > 2 || k == 2 && strings.HasPrefix(line, "POST") {
					require.Failf(t, "sent again", "%s arrived %d times", line, k)
				}
			}
		})
	}
}
