package resilience

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A service that hangs once costs one attempt's time, however it says that the
// attempt's context has ended.
func TestAttemptTimeoutIsRetried(t *testing.T) {
	for name, ends := range map[string]func(ctx context.Context) error{
		"as the context does":    func(ctx context.Context) error { return ctx.Err() },
		"with the cause":         context.Cause,
		"wrapped":                func(ctx context.Context) error { return fmt.Errorf("get: %w", ctx.Err()) },
		"as cancellation":        func(context.Context) error { return context.Canceled },
		"as an I/O timeout":      func(context.Context) error { return &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded} },
		"in words of its own":    func(context.Context) error { return errors.New("rpc error: code = DeadlineExceeded") },
		"as a broken connection": func(context.Context) error { return syscall.EPIPE },
		"as an unknown name":     func(context.Context) error { return &net.DNSError{Err: "no such host", IsNotFound: true} },
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var events []RetryEvent
			breaker, err := NewCircuitBreaker(BreakerConfig{})
			require.NoError(t, err)
			p := retryPolicy(t, RetryConfig{AttemptTimeout: 2 * time.Second, OnRetry: func(e RetryEvent) { events = append(events, e) }})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			calls := 0
			err = p.Execute(ctx, func(ctx context.Context) error {
				if calls++; calls == 2 {
					return nil
				}
				<-ctx.Done()
				return ends(ctx)
			}, WithBreaker(breaker))
			require.NoError(t, err, name)
			require.Equal(t, 2, calls, name)
			require.Equal(t, 3*time.Second, time.Since(start), "%s: 2 s of the attempt, 1 s of waiting", name)
			require.EqualValues(t, 1, breaker.Metrics().Failures, "%s: it speaks against the service", name)

			failed := events[0].Err
			require.ErrorIs(t, failed, ErrAttemptTimeout, name)
			require.ErrorIs(t, failed, context.DeadlineExceeded, name)
			require.True(t, os.IsTimeout(failed), name)
			require.ErrorContains(t, failed, "no result within the AttemptTimeout of 2s", name)
			var timeout *AttemptTimeoutError
			require.ErrorAs(t, failed, &timeout)
			require.Equal(t, 2*time.Second, timeout.Limit)
			require.NotErrorIs(t, failed, context.Canceled, "%s: nobody canceled", name)
		})
	}
}

// The caller's own end is not the attempt's, and wins a tie.
func TestAttemptTimeoutLeavesTheCallersContextToTheCaller(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, c := range []struct {
		name  string
		limit time.Duration
		took  time.Duration
	}{
		{"later than the deadline", 3 * time.Second, 2 * time.Second},
		{"a tie", 2 * time.Second, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			p := retryPolicy(t, RetryConfig{AttemptTimeout: c.limit})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := p.Execute(ctx, hang)
			require.Equal(t, context.DeadlineExceeded, err, c.name) // as it is
			require.Equal(t, c.took, time.Since(start), c.name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{AttemptTimeout: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.Equal(t, context.Canceled, p.Execute(ctx, hang)) // as it is
	})
	synctest.Test(t, func(t *testing.T) { // no time for another attempt
		p := retryPolicy(t, RetryConfig{AttemptTimeout: 2 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := p.Execute(ctx, hang)
		require.Equal(t, 2*time.Second, time.Since(start), "without waiting for what can't come")
		require.ErrorIs(t, err, ErrAttemptTimeout)
		require.EqualError(t, err, "resilience: gave up after 1 attempt: no time for another attempt: context deadline exceeded; last error: resilience: no result within the AttemptTimeout of 2s")
	})
}

func TestAttemptCallerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, attemptCallerFirst(t.Context(), time.Hour), "no deadline")
		require.False(t, attemptCallerFirst(ctx, time.Second-1))
		require.True(t, attemptCallerFirst(ctx, time.Second), "a tie")
		require.True(t, attemptCallerFirst(ctx, time.Second+1))
	})
}

