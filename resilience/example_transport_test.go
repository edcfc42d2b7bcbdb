package resilience_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/brunt/resilience"
)

func ExampleTransport() {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()

	limiter, _ := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 10})
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{Name: "hello", FailureThreshold: resilience.NoThreshold})
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{RetryBudgetRatio: 0.2, BaseDelay: time.Millisecond})
	client := &http.Client{
		Timeout: 10 * time.Second, // of all attempts and of the body
		Transport: resilience.NewTransport(resilience.TransportConfig{
			Limiter:        limiter,
			Breaker:        breaker,
			Retry:          policy,
			AttemptTimeout: 2 * time.Second,
		}),
	}
	defer client.CloseIdleConnections()

	resp, err := client.Get(server.URL) //nolint:noctx // brevity
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	fmt.Println("retries:", policy.Metrics().Retries)
	// Output:
	// 200 hello
	// retries: 2
}

func ExampleIsIdempotent() {
	post, _ := http.NewRequest(http.MethodPost, "http://service.test/orders", nil) //nolint:noctx // not sent
	fmt.Println(resilience.IsIdempotent(post))
	post.Header.Set("Idempotency-Key", "order-17")
	fmt.Println(resilience.IsIdempotent(post))
	// Output:
	// false
	// true
}
