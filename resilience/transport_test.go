package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// transportProbeBody counts what happens to a body.
type transportProbeBody struct {
	io.Reader
	reads, closes atomic.Int32
}

func (b *transportProbeBody) Read(p []byte) (int, error) { b.reads.Add(1); return b.Reader.Read(p) }
func (b *transportProbeBody) Close() error               { b.closes.Add(1); return nil }

func transportBodyOf(text string) *transportProbeBody {
	return &transportProbeBody{Reader: strings.NewReader(text)}
}

// transportServer answers with the given statuses in turn, then with 200, and
// does what a transport must: it closes the request's body.
type transportServer struct {
	statuses []int
	header   http.Header
	start    time.Time
	at       []time.Duration // of each request
	sent     []string        // body of each request
	bodies   []*transportProbeBody
}

func newTransportServer(statuses ...int) *transportServer {
	return &transportServer{statuses: statuses, header: http.Header{}, start: time.Now()}
}

func (s *transportServer) RoundTrip(req *http.Request) (*http.Response, error) {
	n := len(s.at)
	s.at = append(s.at, time.Since(s.start))
	var text []byte
	if req.Body != nil {
		text, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	s.sent = append(s.sent, string(text))
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	status := http.StatusOK
	if n < len(s.statuses) {
		status = s.statuses[n]
	}
	if status < 0 {
		return nil, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	}
	body := transportBodyOf(fmt.Sprintf("reply %d", n+1))
	s.bodies = append(s.bodies, body)
	return &http.Response{StatusCode: status, Header: s.header, Body: body, ContentLength: -1, Request: req}, nil
}

func transportRequest(tb testing.TB, method, body string) *http.Request {
	tb.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, "http://service.test/", r)
	require.NoError(tb, err)
	return req
}

// transportFails sends a request that must yield an error and no response.
func transportFails(tb testing.TB, rt http.RoundTripper, req *http.Request) error {
	tb.Helper()
	resp, err := rt.RoundTrip(req) //nolint:bodyclose // there is none
	require.Nil(tb, resp)
	require.Error(tb, err)
	return err
}

func transportRead(tb testing.TB, resp *http.Response) string {
	tb.Helper()
	text, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	return string(text)
}

func transportLimiter(tb testing.TB, n int) *SemaphoreLimiter {
	tb.Helper()
	l, err := NewSemaphoreLimiter(LimiterConfig{MaxConcurrent: n})
	require.NoError(tb, err)
	return l
}

func transportBreaker(tb testing.TB, failures int) *CircuitBreaker {
	tb.Helper()
	b, err := NewCircuitBreaker(BreakerConfig{FailureThreshold: failures, ErrorRateThreshold: 1, OpenStateDuration: time.Minute})
	require.NoError(tb, err)
	return b
}

func TestTransportRetriesToSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newTransportServer(503, -1, 429)
		policy := retryPolicy(t, RetryConfig{MaxAttempts: 5})
		tr := NewTransport(TransportConfig{Base: server, Retry: policy})
		resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "reply 4", transportRead(t, resp))
		require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}, server.at)
		for i, body := range server.bodies {
			require.Equal(t, int32(1), body.closes.Load(), "response %d", i)
		}
		require.Equal(t, uint64(1), policy.Metrics().Successes)
		require.Equal(t, uint64(3), policy.Metrics().Retries)
	})
}

func TestTransportReturnsTheLastResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := []struct {
			reason   string
			retry    RetryConfig
			timeout  time.Duration
			attempts int
		}{
			{"attempts exhausted", RetryConfig{}, time.Hour, 3},
			{"budget spent", RetryConfig{RetryBudget: 1}, time.Hour, 2},
			{"deadline too near", RetryConfig{}, 1500 * time.Millisecond, 2},
			{"not transient by the caller's lights", RetryConfig{IsTransient: func(error) bool { return false }}, time.Hour, 1},
		}
		for _, row := range rows {
			server := newTransportServer(500, 502, 503, 504)
			tr := NewTransport(TransportConfig{Base: server, Retry: retryPolicy(t, row.retry)})
			ctx, cancel := context.WithTimeout(t.Context(), row.timeout)
			resp, err := tr.RoundTrip(transportRequest(t, "GET", "").WithContext(ctx))
			require.NoError(t, err, row.reason)
			require.Equal(t, server.statuses[row.attempts-1], resp.StatusCode, row.reason)
			require.Zero(t, server.bodies[row.attempts-1].reads.Load(), "%s: the body is left to the caller", row.reason)
			require.Equal(t, fmt.Sprintf("reply %d", row.attempts), transportRead(t, resp), row.reason)
			require.Len(t, server.at, row.attempts, row.reason)
			cancel()
		}
	})
}

func TestTransportReturnsTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTransport(TransportConfig{Base: newTransportServer(503, -1, -1), Retry: retryPolicy(t, RetryConfig{})})
		err := transportFails(t, tr, transportRequest(t, "GET", ""))
		require.ErrorIs(t, err, ErrExhausted)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		tr = NewTransport(TransportConfig{Base: newTransportServer(-1)})
		err = transportFails(t, tr, transportRequest(t, "GET", ""))
		require.EqualError(t, err, "dial: connection refused", "without a policy the error is the base's")
	})
}

func TestTransportContextEndsDuringTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newTransportServer(503, 503)
		policy := retryPolicy(t, RetryConfig{})
		limiter := transportLimiter(t, 1)
		tr := NewTransport(TransportConfig{Base: server, Retry: policy, Limiter: limiter})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, func() {
			require.Zero(t, limiter.Metrics().Active, "no permit is held between attempts")
			cancel()
		})
		err := transportFails(t, tr, transportRequest(t, "GET", "").WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		var status *StatusError
		require.ErrorAs(t, err, &status)
		require.Equal(t, 503, status.Code)
		require.Equal(t, int32(1), server.bodies[0].closes.Load())
		require.Zero(t, policy.Metrics().BudgetInUse)
	})
}

func TestTransportRetriesOnlyWhatIsSafe(t *testing.T) {
	rows := []struct {
		method, header string
		want           int
	}{
		{"", "", 2},
		{"GET", "", 2},
		{"HEAD", "", 2},
		{"OPTIONS", "", 2},
		{"TRACE", "", 2},
		{"PUT", "", 2},
		{"DELETE", "", 2},
		{"POST", "", 1},
		{"PATCH", "", 1},
		{"CONNECT", "", 1},
		{"get", "", 1},
		{"POST", "Idempotency-Key", 2},
		{"PATCH", "X-Idempotency-Key", 2},
	}
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			server := newTransportServer(503)
			tr := NewTransport(TransportConfig{Base: server, Retry: retryPolicy(t, RetryConfig{})})
			req := transportRequest(t, "GET", "")
			req.Method = row.method
			if row.header != "" {
				req.Header[row.header] = nil // there, but not sent
			}
			resp, err := tr.RoundTrip(req)
			require.NoError(t, err)
			transportRead(t, resp)
			require.Len(t, server.at, row.want, "%q %q", row.method, row.header)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		server := newTransportServer(503)
		tr := NewTransport(TransportConfig{
			Base: server, Retry: retryPolicy(t, RetryConfig{}),
			IsIdempotent: func(req *http.Request) bool { return req.URL.Path == "/" },
		})
		resp, err := tr.RoundTrip(transportRequest(t, "POST", "x"))
		require.NoError(t, err)
		transportRead(t, resp)
		require.Len(t, server.at, 2)
	})
}

// What found no connection was not sent, so a POST may be sent again. What has found one may
// have been executed, whatever the error says.
func TestTransportRepeatsWhatNeverLeft(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	write := &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	for _, row := range []struct {
		reason  string
		errs    []error
		getBody bool
		want    int // attempts
		wantErr error
	}{
		{"refused", []error{dial}, true, 2, nil},
		{"refused, and the body can't be had again", []error{dial}, false, 1, syscall.ECONNREFUSED},
		{"refused for ever", []error{dial, dial, dial}, true, 3, ErrExhausted},
		{"reset while it was sent", []error{write}, true, 1, syscall.ECONNRESET},
		{"refused, then reset while it was sent", []error{dial, write}, true, 2, syscall.ECONNRESET},
	} {
		t.Run(row.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent []string
				base := transportFunc(func(req *http.Request) (*http.Response, error) {
					text, err := io.ReadAll(req.Body)
					require.NoError(t, err)
					sent = append(sent, string(text))
					if n := len(sent); n <= len(row.errs) {
						return nil, row.errs[n-1]
					}
					return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
				})
				req := transportRequest(t, "POST", "order")
				if !row.getBody {
					req.GetBody = nil
				}
				resp, err := NewTransport(TransportConfig{Base: base, Retry: retryPolicy(t, RetryConfig{})}).RoundTrip(req)
				require.ErrorIs(t, err, row.wantErr)
				if err == nil {
					require.NoError(t, resp.Body.Close())
				}
				require.Len(t, sent, row.want)
				for _, text := range sent {
					require.Equal(t, "order", text)
				}
			})
		})
	}
}

