package resilience

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Base transports that do what http.RoundTripper forbids. None may make Transport
// panic, lose a permit or leave a call pending.
func TestTransportForeignBases(t *testing.T) {
	errBase := errors.New("base failed")
	both := transportBodyOf("both")
	shared := &http.Response{StatusCode: 200}
	for _, c := range []struct {
		name   string
		base   transportFunc
		method string
		want   string // of the error; empty: a response
	}{
		{name: "neither", base: func(*http.Request) (*http.Response, error) { return nil, nil }, //nolint:nilnil // the point
			want: "resilience: base resilience.transportFunc returned neither a response nor an error"},
		{name: "both", base: func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Body: both}, errBase
		}, want: "base failed"},
		{name: "both, no body", base: func(*http.Request) (*http.Response, error) { return &http.Response{}, errBase }, want: "base failed"},
		{name: "no body", base: func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil }},
		{name: "no body of unknown length", base: func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: -1}, nil
		}},
		{name: "no body but a length", base: func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: 5}, nil
		}, want: "resilience: base resilience.transportFunc returned a response of 5 bytes without a Body"},
		{name: "HEAD", method: "HEAD", base: func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: 5}, nil
		}},
		{name: "the same response to everybody", base: func(*http.Request) (*http.Response, error) { return shared, nil }},
		{name: "no status, no header", base: func(*http.Request) (*http.Response, error) { return &http.Response{Body: transportBodyOf("")}, nil }},
		{name: "a failure without header or body", base: func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 503}, nil }},
	} {
		for _, retry := range []bool{false, true} {
			for _, limit := range []time.Duration{0, time.Second} {
				synctest.Test(t, func(t *testing.T) {
					limiter, breaker := transportLimiter(t, 1), transportBreaker(t, 100)
					cfg := TransportConfig{Base: c.base, Limiter: limiter, Breaker: breaker, AttemptTimeout: limit}
					if retry {
						cfg.Retry = retryPolicy(t, RetryConfig{})
					}
					req := transportRequest(t, c.method, "")
					resp, err := NewTransport(cfg).RoundTrip(req)
					if c.want != "" {
						require.Nil(t, resp, c.name)
						require.EqualError(t, err, c.want, c.name)
						require.EqualValues(t, 1, breaker.Metrics().Failures, c.name)
					} else {
						require.NoError(t, err, c.name)
						require.Empty(t, transportRead(t, resp), c.name)
					}
					require.Zero(t, limiter.Metrics().Active, c.name)
					require.Zero(t, breaker.Metrics().Pending, c.name)
				})
			}
		}
	}
	require.EqualValues(t, 4, both.closes.Load(), "a response beside an error is closed")
	require.Nil(t, shared.Body, "a response that is not ours is not modified")
}

// The same under net/http's client, which is what most people will see.
func TestTransportForeignBasesUnderHTTPClient(t *testing.T) {
	none := transportFunc(func(*http.Request) (*http.Response, error) { return nil, nil })                     //nolint:nilnil // the point
	_, err := (&http.Client{Transport: NewTransport(TransportConfig{Base: none})}).Get("http://service.test/") //nolint:noctx,bodyclose // there is none
	require.ErrorContains(t, err, "returned neither a response nor an error")
	bare := transportFunc(func(r *http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200, Request: r}, nil })
	resp, err := (&http.Client{Transport: NewTransport(TransportConfig{Base: bare})}).Get("http://service.test/") //nolint:noctx // in memory
	require.NoError(t, err)
	require.Empty(t, transportRead(t, resp))
}

// A middleware that edits the request it is given, as it should not, edits a copy:
// no attempt sees what an earlier one did, and the caller sees nothing of it.
func TestTransportRequestsDoNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type seen struct {
			header  http.Header
			url     string
			host    string
			method  string
			cookies int
		}
		var requests []seen
		server := newTransportServer(503, 503)
		tr := NewTransport(TransportConfig{Retry: retryPolicy(t, RetryConfig{}), Base: transportFunc(func(req *http.Request) (*http.Response, error) {
			requests = append(requests, seen{req.Header.Clone(), req.URL.String(), req.Host, req.Method, len(req.Cookies())})
			req.Header.Add("X-Trace", "hop")
			req.Header["X-Given"] = append(req.Header["X-Given"], "more")
			req.AddCookie(&http.Cookie{Name: "n", Value: "v"})
			req.URL.Path += "/v1"
			req.URL.RawQuery += "&key=1"
			req.Host = "elsewhere.test"
			req.Method = http.MethodDelete
			req.TransferEncoding = append(req.TransferEncoding, "chunked")
			return server.RoundTrip(req)
		})})
		req := transportRequest(t, "PUT", "payload")
		req.Header.Set("X-Given", "once")
		before := seen{req.Header.Clone(), req.URL.String(), req.Host, req.Method, 0}
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Same(t, req, resp.Request)
		transportRead(t, resp)
		require.Equal(t, []seen{before, before, before}, requests)
		after := seen{req.Header, req.URL.String(), req.Host, req.Method, len(req.Cookies())}
		require.Equal(t, before, after)
		require.Empty(t, req.TransferEncoding)
		require.Equal(t, []string{"payload", "payload", "payload"}, server.sent)
	})
}

