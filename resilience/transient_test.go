package resilience

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type transientTimeout struct{ timeout bool }

func (e transientTimeout) Error() string { return "slow" }
func (e transientTimeout) Timeout() bool { return e.timeout }

// streamEnded is an HTTP/2 stream error as net/http has it, with a type of its own and an As
// for everybody else's.
type streamEnded uint32

func (streamEnded) Error() string { return "stream error: stream ID 1" }

func (e streamEnded) As(target any) bool {
	if s, ok := target.(*http2StreamError); ok {
		s.StreamID, s.Code = 1, uint32(e)
		return true
	}
	return false
}

func TestTransientClasses(t *testing.T) {
	op := func(err error) error {
		return &url.Error{Op: "Get", URL: "http://x", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}}
	}
	rows := []struct {
		reason string
		err    error
		want   bool
	}{
		{"nothing went wrong", nil, false},
		{"refused", op(syscall.ECONNREFUSED), true},
		{"reset", op(syscall.ECONNRESET), true},
		{"aborted", op(syscall.ECONNABORTED), true},
		{"broken pipe", op(syscall.EPIPE), true},
		{"connect timeout", op(syscall.ETIMEDOUT), true},
		{"host unreachable", op(syscall.EHOSTUNREACH), true},
		{"network unreachable", op(syscall.ENETUNREACH), true},
		{"no permission", op(syscall.EACCES), false},
		{"socket deadline", fmt.Errorf("read: %w", os.ErrDeadlineExceeded), true},
		{"an attempt's own deadline", fmt.Errorf("call: %w", context.DeadlineExceeded), true},
		{"canceled by the caller", fmt.Errorf("call: %w", context.Canceled), false},
		{"a timeout inside", fmt.Errorf("call: %w", transientTimeout{true}), true},
		{"says it is no timeout", transientTimeout{false}, false},
		{"a timeout that an outer error can't see", &url.Error{Err: fmt.Errorf("x: %w", transientTimeout{true})}, true},
		{"cut short", fmt.Errorf("body: %w", io.ErrUnexpectedEOF), true},
		{"reused connection closed", &url.Error{Op: "Get", Err: io.EOF}, true},
		{"in-memory connection closed", io.ErrClosedPipe, true},
		{"DNS temporary", &net.DNSError{IsTemporary: true}, true},
		{"DNS timeout", op(&net.DNSError{IsTimeout: true}), true},
		{"DNS name does not exist", op(&net.DNSError{IsNotFound: true}), false},
		{"DNS name does not exist, said in passing", &net.DNSError{IsNotFound: true, IsTemporary: true}, false},
		{"DNS other", &net.DNSError{}, false},
		{"broken in the status line", fmt.Errorf("get: %w", errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP status code "2"`)), true},
		{"HTTP/2 stream refused", &url.Error{Op: "Get", Err: streamEnded(0x7)}, true},
		{"HTTP/2 stream ended by an internal error", &url.Error{Op: "Get", Err: streamEnded(0x2)}, true},
		{"HTTP/2 stream against the protocol", &url.Error{Op: "Get", Err: streamEnded(0x1)}, false},
		{"503", fmt.Errorf("call: %w", &StatusError{Code: 503}), true},
		{"500", &StatusError{Code: 500}, true},
		{"429", &StatusError{Code: 429}, true},
		{"404", &StatusError{Code: 404}, false},
		{"408", &StatusError{Code: 408}, false},
		{"unknown authority", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, false},
		{"wrong host", x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, false},
		{"unknown", errors.New("boom"), false},
		{"marked permanent", Permanent(op(syscall.ECONNREFUSED)), false},
		{"marked permanent inside", fmt.Errorf("x: %w", Permanent(io.EOF)), false},
		{"breaker open", fmt.Errorf("x: %w", ErrOpen), false},
		{"retried already", &RetryError{Reason: ErrExhausted, Last: syscall.ECONNREFUSED}, false},
		{"closed by us", net.ErrClosed, false},
		{"closed by us as we read", &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}, false},
		{"closed by net/http as it writes", &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}, true},
		{"closed by net/http as it writes from a file", &net.OpError{Op: "readfrom", Net: "tcp", Err: &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}}, true},
		{"no permit from our own limiter", &AcquireTimeoutError{}, false},
	}
	for _, row := range rows {
		require.Equal(t, row.want, IsTransient(row.err), "%s: %v", row.reason, row.err)
	}
}

// What real sockets return must land in the classes above.
func TestTransientRealErrors(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(url string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		if err == nil {
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
		}
		require.Error(t, err)
		return err
	}

	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	require.True(t, IsTransient(get(closed.URL)), "refused")

	abrupt := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		if r.URL.Path == "/reset" {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}))
	defer abrupt.Close()
	for _, path := range []string{"/close", "/reset", "/short"} {
		err := get(abrupt.URL + path)
		require.True(t, IsTransient(err), "%s: %v", path, err)
	}

	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	require.False(t, IsTransient(get(secure.URL)), "a certificate nobody vouches for")

	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	client.Timeout = 10 * time.Millisecond
	require.True(t, IsTransient(get(slow.URL)), "the client's timeout")
}

func TestPermanentUnmark(t *testing.T) {
	require.NoError(t, Permanent(nil))
	cause := &StatusError{Code: 503}
	require.Equal(t, cause.Error(), Permanent(cause).Error())
	require.Same(t, cause, unmarkPermanent(Permanent(Permanent(cause))), "the surface is peeled off")

	deep := unmarkPermanent(fmt.Errorf("call: %w", Permanent(cause)))
	require.False(t, isPermanent(deep), "a mark inside is covered")
	require.ErrorIs(t, deep, cause)
	var status *StatusError
	require.ErrorAs(t, deep, &status)
	require.EqualError(t, deep, "call: resilience: HTTP status 503 Service Unavailable")
}

func TestStatusErrorText(t *testing.T) {
	require.EqualError(t, &StatusError{Code: 599}, "resilience: HTTP status 599")
	resp := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"3"}}}
	err := NewStatusError(resp)
	after, ok := err.RetryAfter()
	require.True(t, ok)
	require.Equal(t, 3*time.Second, after)
	_, ok = (&StatusError{Code: 500}).RetryAfter()
	require.False(t, ok)
}