// net/http keeps an HTTP/2 connection that is dead until the kernel gives up, and sends all
// requests there, unless it is told to ask.
func TestTransportAsksSilentHTTP2Connections(t *testing.T) {
	base := NewTransport(TransportConfig{}).base.(*http.Transport)
	require.Equal(t, 15*time.Second, base.HTTP2.SendPingTimeout)
	shared := http.DefaultTransport.(*http.Transport)
	require.True(t, shared.HTTP2 == nil || shared.HTTP2.SendPingTimeout == 0, "the shared one is as it was")
}

// A library read the Retry-After header only as seconds, took a negative one for
// "at once" and believed 99999999999.
func TestTransportPeerBug19RetryAfter(t *testing.T) {
	rows := []struct {
		value string
		want  time.Duration
	}{
		{"7", 7 * time.Second},
		{"0", time.Second},
		{"-1", time.Second},
		{"99999999999", time.Minute},
		{"date+20", 20 * time.Second},
		{"date-20", time.Second},
		{"rubbish", time.Second},
		{"", time.Second},
	}
	for _, row := range rows {
		synctest.Test(t, func(t *testing.T) {
			server := newTransportServer(429)
			value := row.value
			if seconds, ok := strings.CutPrefix(value, "date"); ok {
				offset, err := time.ParseDuration(seconds + "s")
				require.NoError(t, err)
				value = time.Now().Add(offset).UTC().Format(http.TimeFormat)
			}
			server.header.Set("Retry-After", value)
			tr := NewTransport(TransportConfig{Base: server, Retry: retryPolicy(t, RetryConfig{})})
			resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
			require.NoError(t, err)
			transportRead(t, resp)
			require.Equal(t, []time.Duration{0, row.want}, server.at, "Retry-After %q", row.value)
		})
	}
}

// A library never closed the caller's body, ignored GetBody and read every body
// into memory.
func TestTransportPeerBug20RequestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newTransportServer(503, 503)
		tr := NewTransport(TransportConfig{Base: server, Retry: retryPolicy(t, RetryConfig{})})
		req := transportRequest(t, "PUT", "")
		first := transportBodyOf("payload")
		var again []*transportProbeBody
		req.Body, req.ContentLength = first, 7
		req.GetBody = func() (io.ReadCloser, error) {
			again = append(again, transportBodyOf("payload"))
			return again[len(again)-1], nil
		}
		header := req.Header.Clone()
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		transportRead(t, resp)
		require.Equal(t, []string{"payload", "payload", "payload"}, server.sent)
		require.Equal(t, int32(1), first.closes.Load(), "closed once")
		require.Len(t, again, 2, "one per retry")
		for _, body := range again {
			require.Equal(t, int32(1), body.closes.Load())
		}
		require.Same(t, first, req.Body, "the caller's request is not modified")
		require.Equal(t, header, req.Header)
	})
}

func TestTransportBodyWithoutGetBodyIsSentOnce(t *testing.T) {
	server := newTransportServer(503)
	tr := NewTransport(TransportConfig{Base: server, Retry: retryPolicy(t, RetryConfig{})})
	req := transportRequest(t, "PUT", "")
	body := transportBodyOf("payload")
	req.Body = body
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, 503, resp.StatusCode)
	transportRead(t, resp)
	require.Equal(t, []string{"payload"}, server.sent)
	require.Equal(t, int32(1), body.closes.Load())
}

func TestTransportGetBodyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("file is gone")
		policy := retryPolicy(t, RetryConfig{})
		tr := NewTransport(TransportConfig{Base: newTransportServer(503), Retry: policy})
		req := transportRequest(t, "PUT", "payload")
		req.GetBody = func() (io.ReadCloser, error) { return nil, lost }
		err := transportFails(t, tr, req)
		require.ErrorIs(t, err, lost)
		require.Zero(t, policy.Metrics().BudgetInUse, "refunded")
	})
}