// What was meant for the policy stays what it is; so does what came in time, and
// an answer that came late.
func TestAttemptTimeoutIsNotTheErrorOfOthers(t *testing.T) {
	errBusy := errors.New("busy")
	for _, c := range []struct {
		name  string
		sleep time.Duration
		err   error
		want  error
	}{
		{"in time", time.Second, errBusy, errBusy},
		{"success, late", 3 * time.Second, nil, nil},
		{"permanent, late", 3 * time.Second, Permanent(errBusy), errBusy},
		{"a status, late", 3 * time.Second, &StatusError{Code: 404}, &StatusError{Code: 404}},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			p := retryPolicy(t, RetryConfig{AttemptTimeout: 2 * time.Second})
			err := p.Execute(t.Context(), func(context.Context) error {
				calls++
				time.Sleep(c.sleep)
				return c.err
			})
			require.Equal(t, c.want, err, c.name)
			require.Equal(t, 1, calls, c.name)
		})
	}
}

// The policy's own IsTransient has the last word: a call that must not be made
// twice is not, however it ended.
func TestAttemptTimeoutIsForIsTransientToJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{AttemptTimeout: time.Second, IsTransient: func(err error) bool { return !errors.Is(err, ErrAttemptTimeout) }})
		calls := 0
		err := p.Execute(t.Context(), func(ctx context.Context) error { calls++; <-ctx.Done(); return ctx.Err() })
		require.ErrorIs(t, err, ErrAttemptTimeout)
		require.Equal(t, 1, calls)
	})
	require.False(t, IsTransient(&RetryError{Reason: ErrExhausted, Last: &AttemptTimeoutError{}}), "nested policies do not multiply")
}

// Each attempt's context ends with it: nothing is left behind in the caller's.
func TestAttemptContextsEndWithTheirAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retryPolicy(t, RetryConfig{AttemptTimeout: time.Hour, MaxAttempts: 3})
		var contexts []context.Context
		_ = p.Execute(t.Context(), func(ctx context.Context) error {
			for _, earlier := range contexts {
				require.Error(t, earlier.Err())
			}
			contexts = append(contexts, ctx)
			return io.EOF
		})
		require.Len(t, contexts, 3)
		require.Error(t, contexts[2].Err())
	})
}

// transportHanging sends no header for the first n requests.
func transportHanging(n int, then http.RoundTripper) transportFunc {
	return func(req *http.Request) (*http.Response, error) {
		if n--; n >= 0 {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		return then.RoundTrip(req)
	}
}

func TestTransportAttemptTimeout(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   TransportConfig
		retry *RetryConfig
		took  time.Duration
		fails bool
	}{
		{"its own", TransportConfig{AttemptTimeout: 2 * time.Second}, &RetryConfig{}, 3 * time.Second, false},
		{"the policy's", TransportConfig{}, &RetryConfig{AttemptTimeout: 2 * time.Second}, 3 * time.Second, false},
		{"its own goes first", TransportConfig{AttemptTimeout: 5 * time.Second}, &RetryConfig{AttemptTimeout: 2 * time.Second}, 6 * time.Second, false},
		{"without a policy", TransportConfig{AttemptTimeout: 2 * time.Second}, nil, 2 * time.Second, true},
		{"turned off", TransportConfig{AttemptTimeout: -1}, &RetryConfig{AttemptTimeout: 2 * time.Second}, time.Minute, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			breaker, limiter := transportBreaker(t, 100), transportLimiter(t, 1)
			c.cfg.Breaker, c.cfg.Limiter = breaker, limiter
			c.cfg.Base = transportHanging(1, newTransportServer())
			if c.retry != nil {
				c.cfg.Retry = retryPolicy(t, *c.retry)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			tr := NewTransport(c.cfg)
			resp, err := tr.RoundTrip(transportRequest(t, "GET", "").WithContext(ctx))
			require.Equal(t, c.took, time.Since(start), c.name)
			require.EqualValues(t, 1, breaker.Metrics().Failures, c.name)
			if c.fails {
				require.ErrorIs(t, err, context.DeadlineExceeded, c.name)
				require.Equal(t, c.took != time.Minute, errors.Is(err, ErrAttemptTimeout), c.name)
			} else {
				require.NoError(t, err, c.name)
				require.NoError(t, resp.Request.Context().Err(), "%s: the request is the caller's", c.name)
				require.Equal(t, "reply 1", transportRead(t, resp), c.name)
			}
			require.Zero(t, limiter.Metrics().Active, c.name)
		})
	}
}

