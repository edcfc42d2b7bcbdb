package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"example.com/brunt/resilience"
)

func ExampleRetryPolicy_Execute() {
	policy, err := resilience.NewRetryPolicy(resilience.RetryConfig{
		MaxAttempts:      5,
		AttemptTimeout:   2 * time.Second,
		RetryBudgetRatio: 0.2, // retries are at most 20 % of the calls and 10 a second
		BaseDelay:        time.Millisecond,
		OnRetry:          func(e resilience.RetryEvent) { fmt.Printf("attempt %d: %v\n", e.Attempt, e.Err) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	calls := 0
	err = policy.Execute(context.Background(), func(context.Context) error {
		if calls++; calls < 3 {
			return fmt.Errorf("read reply: %w", io.ErrUnexpectedEOF)
		}
		return nil
	})
	fmt.Println("error:", err)
	fmt.Println("retries:", policy.Metrics().Retries)
	// Output:
	// attempt 1: read reply: unexpected EOF
	// attempt 2: read reply: unexpected EOF
	// error: <nil>
	// retries: 2
}

// When attempts run out, the error matches the reason and the cause alike.
func ExampleRetryError() {
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 2, BaseDelay: time.Millisecond})
	err := policy.Execute(context.Background(), func(context.Context) error {
		return &resilience.StatusError{Code: 503}
	})
	fmt.Println(err)
	var status *resilience.StatusError
	fmt.Println(errors.Is(err, resilience.ErrExhausted), errors.As(err, &status))
	// Output:
	// resilience: gave up after 2 attempts: retry attempts exhausted; last error: resilience: HTTP status 503 Service Unavailable
	// true true
}

// A budget that is a share grows with the traffic: 2 % errors are all retried.
func ExampleRetryConfig_retryBudgetRatio() {
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{RetryBudgetRatio: 0.2, BaseDelay: time.Microsecond})
	failed := 0
	for i := range 5000 {
		attempt := 0
		err := policy.Execute(context.Background(), func(context.Context) error {
			if attempt++; attempt == 1 && i%50 == 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		})
		if err != nil {
			failed++
		}
	}
	fmt.Println("retries:", policy.Metrics().Retries, "failed:", failed)
	// Output: retries: 100 failed: 0
}

// An attempt that hangs costs its own time and not the caller's.
func ExampleAttemptTimeoutError() {
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{
		AttemptTimeout: 5 * time.Millisecond,
		BaseDelay:      time.Millisecond,
		OnRetry:        func(e resilience.RetryEvent) { fmt.Println(e.Err, errors.Is(e.Err, context.DeadlineExceeded)) },
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	calls := 0
	err := policy.Execute(ctx, func(ctx context.Context) error {
		if calls++; calls == 1 {
			<-ctx.Done() // the service never answers
			return ctx.Err()
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// resilience: no result within the AttemptTimeout of 5ms true
	// <nil>
}

func ExampleRetry() {
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{BaseDelay: time.Millisecond})
	calls := 0
	answer, err := resilience.Retry(context.Background(), policy, func(context.Context) (int, error) {
		if calls++; calls == 1 {
			return 0, io.ErrUnexpectedEOF
		}
		return 42, nil
	})
	fmt.Println(answer, err)
	// Output: 42 <nil>
}

// Every attempt asks the breaker. Once it is open there is no further attempt.
func ExampleWithBreaker() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{FailureThreshold: 2})
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 5, BaseDelay: time.Millisecond})
	calls := 0
	err := policy.Execute(context.Background(), func(context.Context) error {
		calls++
		return io.ErrUnexpectedEOF
	}, resilience.WithBreaker(breaker))
	fmt.Println(calls, errors.Is(err, resilience.ErrOpen), errors.Is(err, io.ErrUnexpectedEOF))
	// Output: 2 true true
}

// Permanent stops retries of an error that would otherwise look passing.
func ExamplePermanent() {
	policy, _ := resilience.NewRetryPolicy(resilience.RetryConfig{})
	calls := 0
	err := policy.Execute(context.Background(), func(context.Context) error {
		calls++
		return resilience.Permanent(io.ErrUnexpectedEOF)
	})
	fmt.Println(calls, err)
	// Output: 1 unexpected EOF
}

func ExampleIsTransient() {
	fmt.Println(resilience.IsTransient(&resilience.StatusError{Code: 503}))
	fmt.Println(resilience.IsTransient(&resilience.StatusError{Code: 404}))
	fmt.Println(resilience.IsTransient(context.Canceled))
	// Output:
	// true
	// false
	// false
}

func ExampleParseRetryAfter() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	fmt.Println(resilience.ParseRetryAfter("120", now))
	fmt.Println(resilience.ParseRetryAfter("Sun, 01 Mar 2026 12:00:30 GMT", now))
	fmt.Println(resilience.ParseRetryAfter("-5", now))
	// Output:
	// 2m0s true
	// 30s true
	// 0s false
}

func ExampleRetryConfig_Delay() {
	cfg := resilience.RetryConfig{MaxDelay: 5 * time.Second}
	for attempt := 1; attempt <= 4; attempt++ {
		fmt.Println(cfg.Delay(attempt, 0.5))
	}
	// Output:
	// 1s
	// 2s
	// 4s
	// 5s
}
