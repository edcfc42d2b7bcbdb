package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/http1"
)

var errTest = errors.New("test error")

// faultError is the error of a guard.
type faultError string

func (e faultError) Error() string { return string(e) }

func faulty(text string) error { return faultError(text) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// funcBody is a response body; closed counts how often it was closed.
type funcBody struct {
	read   func([]byte) (int, error)
	close  func() error
	closed int
}

func (b *funcBody) Read(p []byte) (int, error) { return b.read(p) }

func (b *funcBody) Close() error {
	b.closed++
	if b.close != nil {
		return b.close()
	}
	return nil
}

// guarded returns what a request over a guarded trip comes to.
func guarded(t *testing.T, ctx context.Context, method string, trip roundTripper) (*http.Response, error) { //nolint:revive // as in package testing
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://x.test/", nil)
	require.NoError(t, err)
	return Guard{trip, faulty}.RoundTrip(r)
}

func TestGuardedTransportsMayDoAnything(t *testing.T) {
	var nothing *struct{ err error }
	for name, tt := range map[string]struct {
		method string
		resp   *http.Response
		err    error
		panics func() error
		fault  string // "": none
	}{
		"no body":              {resp: &http.Response{StatusCode: 200, ContentLength: -1}},
		"no body for HEAD":     {method: http.MethodHead, resp: &http.Response{StatusCode: 200, ContentLength: 5}},
		"no body, but length":  {resp: &http.Response{StatusCode: 200, ContentLength: 5}, fault: "response of 5 bytes without a Body"},
		"nothing":              {fault: "neither a response nor an error"},
		"an error":             {err: errTest},
		"both":                 {resp: &http.Response{StatusCode: 200, Body: &funcBody{}}, err: errTest},
		"a status too low":     {resp: &http.Response{StatusCode: -1, Body: &funcBody{}}, fault: "status -1"},
		"a status too high":    {resp: &http.Response{StatusCode: 1000, Body: &funcBody{}}, fault: "status 1000"},
		"the lowest status":    {resp: &http.Response{StatusCode: 0}},
		"the highest status":   {resp: &http.Response{StatusCode: 999}},
		"panic":                {panics: func() error { panic("boom") }, fault: "panicked: boom (at guard_test.go:"},
		"nil pointer":          {panics: func() error { return nothing.err }, fault: "(at guard_test.go:"},
		"a panic of a runtime": {panics: func() error { panic(errTest) }, fault: "panicked: test error"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := guarded(t, t.Context(), tt.method, func(*http.Request) (*http.Response, error) {
				if tt.panics != nil {
					return nil, tt.panics()
				}
				return tt.resp, tt.err
			})
			var fault faultError
			switch {
			case tt.err != nil:
				require.ErrorIs(t, err, tt.err)
			case tt.fault != "":
				require.ErrorAs(t, err, &fault)
				require.Contains(t, fault.Error(), "Transport (transport.roundTripper) ")
				require.Contains(t, fault.Error(), tt.fault)
			default:
				require.NoError(t, err)
				require.Equal(t, http.NoBody, resp.Body)
				require.NoError(t, resp.Body.Close())
				return
			}
			require.Nil(t, resp)
			if tt.resp != nil {
				if body, ok := tt.resp.Body.(*guardedBody); ok {
					require.Equal(t, 1, body.body.(*funcBody).closed)
				}
			}
		})
	}
}

