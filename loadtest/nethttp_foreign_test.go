package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// bodyFunc is a response body; closed counts how often it was closed.
type bodyFunc struct {
	read   func([]byte) (int, error)
	close  func() error
	closed atomic.Int64
}

func (b *bodyFunc) Read(p []byte) (int, error) { return b.read(p) }

func (b *bodyFunc) Close() error {
	b.closed.Add(1)
	if b.close != nil {
		return b.close()
	}
	return nil
}

func answer(body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: 200, Body: body, ContentLength: -1}
}

// What a transport of the user's does against the rules is the outcome of a
// request, with a class and a message, whichever of its faults it is.
func TestForeignTransportsMayDoAnything(t *testing.T) {
	var body *bodyFunc // of the latest response
	with := func(read func([]byte) (int, error)) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			body = &bodyFunc{read: read}
			return answer(body), nil
		}
	}
	for _, tt := range []struct {
		name   string
		trip   func(*http.Request) (*http.Response, error)
		want   ErrorClass
		text   string
		closed int64 // times that the latest body was closed
	}{
		{name: "no body", trip: func(*http.Request) (*http.Response, error) { return answer(nil), nil }},
		{name: "nothing", trip: func(*http.Request) (*http.Response, error) { return nil, nil }, want: ClassOther, text: "neither a response nor an error"},
		{name: "both", trip: func(*http.Request) (*http.Response, error) {
			body = &bodyFunc{read: strings.NewReader("x").Read}
			return answer(body), errTest
		}, want: ClassOther, text: errTest.Error(), closed: 1},
		{name: "an error without text", trip: func(*http.Request) (*http.Response, error) { return nil, errors.New("") }, want: ClassOther},
		{name: "panic", trip: func(*http.Request) (*http.Response, error) { panic("boom") }, want: ClassOther, text: "panicked: boom (at nethttp_foreign_test.go:"},
		{name: "a body", trip: with(strings.NewReader("hello").Read), closed: 1},                                                                                         //nolint:bodyclose // the session closes it
		{name: "body fails", trip: with(func([]byte) (int, error) { return 0, errTest }), want: ClassOther, text: errTest.Error(), closed: 1},                            //nolint:bodyclose // the session closes it
		{name: "body panics", trip: with(func([]byte) (int, error) { panic("boom") }), want: ClassOther, text: "Body whose Read panicked: boom (at", closed: 1},          //nolint:bodyclose // the session closes it
		{name: "body never ends", trip: with(func(p []byte) (int, error) { return len(p), nil }), want: ClassBodyLimit, closed: 1},                                       //nolint:bodyclose // the session closes it
		{name: "body closed by middleware", trip: with(func([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }), want: ClassOther, text: "closed", closed: 1}, //nolint:bodyclose // the session closes it
		{name: "close panics", trip: func(*http.Request) (*http.Response, error) {
			body = &bodyFunc{read: strings.NewReader("x").Read, close: func() error { panic("boom") }}
			return answer(body), nil
		}, closed: 1},
	} {
		for _, redirects := range []int{0, 3} {
			for _, checked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/redirects=%d/checked=%v", tt.name, redirects, checked), func(t *testing.T) {
					fixtures.NoLeaks(t)
					body = &bodyFunc{}
					req := Get("http://x.test/")
					if checked {
						req.Check = func(Response) error { return nil }
					}
					e := Start(t, SyncConfig{Conn: ConnectionConfig{Transport: roundTripper(tt.trip), MaxRedirects: redirects, MaxResponseBytes: 1000}})
					r, err := e.Run(t.Context(), Times(3, req))
					require.NoError(t, err)
					accounted(t, 3, r)
					require.Equal(t, tt.closed, body.closed.Load(), "times closed")
					if tt.want == ClassNone {
						require.EqualValues(t, 3, r.SuccessCount, r.String())
						return
					}
					require.Equal(t, map[ErrorClass]int64{tt.want: 3}, r.Errors)
					require.Contains(t, r.ErrorExamples[tt.want], tt.text)
				})
			}
		}
	}
}

// Goexit, such as that of a t.FailNow in a mock, ends the run as it does anywhere.
func TestGoexitOfAForeignTransportEndsTheRun(t *testing.T) {
	done := make(chan bool)
	e := newEngine(t, SyncConfig{Conn: ConnectionConfig{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		runtime.Goexit()
		return nil, nil
	})}})
	defer closeEngine(t, e)
	go func() { // ends with Run
		defer close(done)
		_, _ = e.Run(t.Context(), URLs("http://x.test/"))
		done <- true
	}()
	require.False(t, <-done)
}

