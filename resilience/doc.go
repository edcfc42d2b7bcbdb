// Package resilience keeps a client standing while what it calls falls over.
//
//   - [SemaphoreLimiter] admits so many callers at once, in arrival order.
//   - [CircuitBreaker] stops calling a service that fails and finds out when it
//     is well again.
//   - [RetryPolicy] tries again, with backoff, jitter and a budget, what may
//     succeed on another attempt.
//   - [Pipeline] takes items through a bounded queue in batches.
//   - [RuntimeMonitor] tells a slow service from a starved client.
//   - [Transport] puts all of it around an [http.RoundTripper].
//
// # Settings that are right at any rate
//
// The defaults of [BreakerConfig] and [RetryConfig] are numbers per minute, five
// failures and ten retries, which suit a service that is called now and then. At
// 100 requests a second they refuse service at 0.083 % errors, and retry 0.17 % of
// the requests. What is right at 1, 100 and 10,000 requests a second goes by
// shares, and bounds each attempt:
//
//	breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{
//		FailureThreshold:   resilience.NoThreshold,
//		ErrorRateThreshold: 0.5,
//		MinRequests:        20,
//		WindowDuration:     30 * time.Second,
//	})
//	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{
//		RetryBudgetRatio: 0.2,
//		AttemptTimeout:   2 * time.Second,
//	})
//
// # Order of composition
//
// Outermost first: retry, breaker, limiter, call. Each attempt then asks the
// breaker anew, so that a tripped breaker ends the retries; and a refused attempt
// takes no permit. A wait for a permit is then part of the call that the breaker
// judges: a limiter that times out is a failure to it, unless its IsIgnored says
// otherwise.
//
//	err := policy.Execute(ctx, func(ctx context.Context) error {
//		return breaker.Do(ctx, func(ctx context.Context) error {
//			return limiter.Do(ctx, call)
//		})
//	})
//
// [Transport] asks the limiter before the breaker, because its permit lasts
// until the response body has been read; so a wait for a permit never looks like a
// slow service. It looks first whether the breaker is open, so that a refused
// request does not wait in line.
//
// # What holds throughout
//
// A panic or runtime.Goexit (t.FailNow) in a protected call releases whatever
// the call held, counts as a failure, and goes on with its stack intact. A
// context that has ended wins every tie. Callbacks run without locks held, in
// order, and may use what called them. Configurations are checked as a whole
// and never bent into shape. Sentinel errors are matched with errors.Is, and
// the typed errors behind them with errors.As.
//
// No clock, pool, timer or goroutine is shared by the whole package, and the
// limiter and the breaker start no goroutine at all: what is made inside a
// testing/synctest bubble lives on that bubble's time.
package resilience