func TestGuardedBodiesMayDoAnything(t *testing.T) {
	empty := 0
	for name, tt := range map[string]struct {
		read  func([]byte) (int, error)
		close func() error
		want  string
		err   error
		fault string
	}{
		"a body":      {read: strings.NewReader("hello").Read, want: "hello"},
		"fails":       {read: func([]byte) (int, error) { return 0, errTest }, err: errTest},
		"panics":      {read: func([]byte) (int, error) { panic("boom") }, fault: "Body whose Read panicked: boom (at guard_test.go:"},
		"never reads": {read: func([]byte) (int, error) { return 0, nil }, fault: "reads nothing"},
		"reads nothing for a while": {read: func([]byte) (int, error) {
			if empty++; empty < maxEmptyReads {
				return 0, nil
			}
			return 0, io.EOF
		}},
		"reads more than there is room": {read: func(p []byte) (int, error) { return len(p) + 1, nil }, fault: "Read says"},
		"reads less than nothing":       {read: func([]byte) (int, error) { return -1, nil }, fault: "Read says -1"},
		"close panics":                  {read: strings.NewReader("x").Read, close: func() error { panic("boom") }, want: "x", fault: "Body whose Close panicked"},
		"close fails":                   {read: strings.NewReader("x").Read, close: func() error { return errTest }, want: "x", err: errTest},
	} {
		t.Run(name, func(t *testing.T) {
			body := &funcBody{read: tt.read, close: tt.close}
			resp, err := guarded(t, t.Context(), "", func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: body}, nil
			})
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			closeErr := resp.Body.Close()
			require.Equal(t, closeErr, resp.Body.Close(), "again")
			require.Equal(t, 1, body.closed)
			require.Equal(t, tt.want, string(text))
			switch err := errors.Join(err, closeErr); {
			case tt.err != nil:
				require.ErrorIs(t, err, tt.err)
			case tt.fault != "":
				var fault faultError
				require.ErrorAs(t, err, &fault)
				require.Contains(t, fault.Error(), tt.fault)
			default:
				require.NoError(t, err)
			}
		})
	}
}

// A body that trickles for ever, or blocks, ends with its request.
func TestGuardedBodiesEndWithTheContext(t *testing.T) {
	for name, tt := range map[string]struct {
		body func() io.ReadCloser
		ends time.Duration
	}{
		"trickles": {func() io.ReadCloser {
			return &funcBody{read: func([]byte) (int, error) { time.Sleep(time.Second); return 1, nil }}
		}, 4 * time.Second}, // with the read at hand
		"blocks until it is closed": {func() io.ReadCloser { in, _ := io.Pipe(); return in }, 3500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
				defer cancel()
				resp, err := guarded(t, ctx, "", func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Body: tt.body()}, nil
				})
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.Error(t, err)
				require.Equal(t, tt.ends, time.Since(start))
				require.NoError(t, resp.Body.Close())
			})
		})
	}
}

type closingTransport struct {
	roundTripper
	closed int
}

func (t *closingTransport) CloseIdleConnections() { t.closed++ }

func TestGuardClosesWhatCanBeClosed(t *testing.T) {
	var c closingTransport
	Guard{&c, faulty}.CloseIdleConnections()
	require.Equal(t, 1, c.closed)
	Guard{roundTripper(nil), faulty}.CloseIdleConnections()
}

func TestGuardedDialersMayDoAnything(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	for name, tt := range map[string]struct {
		dial  http1.DialFunc
		err   error
		fault string
	}{
		"a connection": {dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }},
		"an error":     {dial: func(context.Context, string, string) (net.Conn, error) { return nil, errTest }, err: errTest},
		"nothing":      {dial: func(context.Context, string, string) (net.Conn, error) { return nil, nil }, fault: "DialContext returned neither"},
		"panic":        {dial: func(context.Context, string, string) (net.Conn, error) { panic("boom") }, fault: "DialContext panicked: boom (at guard_test.go:"},
		"forever": {dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, err: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			var told string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{ConnectStart: func(_, addr string) { told = addr }})
			conn, err := GuardDial(tt.dial, time.Millisecond, faulty)(ctx, "tcp", "h:1")
			require.Equal(t, "h:1", told)
			switch {
			case tt.err != nil:
				require.ErrorIs(t, err, tt.err)
			case tt.fault != "":
				var fault faultError
				require.ErrorAs(t, err, &fault)
				require.Contains(t, fault.Error(), tt.fault)
			default:
				require.NoError(t, err)
				require.Equal(t, near, conn)
				return
			}
			require.Nil(t, conn)
		})
	}
}
