package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest/internal/rawserver"
	"example.com/brunt/resilience"
)

var rawServer, readRequest, hang = rawserver.Start, rawserver.ReadRequest, rawserver.Hang

func listen(t *testing.T) net.Listener { t.Helper(); return rawserver.Listen(t) }

func reply(text string) func(net.Conn) {
	return func(c net.Conn) {
		if readRequest(c) {
			_, _ = io.WriteString(c, text)
		}
	}
}

// endless sends head once and then part until the client has had enough.
func endless(head, part string) func(net.Conn) {
	return func(c net.Conn) {
		if !readRequest(c) {
			return
		}
		_, err := io.WriteString(c, head)
		for err == nil {
			_, err = io.WriteString(c, part)
		}
	}
}

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestBrokenServersAreClassed(t *testing.T) {
	refused := func(t *testing.T) string {
		t.Helper()
		l := listen(t)
		defer l.Close()
		return "http://" + l.Addr().String() + "/"
	}
	dialError := func(err error) ConnectionConfig {
		return ConnectionConfig{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}}
	}
	nowhere := func(*testing.T) string { return "http://nowhere.test/" }
	raw := func(serve func(net.Conn)) func(*testing.T) string {
		return func(t *testing.T) string { t.Helper(); return rawServer(t, serve) }
	}
	tlsServer := func(t *testing.T) string { t.Helper(); return fixtures.NewServer(t, fixtures.WithTLS()).URL }
	// an outdated version is the point
	oldTLS := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, InsecureSkipVerify: true}
	for _, tt := range []struct {
		name string
		url  func(*testing.T) string
		conn ConnectionConfig
		want ErrorClass
	}{
		{"refused", refused, ConnectionConfig{}, ClassRefused},
		{"reset", raw(func(c net.Conn) {
			readRequest(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		}), ConnectionConfig{}, ClassReset},
		{"closes without an answer", raw(func(c net.Conn) { readRequest(c) }), ConnectionConfig{}, ClassEOF},
		{"garbage", raw(reply("SMTP? no, thanks\r\n\r\n")), ConnectionConfig{}, ClassProtocol},
		{"no status", raw(reply("HTTP/1.1 two hundred\r\n\r\n")), ConnectionConfig{}, ClassProtocol},
		{"two lengths", raw(reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")), ConnectionConfig{}, ClassProtocol},
		{"bad length", raw(reply("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabcd")), ConnectionConfig{}, ClassProtocol},
		{"bad chunk", raw(reply(chunked + "xyz\r\n")), ConnectionConfig{}, ClassProtocol},
		{"truncated body", raw(reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")), ConnectionConfig{}, ClassEOF},
		{"truncated chunk", raw(reply(chunked + "5\r\nabc")), ConnectionConfig{}, ClassEOF},
		{"truncated headers", raw(reply("HTTP/1.1 200 OK\r\nServer: x\r\n")), ConnectionConfig{}, ClassEOF},
		{"endless headers", raw(endless("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("b", 60_000)+"\r\n")), ConnectionConfig{}, ClassProtocol},
		{"endless body", raw(endless(chunked, "3e8\r\n"+strings.Repeat("x", 1000)+"\r\n")), ConnectionConfig{MaxResponseBytes: 100_000}, ClassBodyLimit},
		{"plain HTTP behind https", func(t *testing.T) string {
			t.Helper()
			return strings.Replace(fixtures.NewServer(t).URL, "http:", "https:", 1)
		}, ConnectionConfig{}, ClassTLS},
		{"untrusted certificate", tlsServer, ConnectionConfig{}, ClassTLS},
		{"TLS alert", tlsServer, ConnectionConfig{TLS: oldTLS}, ClassTLS},
		{"no such host", nowhere, dialError(&net.DNSError{Err: "no such host", Name: "nowhere.test", IsNotFound: true}), ClassDNS},
		{"name server silent", nowhere, dialError(&net.DNSError{Err: "timeout", Name: "nowhere.test", IsTimeout: true}), ClassTimeoutDNS},
		{"out of file descriptors", nowhere, dialError(syscall.EMFILE), ClassLocal},
		{"out of ports", nowhere, dialError(syscall.EADDRNOTAVAIL), ClassLocal},
		{"no route", nowhere, dialError(syscall.EHOSTUNREACH), ClassUnreachable},
		{"no network", nowhere, dialError(os.NewSyscallError("connect", syscall.ENETUNREACH)), ClassUnreachable},
		{"no route on Windows", nowhere, dialError(winsock(10065)), ClassUnreachable},
		{"a port that none has", nowhere, dialError(&net.AddrError{Err: "invalid port", Addr: "99999"}), ClassInvalid},
		{"an address that none has", nowhere, dialError(&net.ParseError{Type: "IP address", Text: "1.2.3"}), ClassInvalid},
		{"a zone of no interface", nowhere, dialError(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EINVAL)}), ClassInvalid},
		{"a name that none has", func(*testing.T) string { return "http://a..b/" }, ConnectionConfig{}, ClassDNS},
		{"refused on Windows", nowhere, dialError(winsock(10061)), ClassRefused},
		{"reset on Windows", nowhere, dialError(winsock(10054)), ClassReset},
		{"out of ports on Windows", nowhere, dialError(winsock(10055)), ClassLocal},
		{"anything else", nowhere, dialError(errTest), ClassOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			target := tt.url(t)
			n := int64(8) // one for each worker
			if strings.HasPrefix(tt.name, "endless") {
				n = 2 // each is read up to its limit
			}
			for name, cfg := range allEngines(tt.conn, 0) {
				r, err := Start(t, cfg).Run(t.Context(), Times(int(n), Get(target)))
				require.NoError(t, err, "a broken server is a result, not an error")
				accounted(t, n, r)
				require.Equal(t, map[ErrorClass]int64{tt.want: n}, r.Errors, "%s: %v", name, r)
				require.NotEmpty(t, r.ErrorExamples[tt.want])
				if tt.want == ClassLocal {
					require.Contains(t, fmt.Sprint(r.Warnings), "a limit of this machine")
				}
			}
		})
	}
}

func TestUnresolvableHostNamesItself(t *testing.T) {
	// .invalid never resolves (RFC 6761); without a name server it fails, too.
	r, err := Start(t, SyncConfig{}).Run(t.Context(), URLs("http://brunt.invalid/"))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Errors[ClassDNS]+r.Errors[ClassTimeoutDNS], r.String())
	require.Contains(t, r.String(), "brunt.invalid")
}

func TestTimeoutsNameTheirPhase(t *testing.T) {
	silent := func(t *testing.T) string { t.Helper(); return rawServer(t, hang) }
	silentTLS := func(t *testing.T) string {
		t.Helper()
		return strings.Replace(silent(t), "http:", "https:", 1)
	}
	blocked := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, tt := range []struct {
		name string
		url  func(*testing.T) string
		conn ConnectionConfig
		want ErrorClass
		text string
	}{
		{"connect", silent, ConnectionConfig{DialContext: blocked}, ClassTimeoutConnect, "within LIMIT, connecting"},
		{"connect, by its own limit", silent, ConnectionConfig{DialContext: blocked, Timeout: time.Millisecond}, ClassTimeoutConnect, "deadline exceeded"},
		{"TLS", silentTLS, ConnectionConfig{}, ClassTimeoutTLS, "within LIMIT, in the TLS handshake"},
		{"TLS, by its own limit", silentTLS, ConnectionConfig{Timeout: 50 * time.Millisecond}, ClassTimeoutTLS, "handshake timeout"},
		{"headers", silent, ConnectionConfig{}, ClassTimeoutHeaders, "within LIMIT, waiting for the response headers"},
		{"body", func(t *testing.T) string {
			t.Helper()
			return rawServer(t, func(c net.Conn) {
				reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")(c)
				hang(c)
			})
		}, ConnectionConfig{}, ClassTimeoutBody, "within LIMIT, reading the response body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			target := tt.url(t)
			patiently(t, func(timeout time.Duration) []*EngineResult {
				if tt.conn.Timeout > 0 {
					timeout = time.Minute
				}
				var out []*EngineResult
				var waiting sync.WaitGroup
				var mu sync.Mutex
				for _, cfg := range allEngines(tt.conn, timeout) {
					e := Start(t, cfg)
					waiting.Go(func() { // ends with the run; all of them only wait
						r, err := e.Run(t.Context(), Times(8, Get(target)))
						mu.Lock()
						defer mu.Unlock()
						if err != nil {
							t.Error(err)
						}
						out = append(out, r)
					})
				}
				waiting.Wait()
				return out
			}, tt.want, tt.text)
		})
	}
}

// patiently wants all eight requests of each run to be of one class. On a machine
// that is busy with other things a short limit may end them in an earlier phase:
// then it tries again with a longer one, which stands for LIMIT in text.
func patiently(t *testing.T, runs func(limit time.Duration) []*EngineResult, want ErrorClass, text string) {
	t.Helper()
	only := map[ErrorClass]int64{want: 8}
	for limit := 50 * time.Millisecond; ; limit *= 4 {
		results, again := runs(limit), false
		for _, r := range results {
			again = again || !maps.Equal(only, r.Errors)
		}
		if again && limit < 2*time.Second {
			continue
		}
		for _, r := range results {
			require.Equal(t, only, r.Errors, "%v", r)
			require.Contains(t, r.ErrorExamples[want], strings.ReplaceAll(text, "LIMIT", limit.String()))
		}
		return
	}
}

func TestWaitingForThePoolIsAPhase(t *testing.T) {
	fixtures.NoLeaks(t)
	for name, conn := range map[string]ConnectionConfig{
		"of one host": {MaxKeepaliveConnections: 1},
		"in all":      {MaxConnections: 1},
	} {
		t.Run(name, func(t *testing.T) {
			busy := make(chan struct{})
			target := rawServer(t, func(c net.Conn) {
				// A dial that is still pending when the first connection ends comes
				// through, but nothing is sent over it.
				if readRequest(c) {
					close(busy)
					hang(c)
				}
			})
			c := NetHTTP(conn)
			var wg sync.WaitGroup
			holding, release := context.WithCancel(t.Context())
			wg.Go(func() { // ends with release
				s, _ := c.Session()
				_, _ = s.Do(holding, Get(target))
			})
			<-busy
			s, err := c.Session()
			require.NoError(t, err)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(&TimeoutError{})
			_, err = s.Do(ctx, Get(target))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			waiting, cancelWait := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancelWait()
			_, err = s.Do(waiting, Get(target))
			require.Equal(t, ClassTimeoutPool, classify(err), "%v", err)
			release()
			wg.Wait()
			require.NoError(t, c.Close())
		})
	}
}

// running lists the runs whose workers are at work.
func (c *engine) running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for r := range c.runs {
		if r.active.Load() > 0 {
			n++
		}
	}
	return n
}

// Whatever happens to a run, nothing of it is left.
func TestNothingLeaksWhenThingsGoWrong(t *testing.T) {
	for name := range allEngines(ConnectionConfig{}, 0) {
		for _, pooling := range []Pooling{PoolOptimized, PoolNaive} {
			config := func() EngineConfig { return allEngines(ConnectionConfig{Pooling: pooling}, 0)[name] }
			checked := func(srv *fixtures.Server, check func()) Source {
				return Times(100, &Request{URL: srv.URL + "/get", Check: func(Response) error { check(); return nil }})
			}
			for ending, f := range map[string]func(t *testing.T){
				"normal end": func(t *testing.T) {
					srv := fixtures.NewServer(t)
					_, err := Start(t, config()).Run(t.Context(), Times(100, Get(srv.URL+"/get")))
					require.NoError(t, err)
				},
				"canceled context": func(t *testing.T) {
					srv := fixtures.NewServer(t)
					ctx, cancel := context.WithCancel(t.Context())
					var n atomic.Int64
					r, err := Start(t, config()).RunStreaming(ctx, Times(1000, Get(srv.URL+"/get")), func(RequestResult) error {
						if n.Add(1) == 50 {
							cancel()
						}
						return nil
					})
					require.ErrorIs(t, err, context.Canceled)
					accounted(t, 1000, r)
				},
				"server that hangs": func(t *testing.T) {
					target := rawServer(t, hang)
					e := newEngine(t, config())
					var wg sync.WaitGroup
					wg.Go(func() { // ends with the run
						r, err := e.Run(context.Background(), Times(1000, Get(target)))
						if !errors.Is(err, ErrClosed) || r.Requests+r.Unsent != 1000 {
							t.Errorf("run: %v, %v", r, err)
						}
					})
					require.Eventually(t, func() bool { return e.(interface{ running() int }).running() > 0 }, 10*time.Second, time.Millisecond)
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					require.NoError(t, e.Close(ctx))
					wg.Wait()
				},
				"panic in a check": func(t *testing.T) {
					srv := fixtures.NewServer(t)
					e := Start(t, config())
					require.Panics(t, func() { _, _ = e.Run(t.Context(), checked(srv, func() { panic("boom") })) })
				},
				"FailNow in a check": func(t *testing.T) {
					srv := fixtures.NewServer(t)
					tb := faketb.Run(t, func(tb *faketb.TB) {
						_, _ = Start(tb, config()).Run(t.Context(), checked(srv, tb.FailNow))
						tb.Errorf("Run returned")
					})
					require.True(t, tb.FailedNow())
					require.Empty(t, tb.Errors())
				},
			} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, pooling, ending), func(t *testing.T) {
					fixtures.NoLeaks(t)
					f(t)
				})
			}
		}
	}
}

