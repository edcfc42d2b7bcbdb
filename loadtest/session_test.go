package loadtest

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/http1"
)

// keeper is a client whose sessions have connections of their own. What is not
// the same for all of them is stated in the tests' rows, by direct and wire.
type keeper struct {
	name string
	wire bool
	make func(ConnectionConfig) Client
}

var keepers = []keeper{
	{"net/http", false, NetHTTP},
	{"wire", true, Wire},
	{"wire by a dialer", true, func(cfg ConnectionConfig) Client { // without rings
		if cfg.DialContext == nil {
			cfg.DialContext = new(net.Dialer).DialContext
		}
		return Wire(cfg)
	}},
}

func forKeepers(t *testing.T, f func(t *testing.T, k keeper)) {
	t.Helper()
	for _, k := range keepers {
		t.Run(k.name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			f(t, k)
		})
	}
}

// forKeepersAndEngines is for tests in virtual time.
func forKeepersAndEngines(t *testing.T, f func(t *testing.T, k keeper, c config)) {
	t.Helper()
	for _, k := range keepers[:2] { // they all get a dialer
		t.Run(k.name, func(t *testing.T) {
			forClosedLoops(t, func(t *testing.T, c config) { f(t, k, c) })
		})
	}
}

// keptSession is a session whose connections tests count.
type keptSession struct {
	Session
	park  func()
	conns *http1.Connections
}

// open opens a session of a new client, which the test closes.
func (k keeper) open(t *testing.T) keptSession {
	t.Helper()
	return k.kept(sessionOf(t, k.make(ConnectionConfig{})))
}

func (keeper) kept(s Session) keptSession {
	if w, ok := s.(*wireSession); ok {
		return keptSession{s, w.Park, w.client.http1.Conns}
	}
	h := s.(*httpSession)
	return keptSession{s, h.Park, h.client.http1.Conns}
}

