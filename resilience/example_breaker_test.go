package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/brunt/resilience"
)

// A breaker that goes by the share of calls that fail is right at any rate of
// calls.
func ExampleCircuitBreaker() {
	breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{
		Name:               "api",
		FailureThreshold:   resilience.NoThreshold,
		ErrorRateThreshold: 0.5,
		MinRequests:        20,
		WindowDuration:     30 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	call := func(err error) error { return breaker.Do(ctx, func(context.Context) error { return err }) }
	for range 20 {
		_ = call(nil)
	}
	for range 20 {
		_ = call(errors.New("connection refused"))
	}
	err = call(nil)
	fmt.Println(err, errors.Is(err, resilience.ErrOpen))
	fmt.Println(breaker.Timeline()[0])
	// Output:
	// resilience: circuit breaker "api" is open true
	// CLOSED → OPEN (error rate: 20 of 40 failed)
}

// Failures in a row trip a breaker as gobreaker's and failsafe-go's users know it.
func ExampleBreakerConfig_consecutiveFailures() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{
		FailureThreshold:    resilience.NoThreshold,
		ErrorRateThreshold:  resilience.NoThreshold,
		ConsecutiveFailures: 3,
	})
	down := errors.New("down")
	for _, err := range []error{down, down, nil, down, down, down} {
		_ = breaker.Do(context.Background(), func(context.Context) error { return err })
	}
	fmt.Println(breaker.Timeline()[0])
	// Output: CLOSED → OPEN (failures in a row: 3)
}

// A number of failures is right for a service that is called now and then: five
// in a minute, unless set otherwise.
func ExampleBreakerConfig_failureThreshold() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{FailureThreshold: 2})
	for range 3 {
		err := breaker.Do(context.Background(), func(context.Context) error { return errors.New("connection refused") })
		fmt.Println(err)
	}
	// Output:
	// connection refused
	// connection refused
	// resilience: circuit breaker "" is open
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
	// resilience: BreakerConfig.ErrorRateThreshold is 1.5, want above 0 and up to 1, or NoThreshold (0 means 0.5)
	// resilience: BreakerConfig.ProbeCount is -1, want 1 or more (0 means 1)
}

func ExampleHTTPFailure() {
	fmt.Println(resilience.HTTPFailure(404), resilience.HTTPFailure(429), resilience.HTTPFailure(503))
	// Output: false true true
}