func TestTransportClosesTheBodyOfWhatItRejects(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	open := transportBreaker(t, 1)
	for open.State() != StateOpen {
		p, err := open.Allow()
		require.NoError(t, err)
		p.Done(io.EOF)
	}
	full := transportLimiter(t, 1)
	require.NoError(t, full.Acquire(t.Context()))
	rows := []struct {
		reason string
		cfg    TransportConfig
		ctx    context.Context
		want   error
	}{
		{"context ended, with a policy", TransportConfig{Retry: retryPolicy(t, RetryConfig{})}, ended, context.Canceled},
		{"context ended, waiting for a permit", TransportConfig{Limiter: full}, ended, context.Canceled},
		{"breaker open", TransportConfig{Breaker: open}, t.Context(), ErrOpen},
		{"breaker open, before the queue for a permit", TransportConfig{Breaker: open, Limiter: full}, t.Context(), ErrOpen},
		{"breaker open, with a policy", TransportConfig{Breaker: open, Retry: retryPolicy(t, RetryConfig{})}, t.Context(), ErrOpen},
	}
	for _, row := range rows {
		server := newTransportServer()
		row.cfg.Base = server
		req := transportRequest(t, "PUT", "payload").WithContext(row.ctx)
		body := transportBodyOf("payload")
		req.Body = body
		err := transportFails(t, NewTransport(row.cfg), req)
		require.ErrorIs(t, err, row.want, row.reason)
		require.Empty(t, server.at, row.reason)
		require.Equal(t, int32(1), body.closes.Load(), row.reason)
		require.Zero(t, body.reads.Load(), row.reason)
	}
	require.Equal(t, 1, full.Metrics().Active)
}

func TestTransportBreakerSeesEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newTransportServer(503, 503, 503, 503)
		breaker := transportBreaker(t, 2)
		policy := retryPolicy(t, RetryConfig{MaxAttempts: 9})
		tr := NewTransport(TransportConfig{Base: server, Breaker: breaker, Retry: policy})
		err := transportFails(t, tr, transportRequest(t, "GET", ""))
		require.ErrorIs(t, err, ErrOpen)
		var status *StatusError
		require.ErrorAs(t, err, &status, "what was wrong before the breaker opened is there too")
		require.Len(t, server.at, 2, "an open breaker is not hammered")
		require.Equal(t, 1, policy.Metrics().BudgetInUse, "the rejected retry is refunded")
		for i, body := range server.bodies {
			require.Equal(t, int32(1), body.closes.Load(), "response %d", i)
		}
		server.statuses = nil
		time.Sleep(time.Minute)
		for range 3 {
			resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
			require.NoError(t, err, "half-open")
			transportRead(t, resp)
		}
		require.Equal(t, StateClosed, breaker.State())
	})
}

func TestTransportCallerCancellationIsNotTheServicesFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := transportBreaker(t, 1)
		tr := NewTransport(TransportConfig{Breaker: breaker, Base: transportFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := transportFails(t, tr, transportRequest(t, "GET", "").WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, StateClosed, breaker.State())
	})
}

// A probe whose caller went away kept its place in the half-open breaker.
func TestTransportPeerBug04CanceledProbeReturnsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := transportBreaker(t, 1)
		hang := false
		server := newTransportServer(503)
		tr := NewTransport(TransportConfig{Breaker: breaker, Base: transportFunc(func(req *http.Request) (*http.Response, error) {
			if hang {
				<-req.Context().Done()
			}
			return server.RoundTrip(req)
		})})
		resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
		require.NoError(t, err)
		transportRead(t, resp)
		require.Equal(t, StateOpen, breaker.State())
		time.Sleep(time.Minute)
		hang = true
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, transportFails(t, tr, transportRequest(t, "GET", "").WithContext(ctx)), context.Canceled)
		require.Equal(t, StateHalfOpen, breaker.State())
		hang = false
		resp, err = tr.RoundTrip(transportRequest(t, "GET", ""))
		require.NoError(t, err, "the place is free at once")
		transportRead(t, resp)
	})
}