func TestErrorClassText(t *testing.T) {
	for c := range numClasses {
		text, err := c.MarshalText()
		require.NoError(t, err)
		require.Equal(t, c.String(), string(text))
		var back ErrorClass
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, c, back)
	}
	_, err := numClasses.MarshalText()
	require.Error(t, err)
	require.Error(t, new(ErrorClass).UnmarshalText([]byte("nonsense")))
	require.Equal(t, "ErrorClass(200)", ErrorClass(200).String())
	require.Equal(t, "Phase(99)", Phase(99).String())
	require.Equal(t, "unknown", Pooling(9).String())
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want ErrorClass
	}{
		{nil, ClassNone},
		{fmt.Errorf("wrapped: %w", &resilience.StatusError{Code: 503}), ClassStatus},
		{&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, ClassTimeoutConnect},
		{&TimeoutError{}, ClassTimeout},
		{&PhaseError{PhaseBody, context.DeadlineExceeded}, ClassTimeoutBody},
		{context.Canceled, ClassCanceled},
		{errors.New("http: server closed idle connection"), ClassEOF},
		{io.ErrClosedPipe, ClassEOF},
		{syscall.EPIPE, ClassReset},
	} {
		require.Equal(t, tt.want, classify(tt.err), "%v", tt.err)
	}
	require.EqualError(t, &PhaseError{Err: errTest}, "test error")
	require.EqualError(t, &PhaseError{PhaseBody, errTest}, "test error while reading the response body")
}
