package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/brunt/resilience"
)

func ExampleCircuitBreaker() {
	breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{Name: "api", FailureThreshold: 2})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for range 3 {
		err := breaker.Do(ctx, func(context.Context) error { return errors.New("connection refused") })
		fmt.Println(err, errors.Is(err, resilience.ErrOpen))
	}
	fmt.Println(breaker.State())
	// Output:
	// connection refused false
	// connection refused false
	// resilience: circuit breaker "api" is open true
	// OPEN
}

func ExampleCircuitBreaker_Allow() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{})
	permit, err := breaker.Allow()
	if err != nil {
		return // refused: there is nothing to report
	}
	status := 503 // of the call made now
	if resilience.HTTPFailure(status) {
		permit.Done(fmt.Errorf("status %d", status))
	} else {
		permit.Done(nil)
	}
	fmt.Println(breaker.Metrics().Failures)
	// Output: 1
}

func ExamplePermit_Ignore() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{})
	permit, _ := breaker.Allow()
	permit.Ignore() // the call was never made
	m := breaker.Metrics()
	fmt.Println(m.Requests(), m.Pending)
	// Output: 0 0
}

func ExampleCall() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{})
	n, err := resilience.Call(context.Background(), breaker, func(context.Context) (int, error) {
		return 42, nil
	})
	fmt.Println(n, err)
	// Output: 42 <nil>
}

func ExampleCircuitBreaker_RecordLatency() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{BaselineLatency: 100 * time.Millisecond})
	breaker.RecordLatency(300 * time.Millisecond) // three times the baseline: just fast enough
	breaker.RecordLatency(301 * time.Millisecond)
	fmt.Println(breaker.Metrics().Slow)
	// Output: 1
}

func ExampleCircuitBreaker_WaitPending() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{})
	permit, _ := breaker.Allow()
	go func() {
		time.Sleep(time.Millisecond)
		permit.Done(nil)
	}()
	fmt.Println(breaker.WaitPending(context.Background()), breaker.Metrics().Successes)
	// Output: <nil> 1
}

func ExampleCircuitBreaker_Reset() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{
		FailureThreshold: 1,
		OnStateChange:    func(t resilience.Transition) { fmt.Println(t) },
	})
	_ = breaker.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	breaker.Reset()
	// Output:
	// CLOSED → OPEN (failure threshold: 1 of 1 failed)
	// OPEN → CLOSED (reset)
}

func ExampleOpenError() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{Name: "api", FailureThreshold: 1, OpenStateDuration: time.Hour})
	fail := func(context.Context) error { return errors.New("down") }
	_ = breaker.Do(context.Background(), fail)
	err := breaker.Do(context.Background(), fail)
	var open *resilience.OpenError
	if errors.As(err, &open) {
		fmt.Println(open.Name, open.State, open.RetryAfter() > 59*time.Minute)
	}
	// Output: api OPEN true
}

func ExampleTimeline() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{FailureThreshold: 1})
	fmt.Println(breaker.Timeline())
	_ = breaker.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	for _, t := range breaker.Timeline() {
		fmt.Println(t.From, t.To, t.Reason)
	}
	// Output:
	// no transitions
	// CLOSED OPEN failure threshold
}

func ExampleBreakerMetrics() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{})
	for i := range 4 {
		permit, _ := breaker.Allow()
		if i == 0 {
			permit.Done(errors.New("down"))
		} else {
			permit.Done(nil)
		}
	}
	m := breaker.Metrics()
	fmt.Println(m.State, m.Requests(), m.ErrorRate())
	// Output: CLOSED 4 0.25
}

func ExampleBreakerConfig_Validate() {
	fmt.Println(resilience.BreakerConfig{ProbeCount: -1, ErrorRateThreshold: 1.5}.Validate())
	// Output:
	// resilience: breaker: ErrorRateThreshold is 1.5, want above 0 and up to 1 (0 means 0.5)
	// resilience: breaker: ProbeCount is -1, want 1 or more (0 means 1)
}

func ExampleHTTPFailure() {
	fmt.Println(resilience.HTTPFailure(404), resilience.HTTPFailure(429), resilience.HTTPFailure(503))
	// Output: false true true
}