func TestSessionsDropConnectionsWhenTheServerSaysSo(t *testing.T) {
	bye := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbye"
	for name, tt := range map[string]struct {
		serve        func(net.Conn)
		header       http.Header // of the request
		direct, wire int64       // connections for 10 requests; 0: each fails with ClassProtocol
		check        func(Response) error
		status       int
	}{
		"kept":                    {serve: forever(okResponse), direct: 1, wire: 1},
		"closed":                  {serve: forever("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"), direct: 10, wire: 10},
		"HTTP/1.0":                {serve: forever("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), direct: 10, wire: 10},
		"HTTP/1.0 kept":           {serve: forever("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"), direct: 1, wire: 1},
		"chunked":                 {serve: forever(chunked + "2\r\nok\r\n0\r\nA: trailer\r\n\r\n"), direct: 1, wire: 1},
		"interim":                 {serve: forever("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + okResponse), direct: 1, wire: 1},
		"no body":                 {serve: forever("HTTP/1.1 204 No Content\r\n\r\n"), status: 204, direct: 1, wire: 1},
		"no body, but a length":   {serve: forever("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), status: 204, direct: 1, wire: 1},
		"leftovers":               {serve: forever(okResponse + "x"), direct: 10, wire: 10},
		"a response that is many": {serve: forever(okResponse + okResponse), direct: 10, wire: 10},
		"body without a length":   {serve: answering("HTTP/1.1 200 OK\r\n\r\nto the end"), check: bodyIs("to the end"), direct: 10, wire: 10},
		// net/http leaves it to the server.
		"asked by the request": {serve: forever(okResponse), header: http.Header{"Connection": {"close"}}, direct: 1, wire: 10},
		// What follows is the body, for net/http.
		"another protocol": {serve: answering(bye), check: bodyIs("bye"), status: 101, direct: 10},
	} {
		t.Run(name, func(t *testing.T) {
			forKeepers(t, func(t *testing.T, k keeper) {
				req := &Request{URL: rawServer(t, tt.serve), Header: tt.header, Check: tt.check}
				r, err := Start(t, SyncConfig{Client: k.make(ConnectionConfig{})}).Run(t.Context(), Times(10, req))
				require.NoError(t, err)
				want, status := tt.direct, tt.status
				if k.wire {
					want = tt.wire
				}
				if want == 0 {
					require.Equal(t, map[ErrorClass]int64{ClassProtocol: 10}, r.Errors, r.String())
					return
				}
				if status == 0 {
					status = 200
				}
				require.Equal(t, map[int]int64{status: 10}, r.StatusCodes, r.String())
				require.Empty(t, r.Errors[ClassCheck])
				require.Equal(t, want, r.ConnectionsOpened)
			})
		})
	}
}

func TestEachWorkerHasOneConnection(t *testing.T) {
	workers := map[string]int64{"sync": 1, "threaded": 4, "async": 8}
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t, fixtures.WithLatency(fixtures.Constant(time.Millisecond)))
			e := Start(t, cfg)
			for range 3 {
				r, err := e.Run(t.Context(), Times(100, Get(srv.URL+"/get"), Post(srv.URL+"/get", "", []byte("x"))))
				require.NoError(t, err)
				require.EqualValues(t, 100, r.Requests, r.String())
				require.Equal(t, workers[strings.TrimPrefix(name, "wire/")], srv.Connections(), "later runs reuse them")
			}
		})
	}
}

// The second request on each connection arrives and is never answered.
func TestSessionsRepeatOnlyWhatMayBe(t *testing.T) {
	transport := keeper{"transport", false, func(ConnectionConfig) Client { return byTransport(0) }}
	key := http.Header{"Idempotency-Key": {"k"}}
	for _, k := range append(keepers, transport) {
		fixtures.NoLeaks(t)
		for _, tt := range []struct {
			method       string
			header       http.Header
			direct, wire bool // sent again; NetHTTP does as http.Transport does
		}{
			{"", nil, true, true},
			{"GET", nil, true, true},
			{"HEAD", nil, true, true},
			{"OPTIONS", nil, true, true},
			{"TRACE", nil, true, true},
			{"POST", key, true, true},
			{"PUT", nil, false, true},
			{"DELETE", nil, false, true},
			{"POST", nil, false, false},
			{"PATCH", nil, false, false},
			{"BREW", nil, false, false},
		} {
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
			s := sessionOf(t, k.make(ConnectionConfig{}))
			req := &Request{Method: tt.method, URL: target, Header: tt.header}
			_, err := s.Do(t.Context(), req)
			require.NoError(t, err)
			_, err = s.Do(t.Context(), req)
			if tt.direct && !k.wire || tt.wire && k.wire {
				require.NoError(t, err, "%s, %s", k.name, tt.method)
				require.EqualValues(t, 3, hits.Load(), "%s, %s", k.name, tt.method)
				continue
			}
			require.Contains(t, []ErrorClass{ClassEOF, ClassReset}, classify(err), "%s, %s: %v", k.name, tt.method, err)
			require.EqualValues(t, 2, hits.Load(), "%s, %s", k.name, tt.method)
			if k.wire {
				require.ErrorContains(t, err, "while waiting for the response headers")
			}
		}
	}
}

// A request that fails on its first connection is not sent over another.
func TestSessionsRepeatNothingOverANewConnection(t *testing.T) {
	forKeepers(t, func(t *testing.T, k keeper) {
		var hits atomic.Int64
		target := rawServer(t, func(c net.Conn) {
			if readRequest(c) {
				hits.Add(1)
			}
		})
		_, err := k.open(t).Do(t.Context(), Get(target))
		if k.wire {
			require.ErrorIs(t, err, io.EOF)
		} else {
			require.Equal(t, io.EOF, err, "as http.Transport has it")
		}
		require.EqualValues(t, 1, hits.Load())
	})
}

// A server may answer before it has read a long body, and never read the rest.
func TestSessionsReadAnswersToRequestsThatAreStillOnTheirWay(t *testing.T) {
	for name, end := range map[string]func(*testing.T, net.Conn){
		"and waits": func(t *testing.T, _ net.Conn) { <-t.Context().Done() },
		"and closes": func(_ *testing.T, c net.Conn) {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.CopyN(io.Discard, c, 1<<20) // a reset would overtake the answer
		},
	} {
		t.Run(name, func(t *testing.T) {
			forKeepers(t, func(t *testing.T, k keeper) {
				target := rawServer(t, func(c net.Conn) {
					_, _ = io.ReadFull(c, make([]byte, 1000))
					_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
					end(t, c)
				})
				s := k.open(t)
				req := Post(target, "text/plain", make([]byte, 32<<20))
				for range 2 {
					r, err := s.Do(t.Context(), req)
					require.NoError(t, err)
					require.Equal(t, 413, r.StatusCode)
					require.EqualValues(t, 2, r.Bytes)
				}
				require.EqualValues(t, 2, s.conns.Opened(), "what is left of the body costs the connection")
			})
		})
	}
	t.Run("and nobody answers", func(t *testing.T) {
		forKeepersAndEngines(t, func(t *testing.T, k keeper, c config) {
			l := newPipes()
			go func() { // ends with l.Close
				for {
					if _, err := l.Accept(); err != nil {
						return
					}
				}
			}()
			e := newEngine(t, c.make(k.make(ConnectionConfig{DialContext: l.dial}), time.Second))
			r, err := e.Run(t.Context(), Times(200, Post("http://pipe/", "", make([]byte, 100)), Get("http://pipe/")))
			require.NoError(t, err)
			require.Equal(t, map[ErrorClass]int64{ClassTimeoutHeaders: 200}, r.Errors, r.String())
			closeEngine(t, e)
			l.Close()
		})
	})
}

func TestSessionsRefuseNoRequest(t *testing.T) {
	forKeepers(t, func(t *testing.T, k keeper) {
		_, err := k.open(t).Do(t.Context(), nil)
		require.ErrorIs(t, err, ErrInvalidRequest)
	})
}