// A body that trickles for ever, or blocks, ends with its request.
func TestForeignBodiesEndWithTheTimeout(t *testing.T) {
	const limit = 90*time.Second + 500*time.Millisecond
	for name, tt := range map[string]struct {
		body func() io.ReadCloser
		ends time.Duration
	}{
		"trickles": {func() io.ReadCloser {
			return &bodyFunc{read: func([]byte) (int, error) { time.Sleep(time.Second); return 1, nil }}
		}, 91 * time.Second}, // with the read at hand
		"blocks until it is closed": {func() io.ReadCloser { in, _ := io.Pipe(); return in }, limit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, SyncConfig{Timeout: limit, Conn: ConnectionConfig{
					Transport: roundTripper(func(*http.Request) (*http.Response, error) { return answer(tt.body()), nil }),
				}})
				defer closeEngine(t, e)
				r, err := e.Run(t.Context(), URLs("http://x.test/"))
				require.NoError(t, err)
				require.Equal(t, map[ErrorClass]int64{ClassTimeoutBody: 1}, r.Errors)
				require.Equal(t, tt.ends, r.Elapsed)
			})
		})
	}
}

// Middleware, as it is often written, edits the request that it is given. Each
// sending must get one as the user made it, whatever became of the one before.
func TestMiddlewareGetsAFreshRequestEachTime(t *testing.T) {
	for name, cfg := range httpEngines(ConnectionConfig{}, 0) {
		for _, redirects := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/redirects=%d", name, redirects), func(t *testing.T) {
				var wrong atomic.Value
				conn := ConnectionConfig{MaxRedirects: redirects, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					body, err := io.ReadAll(r.Body)
					got := fmt.Sprint(r.Method, r.URL, r.Host, r.Header, string(body), r.ContentLength, err)
					want := fmt.Sprint("PUT", "http://x.test/x?q=1", "x.test", http.Header{"A": {"1"}}, "body", 4, nil)
					if got != want {
						wrong.CompareAndSwap(nil, got)
					}
					r.Method, r.Host, r.URL.Host, r.URL.Path, r.URL.RawQuery = "GET", "y", "y.test", "/api"+r.URL.Path, "more"
					r.Header.Add("A", "2")
					r.Header["A"][0] = "3"
					r.Header["B"] = nil
					r.Body, r.ContentLength, r.Close = nil, 0, true
					r.GetBody = func() (io.ReadCloser, error) { return nil, errTest }
					return answer(nil), nil
				})}
				switch c := cfg.(type) {
				case SyncConfig:
					c.Conn = conn
					cfg = c
				case ThreadedConfig:
					c.Conn = conn
					cfg = c
				case AsyncConfig:
					c.Conn = conn
					cfg = c
				}
				req := &Request{Method: http.MethodPut, URL: "http://x.test/x?q=1", Header: http.Header{"A": {"1"}}, Body: []byte("body")}
				r, err := Start(t, cfg).Run(t.Context(), Times(50, req))
				require.NoError(t, err)
				require.EqualValues(t, 50, r.SuccessCount, r.String())
				require.Nil(t, wrong.Load())
			})
		}
	}
}

// A dialer of the user's runs on net/http's goroutines, where a panic would end
// the process.
func TestForeignDialersMayDoAnything(t *testing.T) {
	for name, tt := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		text string
	}{
		"nothing": {func(context.Context, string, string) (net.Conn, error) { return nil, nil }, "DialContext returned neither"},
		"panic":   {func(context.Context, string, string) (net.Conn, error) { panic("boom") }, "DialContext panicked: boom (at nethttp_foreign_test.go:"},
	} {
		for _, scheme := range []string{"http", "https"} {
			conn := ConnectionConfig{DialContext: tt.dial}
			for engine, cfg := range allEngines(conn, 0) {
				t.Run(name+"/"+scheme+"/"+engine, func(t *testing.T) {
					fixtures.NoLeaks(t)
					r, err := Start(t, cfg).Run(t.Context(), Times(3, Get(scheme+"://x.test/")))
					require.NoError(t, err)
					require.Equal(t, map[ErrorClass]int64{ClassOther: 3}, r.Errors)
					require.Contains(t, r.ErrorExamples[ClassOther], tt.text)
				})
			}
		}
	}
}