// A copy for each attempt must not cost the caller its trailers, whose values are
// known only once the body has been read.
func TestTransportSendsTrailersSetWhileTheBodyIsRead(t *testing.T) {
	var got http.Header
	url, _ := transportListen(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got = r.Trailer
	})
	tr := NewTransport(TransportConfig{AttemptTimeout: time.Minute})
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	require.NoError(t, err)
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Sum": nil}
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("payload"), transportAtEnd(func() { req.Trailer.Set("X-Sum", "42") })))
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	transportRead(t, resp)
	require.Equal(t, http.Header{"X-Sum": {"42"}}, got)
}

type transportAtEnd func()

func (f transportAtEnd) Read([]byte) (int, error) { f(); return 0, io.EOF }

// A base that closes the body of the request, or of the response it returns, on
// its own leaves nothing of ours behind.
func TestTransportBaseThatClosesBodies(t *testing.T) {
	limiter := transportLimiter(t, 1)
	body := transportBodyOf("reply")
	tr := NewTransport(TransportConfig{Limiter: limiter, Retry: retryPolicy(t, RetryConfig{}), Base: transportFunc(func(req *http.Request) (*http.Response, error) {
		_ = req.Body.Close()
		_ = body.Close()
		return &http.Response{StatusCode: 200, Body: body}, nil
	})})
	req := transportRequest(t, "PUT", "payload")
	sent := transportBodyOf("payload")
	req.Body = sent
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.EqualValues(t, 1, sent.closes.Load())
	require.Zero(t, limiter.Metrics().Active)
}

// A panic in the base is the user's: it goes on as it was, in any attempt, and
// nothing stays held. Goexit likewise.
func TestTransportBaseThatPanics(t *testing.T) {
	for name, exit := range map[string]func(){"panic": func() { panic("theirs") }, "Goexit": runtime.Goexit} {
		for attempt := 1; attempt <= 3; attempt++ {
			synctest.Test(t, func(t *testing.T) {
				limiter, breaker := transportLimiter(t, 1), transportBreaker(t, 100)
				policy := retryPolicy(t, RetryConfig{})
				server := newTransportServer(503, 503)
				var contexts []error
				tr := NewTransport(TransportConfig{
					Limiter: limiter, Breaker: breaker, Retry: policy, AttemptTimeout: time.Second,
					Base: transportFunc(func(req *http.Request) (*http.Response, error) {
						if len(server.at)+1 == attempt {
							ctx := req.Context()
							defer func() { go func() { <-ctx.Done(); contexts = append(contexts, ctx.Err()) }() }() // ends with the attempt
							exit()
						}
						return server.RoundTrip(req)
					}),
				})
				var recovered any
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { recovered = recover() }()
					_, _ = tr.RoundTrip(transportRequest(t, "GET", "")) //nolint:bodyclose // does not return
				})
				wg.Wait()
				synctest.Wait()
				require.Equal(t, map[string]any{"panic": "theirs", "Goexit": nil}[name], recovered)
				require.Zero(t, limiter.Metrics().Active, name)
				require.Zero(t, breaker.Metrics().Pending, name)
				require.EqualValues(t, attempt, breaker.Metrics().Failures, name)
				require.Equal(t, attempt-1, policy.Metrics().BudgetInUse, name)
				require.Len(t, contexts, 1, "%s: the attempt's context ends", name)
			})
		}
	}
}

// A base may keep its response for itself and give it to many at once.
func TestTransportSharedResponseIsNotARace(t *testing.T) {
	shared := &http.Response{StatusCode: 200, Header: http.Header{"A": {"b"}}}
	limiter := transportLimiter(t, 8)
	tr := NewTransport(TransportConfig{Limiter: limiter, Base: transportFunc(func(*http.Request) (*http.Response, error) { return shared, nil })})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				resp, err := tr.RoundTrip(transportRequest(t, "GET", ""))
				if err != nil || resp.Body.Close() != nil || !slices.Equal(slices.Collect(maps.Keys(resp.Header)), []string{"A"}) {
					t.Error(resp, err)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, limiter.Metrics().Active)
}