// The timeout ends with the header: a body that takes longer is read to its end,
// under a context that lives until then and no longer.
func TestTransportAttemptTimeoutLeavesTheBodyAlone(t *testing.T) {
	for name, end := range map[string]func(*http.Response) error{
		"read":   func(resp *http.Response) error { _, err := io.Copy(io.Discard, resp.Body); return err },
		"closed": func(resp *http.Response) error { return resp.Body.Close() },
	} {
		synctest.Test(t, func(t *testing.T) {
			var attempt context.Context
			tr := NewTransport(TransportConfig{AttemptTimeout: time.Second, Base: transportFunc(func(req *http.Request) (*http.Response, error) {
				attempt = req.Context()
				time.Sleep(time.Second - 1) // just in time
				return &http.Response{StatusCode: 200, Body: transportBodyOf("slow")}, nil
			})})
			resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
			require.NoError(t, err)
			time.Sleep(time.Hour)
			require.NoError(t, attempt.Err(), name)
			require.NoError(t, end(resp), name)
			require.ErrorIs(t, attempt.Err(), context.Canceled, name)
			require.NoError(t, resp.Body.Close())
		})
	}
}

// A base that does not notice the end of its context may answer late. The body
// could not be read, so the answer is given up.
func TestTransportAttemptTimeoutUnnoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := transportBodyOf("late")
		limiter := transportLimiter(t, 1)
		tr := NewTransport(TransportConfig{AttemptTimeout: time.Second, Limiter: limiter, Base: transportFunc(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Minute)
			return &http.Response{StatusCode: 200, Body: body}, nil
		})})
		require.EqualError(t, transportFails(t, tr, transportRequest(t, "GET", "")), "resilience: no result within the AttemptTimeout of 1s")
		require.EqualValues(t, 1, body.closes.Load())
		require.Zero(t, limiter.Metrics().Active)
	})
}

// On real sockets, through http.Client: a server that hangs once is asked again,
// and a body that is slower than the timeout arrives whole.
func TestTransportAttemptTimeoutOnSockets(t *testing.T) {
	var served atomic.Int32
	release := make(chan struct{})
	url, _ := transportListen(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 1 {
			select {
			case <-r.Context().Done():
			case <-release:
			}
			return
		}
		w.(http.Flusher).Flush()
		for range 4 {
			time.Sleep(40 * time.Millisecond)
			_, _ = io.WriteString(w, "slow ")
			w.(http.Flusher).Flush()
		}
	})
	defer close(release)
	var failed error
	policy, err := NewRetryPolicy(RetryConfig{BaseDelay: time.Millisecond, OnRetry: func(e RetryEvent) { failed = e.Err }})
	require.NoError(t, err)
	client := &http.Client{Transport: NewTransport(TransportConfig{Retry: policy, AttemptTimeout: 100 * time.Millisecond}), Timeout: time.Minute}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url) //nolint:noctx // Client.Timeout
	require.NoError(t, err)
	require.Equal(t, "slow slow slow slow ", transportRead(t, resp))
	require.EqualValues(t, 1, policy.Metrics().Retries)
	require.ErrorIs(t, failed, ErrAttemptTimeout)
	require.EqualValues(t, 2, served.Load())
}
