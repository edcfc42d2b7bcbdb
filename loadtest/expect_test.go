package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/resilience"
)

// counts are what a result says of statuses, wherever it comes from.
func counts(s *Stats) string {
	return fmt.Sprintf("%d = %d ok + %d failed + %d other, errors %v, statuses %v",
		s.Requests, s.SuccessCount, s.ErrorCount, s.OtherCount, s.Errors, s.StatusCodes)
}

// Request.Expect says which statuses are right, for every client, and the counts
// are those of the records.
func TestExpectedStatusesAreSuccesses(t *testing.T) {
	srv := fixtures.NewServer(t)
	status := func(code int, expect ...int) *Request {
		r := Get(fmt.Sprintf("%s/status/%d", srv.URL, code))
		r.Name, r.Expect = fmt.Sprint(code, expect), expect
		return r
	}
	reqs := []*Request{
		status(404, 404), status(404), status(200, 404), status(503, 200, 503), status(302), status(302, 302), status(302, 200), status(204, 204),
	}
	want := map[string]string{
		"404 [404]":     "5 = 5 ok + 0 failed + 0 other, errors map[], statuses map[404:5]",
		"404 []":        "5 = 0 ok + 5 failed + 0 other, errors map[status:5], statuses map[404:5]",
		"200 [404]":     "5 = 0 ok + 5 failed + 0 other, errors map[status:5], statuses map[200:5]",
		"503 [200 503]": "5 = 5 ok + 0 failed + 0 other, errors map[], statuses map[503:5]",
		"302 []":        "5 = 0 ok + 0 failed + 5 other, errors map[], statuses map[302:5]",
		"302 [302]":     "5 = 5 ok + 0 failed + 0 other, errors map[], statuses map[302:5]",
		"302 [200]":     "5 = 0 ok + 5 failed + 0 other, errors map[status:5], statuses map[302:5]",
		"204 [204]":     "5 = 5 ok + 0 failed + 0 other, errors map[], statuses map[204:5]",
	}
	all := allEngines(ConnectionConfig{}, 0)
	all["transport"] = SyncConfig{Conn: ConnectionConfig{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	for name, cfg := range all {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, cfg)
			defer closeEngine(t, e)
			var file bytes.Buffer
			sink, err := NewSink(NewJSONL(&file), SinkConfig{})
			require.NoError(t, err)
			r, err := Record(t.Context(), e, Times(5*len(reqs), reqs...), sink)
			require.NoError(t, err)
			require.NoError(t, sink.Close(t.Context()))
			read, err := ReadJSONL(&file)
			require.NoError(t, err)
			for _, r := range []*EngineResult{r, read} {
				for name, ep := range r.Endpoints {
					require.Equal(t, want[name], counts(ep), name)
				}
				require.Equal(t, "40 = 20 ok + 15 failed + 5 other, errors map[status:15], statuses map[200:5 204:5 302:15 404:10 503:5]", counts(&r.Stats))
				require.Contains(t, r.ErrorExamples[ClassStatus], "want [")
				for _, w := range r.Warnings {
					if w.Kind == WarnRedirects {
						require.Contains(t, w.Text, "5 redirects", "those nobody expected")
					}
				}
			}
		})
	}
}

// A status is counted without an example, except where others were expected; whoever gets
// the results gets it as an error.
func TestAStatusHasAnExampleIfAnotherWasExpected(t *testing.T) {
	srv := fixtures.NewServer(t)
	plain, expecting := Get(srv.URL+"/status/500"), Get(srv.URL+"/status/500")
	expecting.Expect = []int{204}
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, cfg)
			defer closeEngine(t, e)
			for req, want := range map[*Request]map[ErrorClass]string{plain: nil, expecting: {ClassStatus: "resilience: HTTP status 500 Internal Server Error, want [204]"}} {
				r, err := e.Run(t.Context(), Times(3, req))
				require.NoError(t, err)
				require.Equal(t, want, r.ErrorExamples)
				r, err = e.RunStreaming(t.Context(), Times(3, req), func(r RequestResult) error {
					var status *resilience.StatusError
					require.ErrorAs(t, r.Err, &status)
					require.Equal(t, 500, status.Code)
					require.Equal(t, want != nil, strings.Contains(r.Err.Error(), "want [204]"), r.Err)
					return nil
				})
				require.NoError(t, err)
				require.Equal(t, want, r.ErrorExamples)
			}
		})
	}
}

// Check runs for what was expected, and decides.
func TestCheckRunsForAnExpectedStatus(t *testing.T) {
	srv := fixtures.NewServer(t)
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		req := Get(srv.URL + "/status/404")
		req.Expect = []int{404}
		req.Check = func(r Response) error {
			if r.StatusCode != 404 || len(r.Body) == 0 || r.Header == nil {
				return fmt.Errorf("%d, %q", r.StatusCode, r.Body)
			}
			return nil
		}
		e := newEngine(t, cfg)
		r, err := e.Run(t.Context(), Times(10, req))
		require.NoError(t, err)
		require.EqualValues(t, 10, r.SuccessCount, "%s: %v", name, r.ErrorExamples)
		req = Get(srv.URL + "/status/404")
		req.Expect = []int{404}
		req.Check = func(Response) error { return errTest }
		r, err = e.Run(t.Context(), Times(10, req))
		require.NoError(t, err)
		require.Equal(t, map[ErrorClass]int64{ClassCheck: 10}, r.Errors, name)
		closeEngine(t, e)
	}
}

// A status that is right speaks against no service, and is not tried again.
func TestAnExpectedStatusIsNoFailureToThePolicies(t *testing.T) {
	srv := fixtures.NewServer(t)
	breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{Name: "t", FailureThreshold: 3})
	require.NoError(t, err)
	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 3, BaseDelay: time.Millisecond})
	require.NoError(t, err)
	e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Breaker: breaker, Retry: retry})
	defer closeEngine(t, e)
	req := Get(srv.URL + "/status/503")
	req.Expect = []int{503}
	r, err := e.Run(t.Context(), Times(20, req))
	require.NoError(t, err)
	require.EqualValues(t, 20, r.SuccessCount)
	require.Zero(t, r.Retries)
	require.Equal(t, resilience.StateClosed, breaker.State())
}

func TestExpectIsValidated(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 1000} {
		r := Get("http://h/")
		r.Expect = []int{200, status}
		err := r.Validate()
		require.ErrorIs(t, err, ErrInvalidRequest)
		require.ErrorContains(t, err, fmt.Sprintf("status %d in Expect", status))
	}
}

func TestHeadersMayBeSetAtOnce(t *testing.T) {
	for _, r := range []*Request{Get("http://h/"), Post("http://h/", "text/plain", nil)} {
		r.Header.Set("X-Test", "1")
		require.Equal(t, "1", r.Header.Get("x-test"))
	}
}

// ownClass is an error that says itself what it is.
type ownClass ErrorClass

func (ownClass) Error() string            { return "own" }
func (c ownClass) ErrorClass() ErrorClass { return ErrorClass(c) }

func TestErrorsMayBringTheirClass(t *testing.T) {
	for class := range numClasses + 3 {
		want := class
		if class == ClassNone || class >= numClasses {
			want = ClassOther
		}
		require.Equal(t, want, classify(ownClass(class)), class)
		require.Equal(t, want, classify(fmt.Errorf("wrapped: %w", ownClass(class))), class)
	}
	require.Equal(t, ClassDNS, classify(errors.Join(context.DeadlineExceeded, ownClass(ClassDNS))), "what it says itself counts")
}