// An attempt costs a copy of the request, of its header and of its URL, and one of
// the response; and what a body needs to hold a permit is one object more.
func TestTransportAllocations(t *testing.T) {
	resp := &http.Response{StatusCode: 200}
	body := transportBodyOf("")
	base := transportFunc(func(*http.Request) (*http.Response, error) {
		resp.Body = body
		return resp, nil
	})
	policy, breaker := retryPolicy(t, RetryConfig{}), transportBreaker(t, 1)
	req := transportRequest(t, "GET", "")
	run := func(tr *Transport) float64 {
		return testing.AllocsPerRun(1000, func() {
			resp, err := tr.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	require.LessOrEqual(t, run(NewTransport(TransportConfig{Base: base, Retry: policy, Breaker: breaker})), 4.0)
	require.LessOrEqual(t, run(NewTransport(TransportConfig{Base: base, Retry: policy, Breaker: breaker, Limiter: transportLimiter(t, 1)})), 5.0)
}

func TestTransportIsFailure(t *testing.T) {
	server := newTransportServer(404, 503)
	breaker := transportBreaker(t, 1)
	tr := NewTransport(TransportConfig{
		Base: server, Breaker: breaker, Retry: retryPolicy(t, RetryConfig{}),
		IsFailure: func(resp *http.Response) bool { return resp.StatusCode == 404 },
	})
	resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
	require.NoError(t, err)
	require.Equal(t, 404, resp.StatusCode, "a failure that is not transient is not retried")
	transportRead(t, resp)
	require.Equal(t, StateOpen, breaker.State())
}

func TestTransportLimiterPermitLastsAsLongAsTheBody(t *testing.T) {
	limiter := transportLimiter(t, 1)
	tr := NewTransport(TransportConfig{Base: newTransportServer(), Limiter: limiter})
	send := func() *http.Response {
		resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
		require.NoError(t, err)
		require.Equal(t, 1, limiter.Metrics().Active)
		return resp
	}
	resp := send()
	require.NoError(t, resp.Body.Close())
	require.Zero(t, limiter.Metrics().Active, "closed unread")
	require.NoError(t, resp.Body.Close(), "closing twice releases once")

	resp = send()
	_, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.Zero(t, limiter.Metrics().Active, "read to the end")
	require.NoError(t, resp.Body.Close())
	require.Zero(t, limiter.Metrics().Active)

	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		tr = NewTransport(TransportConfig{Limiter: limiter, Base: transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Body: body}, nil
		})})
		resp, err := tr.RoundTrip(transportRequest(t, "GET", "")) //nolint:bodyclose // there may be none
		require.NoError(t, err)
		require.Equal(t, http.NoBody, resp.Body)
		require.Zero(t, limiter.Metrics().Active, "no body, nothing to wait for")
	}
}

// A ticket that came back after the call returned made a serial loop fail.
func TestTransportPeerBug27SerialLoopNeverWaits(t *testing.T) {
	limiter := transportLimiter(t, 1)
	tr := NewTransport(TransportConfig{Limiter: limiter, Base: transportFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: transportBodyOf("x"), Request: req}, nil
	})})
	for range 2000 {
		resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
		require.NoError(t, err)
		transportRead(t, resp)
		require.True(t, limiter.TryAcquire())
		limiter.Release()
	}
}

func TestTransportPeerBug03PanicAndGoexitReleaseEverything(t *testing.T) {
	for name, exit := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		for _, where := range []string{"base", "IsFailure", "OnStateChange"} {
			limiter, breaker := transportLimiter(t, 1), transportBreaker(t, 1)
			if where == "OnStateChange" {
				var err error
				breaker, err = NewCircuitBreaker(BreakerConfig{FailureThreshold: 1, OnStateChange: func(Transition) { exit() }})
				require.NoError(t, err)
			}
			policy := retryPolicy(t, RetryConfig{})
			body := transportBodyOf("reply")
			tr := NewTransport(TransportConfig{
				Limiter: limiter, Breaker: breaker, Retry: policy,
				Base: transportFunc(func(*http.Request) (*http.Response, error) {
					if where == "base" {
						exit()
					}
					return &http.Response{StatusCode: 200, Body: body}, nil
				}),
				IsFailure: func(*http.Response) bool {
					if where == "IsFailure" {
						exit()
					}
					return true
				},
			})
			req := transportRequest(t, "GET", "")
			var wg sync.WaitGroup
			wg.Add(1)
			go func() { // ends with RoundTrip, by whatever exit
				defer wg.Done()
				defer func() { _ = recover() }()
				_, _ = tr.RoundTrip(req) //nolint:bodyclose // never returns
			}()
			wg.Wait()
			require.Zero(t, limiter.Metrics().Active, "%s in %s", name, where)
			require.Equal(t, StateOpen, breaker.State(), "%s in %s is a failure", name, where)
			require.Zero(t, breaker.Metrics().Pending, "%s in %s", name, where)
			require.Equal(t, uint64(1), policy.Metrics().Failures)
			require.Zero(t, policy.Metrics().BudgetInUse)
			if where != "base" {
				require.Equal(t, int32(1), body.closes.Load(), "%s in %s", name, where)
			}
		}
	}
}

