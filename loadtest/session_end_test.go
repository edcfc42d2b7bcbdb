package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// In memory, and so in virtual time: nothing but the server takes any.
func TestSessionsInVirtualTime(t *testing.T) {
	forKeepersAndEngines(t, func(t *testing.T, k keeper, c config) {
		l := newPipes()
		serveHTTP(t, l, 10*time.Millisecond)
		e := newEngine(t, c.make(k.make(ConnectionConfig{DialContext: l.dial}), 0))
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

func TestSessionsTimeOutInVirtualTime(t *testing.T) {
	forKeepersAndEngines(t, func(t *testing.T, k keeper, c config) {
		l := newPipes()
		serveHTTP(t, l, time.Minute)
		e := newEngine(t, c.make(k.make(ConnectionConfig{DialContext: l.dial}), time.Second))
		r, err := e.Run(t.Context(), Times(200, Get("http://pipe/")))
		require.NoError(t, err)
		require.Equal(t, map[ErrorClass]int64{ClassTimeoutHeaders: 200}, r.Errors, r.String())
		closeEngine(t, e)
	})
}

// Connections expire while no session uses them, and not before.
func TestParkedConnectionsExpire(t *testing.T) {
	for _, k := range keepers[:2] {
		synctest.Test(t, func(t *testing.T) {
			l := newPipes()
			serveHTTP(t, l, 0)
			c := k.make(ConnectionConfig{DialContext: l.dial, KeepaliveExpiry: time.Minute})
			session, err := c.Session()
			require.NoError(t, err)
			s := k.kept(session)
			do := func() {
				_, err := s.Do(t.Context(), Get("http://pipe/"))
				require.NoError(t, err)
			}
			do()
			time.Sleep(time.Hour)
			do()
			require.EqualValues(t, 1, s.conns.Opened(), "between requests of a run they do not")
			s.park()
			time.Sleep(time.Minute - 1)
			synctest.Wait()
			require.Equal(t, 1, s.conns.Open())
			do()
			s.park()
			time.Sleep(time.Minute - 1)
			synctest.Wait()
			require.Equal(t, 1, s.conns.Open(), "a request starts the time anew")
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Zero(t, s.conns.Open())
			do()
			require.EqualValues(t, 2, s.conns.Opened())
			require.NoError(t, s.Close())
			require.NoError(t, c.Close())
			require.Zero(t, s.conns.Open())
		})
	}
}

// Contexts that end at any time leave no session behind that does not work.
func TestSessionsSurviveCancellationAtAnyTime(t *testing.T) {
	forKeepers(t, func(t *testing.T, k keeper) {
		a, b := rawServer(t, forever(okResponse)), rawServer(t, forever(okResponse))
		s := k.open(t)
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
	})
}

func TestClosingAClientEndsItsRequests(t *testing.T) {
	forKeepers(t, func(t *testing.T, k keeper) {
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
			c := k.make(ConnectionConfig{})
			session, err := c.Session()
			require.NoError(t, err)
			s := k.kept(session)
			var wg sync.WaitGroup
			wg.Go(func() { // ends with Close
				if _, err := s.Do(context.Background(), Get(target)); !errors.Is(err, ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
			})
			<-arrived
			require.NoError(t, c.Close())
			wg.Wait()
			require.Zero(t, s.conns.Open())
			require.NoError(t, s.Close())
		}
	})
}

// Whatever a server does, every request is accounted for, and none that must not
// be repeated arrives twice.
func TestSessionsSurviveChaos(t *testing.T) {
	fixtures.NoLeaks(t)
	for name, cfg := range allEngines(ConnectionConfig{}, 20*time.Millisecond) {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			hits := map[string]int{}
			random := rand.New(rand.NewPCG(1, 2))
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
					die := random.IntN(100)
					mu.Unlock()
					switch {
					case die < 80:
						_, _ = io.WriteString(c, okResponse)
					case die < 84:
						_, _ = io.WriteString(c, okResponse)
						return // without having said so
					case die < 86:
						_, _ = io.WriteString(c, "HTTP/1.1 503 Sorry\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
						return
					case die < 88:
						_ = c.(*net.TCPConn).SetLinger(0)
						return
					case die < 90:
						_, _ = io.WriteString(c, "garbage\r\n")
					case die < 92:
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123")
						return
					case die < 94:
						_, _ = io.WriteString(c, okResponse+okResponse)
					case die < 96:
						_, _ = io.WriteString(c, chunked+"2\r\nok\r\n0\r\n")
						_, _ = io.WriteString(c, "\r\n")
					case die < 98:
						return
					case die < 99:
						hang(c)
						return
					default:
						_, _ = io.WriteString(c, okResponse)
						_ = c.(*net.TCPConn).SetLinger(0)
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
			for _, class := range []ErrorClass{ClassStatus, ClassProtocol, ClassEOF, ClassTimeoutHeaders} {
				require.Positive(t, r.Errors[class], r.String())
			}
			mu.Lock()
			defer mu.Unlock()
			for line, k := range hits {
				switch {
				case k == 1:
				case strings.HasPrefix(line, "POST") || k > 2:
					require.Failf(t, "sent again", "%s arrived %d times", line, k)
				}
			}
		})
	}
}
