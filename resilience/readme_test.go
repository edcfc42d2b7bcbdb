package resilience_test

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

// newClient is the snippet of README.md, letter for letter.
func newClient() (*http.Client, error) {
	breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{
		Name:               "billing",
		FailureThreshold:   resilience.NoThreshold, // go by the share of failures:
		ErrorRateThreshold: 0.5,                    // half of the calls
		WindowDuration:     30 * time.Second,       // of the last 30 seconds,
		MinRequests:        20,                     // once there are 20
	})
	if err != nil {
		return nil, err
	}
	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{
		MaxAttempts:      3,
		RetryBudgetRatio: 0.2, // retries are at most 20 % of the calls, and 10 a second
	})
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: 10 * time.Second, // of a call: its attempts, the waits between them, the body
		Transport: resilience.NewTransport(resilience.TransportConfig{
			Breaker:        breaker,
			Retry:          retry,
			AttemptTimeout: 2 * time.Second, // until the header is in
		}),
	}, nil
}

// defaultClient is what the table below the snippet warns of.
func defaultClient() (*http.Client, error) {
	breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{FailureThreshold: 5})
	if err != nil {
		return nil, err
	}
	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 3})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: resilience.NewTransport(resilience.TransportConfig{Breaker: breaker, Retry: retry})}, nil
}

// The snippets that are run here are all that README has about this package.
func TestReadmeSnippetsAreThoseThatAreRun(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(readme), "\n## Resilience\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	var snippets []string
	for {
		_, rest, ok := strings.Cut(section, "```go\n")
		if !ok {
			break
		}
		snippet, after, ok := strings.Cut(rest, "```\n")
		require.True(t, ok)
		snippets, section = append(snippets, snippet), after
	}
	own, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(own), "letter for letter.\n")
	code, _, _ = strings.Cut(code, "\n}\n")
	require.Equal(t, []string{code + "\n}\n"}, snippets)
}

// readmeService answers after 5 ms, with 503 if down says so.
type readmeService struct {
	down func(req *http.Request) bool
}

func (s *readmeService) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	status := http.StatusOK
	if s.down(req) {
		status = http.StatusServiceUnavailable
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

// readmeShare says that the first attempt of one call in n fails.
func readmeShare(n int) func(*http.Request) bool {
	var tried sync.Map
	return func(req *http.Request) bool {
		call, err := strconv.Atoi(req.URL.RawQuery)
		_, again := tried.LoadOrStore(call, true)
		return err != nil || !again && call%n == n/2
	}
}

// readmeRun makes calls at a constant rate, each on its own goroutine, and returns
// how many ended without a 200. The client is made with service as
// http.DefaultTransport, because a snippet names no other.
func readmeRun(t *testing.T, newClient func() (*http.Client, error), service http.RoundTripper, rate, calls int) (failed int64) {
	t.Helper()
	saved := http.DefaultTransport
	http.DefaultTransport = service
	client, err := newClient()
	http.DefaultTransport = saved
	require.NoError(t, err)
	var bad atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for i := range calls {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		wg.Go(func() { // ends with the call
			resp, err := client.Get("http://billing.test/?" + strconv.Itoa(i)) //nolint:noctx // as people write it
			if err == nil {
				_ = resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				bad.Add(1)
			}
		})
	}
	wg.Wait()
	return bad.Load()
}

func TestReadmeClientAtAnyRate(t *testing.T) {
	for _, c := range []struct {
		name        string
		rate, calls int
		down        func(*http.Request) bool
	}{
		{"0.5 % errors at 1 req/s", 1, 600, readmeShare(200)},
		{"0.5 % errors at 100 req/s", 100, 3000, readmeShare(200)},
		{"0.5 % errors at 10,000 req/s", 10_000, 3000, readmeShare(200)},
		{"2 % errors at 100 req/s", 100, 5000, readmeShare(50)},
		{"10 % errors at 100 req/s", 100, 3000, readmeShare(10)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				require.Zero(t, readmeRun(t, newClient, &readmeService{down: c.down}, c.rate, c.calls), "calls refused or failed, of %d", c.calls)
			})
		})
	}
	// The same load breaks a client with the defaults, or it would show nothing.
	synctest.Test(t, func(t *testing.T) {
		failed := readmeRun(t, defaultClient, &readmeService{down: readmeShare(200)}, 100, 3000)
		t.Logf("with the defaults %d of 3,000 calls fail", failed)
		require.Greater(t, failed, int64(1000))
	})
}

// In an outage the same client stops calling, and calls again when it is over.
func TestReadmeClientInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		began, ended := start.Add(30*time.Second), start.Add(90*time.Second)
		var during atomic.Int64
		service := &readmeService{down: func(*http.Request) bool {
			now := time.Now()
			down := now.After(began) && now.Before(ended)
			if down {
				during.Add(1)
			}
			return down
		}}
		failed := readmeRun(t, newClient, service, 100, 180*100)
		t.Logf("%d of 18,000 calls failed, the service saw %d of 6,000 and their retries in the outage", failed, during.Load())
		// Half a window of 30 s until the breaker opens, in which retries count as
		// calls do; then one probe each 30 s. Afterwards at most one more
		// OpenStateDuration.
		require.Less(t, during.Load(), int64(15*100*13/10))
		require.Less(t, failed, int64(60*100+30*100))
		require.Greater(t, failed, int64(55*100))
	})
}

// An attempt that hangs does not cost the call.
func TestReadmeClientAndAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		hang := readmeHang{&readmeService{down: func(*http.Request) bool { return false }}, new(bool)}
		require.Zero(t, readmeRun(t, newClient, hang, 1, 1))
		require.InDelta(t, 3.005, time.Since(start).Seconds(), 0.1001, "2 s of the attempt, 1 s ± 10 % of waiting, 5 ms")
	})
}

// readmeHang never answers its first request.
type readmeHang struct {
	*readmeService
	hung *bool
}

func (h readmeHang) RoundTrip(req *http.Request) (*http.Response, error) {
	if !*h.hung {
		*h.hung = true
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return h.readmeService.RoundTrip(req)
}