// A body that never ends must not hold up the retry: its server sent a header
// and then nothing.
func TestTransportGivesUpOnABodyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		limiter := transportLimiter(t, 1)
		tr := NewTransport(TransportConfig{Retry: retryPolicy(t, RetryConfig{}), Limiter: limiter, Base: transportFunc(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(start))
			if len(at) == 1 {
				body, _ := io.Pipe()
				return &http.Response{StatusCode: 503, Body: body, ContentLength: -1}, nil
			}
			return &http.Response{StatusCode: 200, Body: transportBodyOf("fine")}, nil
		})})
		resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
		require.NoError(t, err)
		transportRead(t, resp)
		require.Equal(t, []time.Duration{0, time.Second + transportDrainTime}, at)
		require.Zero(t, limiter.Metrics().Active)
	})
}

func TestTransportDrainsWithinBounds(t *testing.T) {
	endless := &transportProbeBody{Reader: transportZeros{}}
	transportDiscard(&http.Response{Body: endless, ContentLength: -1})
	require.Equal(t, int32(1), endless.closes.Load())
	require.LessOrEqual(t, endless.reads.Load(), int32(transportDrainBytes/512), "an endless body is cut off")

	large := &transportProbeBody{Reader: transportZeros{}}
	transportDiscard(&http.Response{Body: large, ContentLength: transportDrainBytes + 1})
	require.Zero(t, large.reads.Load(), "not worth reading")
	require.Equal(t, int32(1), large.closes.Load())
}

type transportZeros struct{}

func (transportZeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTransportUpgradeStaysWritable(t *testing.T) {
	limiter := transportLimiter(t, 1)
	var conn bytes.Buffer
	tr := NewTransport(TransportConfig{Limiter: limiter, Base: transportFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: struct {
			io.ReadWriter
			io.Closer
		}{&conn, io.NopCloser(nil)}}, nil
	})})
	resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
	require.NoError(t, err)
	_, err = io.WriteString(resp.Body.(io.Writer), "ping")
	require.NoError(t, err)
	require.Equal(t, "ping", conn.String())
	require.Equal(t, 1, limiter.Metrics().Active)
	require.NoError(t, resp.Body.Close())
	require.Zero(t, limiter.Metrics().Active)
}

func TestTransportDefaultBaseIsPrivate(t *testing.T) {
	shared := http.DefaultTransport.(*http.Transport)
	before := shared.MaxIdleConnsPerHost
	base, ok := NewTransport(TransportConfig{Limiter: transportLimiter(t, 500)}).base.(*http.Transport)
	require.True(t, ok)
	require.NotSame(t, shared, base)
	require.Equal(t, 500, base.MaxIdleConnsPerHost)
	require.Equal(t, 500, base.MaxIdleConns)
	require.Equal(t, before, shared.MaxIdleConnsPerHost)

	base = NewTransport(TransportConfig{}).base.(*http.Transport)
	require.Equal(t, 100, base.MaxIdleConnsPerHost)
}

func TestTransportDefaultBaseReplaced(t *testing.T) {
	saved := http.DefaultTransport
	defer func() { http.DefaultTransport = saved }()
	mock := newTransportServer()
	http.DefaultTransport = mock
	resp, err := NewTransport(TransportConfig{}).RoundTrip(transportRequest(t, "GET", ""))
	require.NoError(t, err)
	transportRead(t, resp)
	require.Len(t, mock.at, 1)
}

type transportIdle struct {
	transportFunc
	closed int
}

func (i *transportIdle) CloseIdleConnections() { i.closed++ }

func TestTransportForwardsCloseIdleConnections(t *testing.T) {
	base := &transportIdle{}
	client := http.Client{Transport: NewTransport(TransportConfig{Base: base})}
	client.CloseIdleConnections()
	require.Equal(t, 1, base.closed)
	NewTransport(TransportConfig{Base: newTransportServer()}).CloseIdleConnections()
}
