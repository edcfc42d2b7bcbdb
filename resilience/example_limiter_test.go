package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/brunt/resilience"
)

func ExampleSemaphoreLimiter() {
	limiter, err := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 2, AcquireTimeout: time.Millisecond})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	err = limiter.Do(ctx, func(context.Context) error {
		fmt.Println("inside:", limiter.Metrics().Active)
		return nil
	})
	fmt.Println(err)
	// Output:
	// inside: 1
	// <nil>
}

func ExampleSemaphoreLimiter_Acquire() {
	limiter, _ := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 1, AcquireTimeout: time.Millisecond})
	ctx := context.Background()
	if err := limiter.Acquire(ctx); err == nil {
		defer limiter.Release()
	}
	err := limiter.Acquire(ctx)
	fmt.Println(errors.Is(err, resilience.ErrAcquireTimeout))
	fmt.Println(err)
	// Output:
	// true
	// resilience: no permit of 1 came free within 1ms
}

func ExampleSemaphoreLimiter_TryAcquire() {
	limiter, _ := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 1})
	fmt.Println(limiter.TryAcquire(), limiter.TryAcquire())
	limiter.Release()
	fmt.Println(limiter.TryAcquire())
	// Output:
	// true false
	// true
}

func ExampleSemaphoreLimiter_SetMaxConcurrent() {
	limiter, _ := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 2})
	limiter.TryAcquire()
	limiter.TryAcquire()
	_ = limiter.SetMaxConcurrent(1) // both stay; nobody else gets in
	limiter.Release()
	fmt.Println(limiter.TryAcquire())
	limiter.Release()
	fmt.Println(limiter.TryAcquire())
	fmt.Println(limiter.SetMaxConcurrent(0))
	// Output:
	// false
	// true
	// resilience: LimiterConfig.MaxConcurrent is 0, want 1 to 1048575
}

func ExampleSemaphoreLimiter_Metrics() {
	limiter, _ := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: 3})
	limiter.TryAcquire()
	limiter.TryAcquire()
	limiter.Release()
	fmt.Printf("%+v\n", limiter.Metrics())
	// Output:
	// {MaxConcurrent:3 Active:1 Peak:2 Waiting:0 Acquisitions:2 Timeouts:0 Cancellations:0}
}

func ExampleLimiterConfig_Validate() {
	fmt.Println(resilience.LimiterConfig{AcquireTimeout: -time.Second}.Validate())
	// Output:
	// resilience: LimiterConfig.MaxConcurrent is 0, want 1 to 1048575
	// resilience: LimiterConfig.AcquireTimeout is -1s, want a positive duration, or 0 for none
}
