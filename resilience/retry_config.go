package resilience

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Settings of [RetryConfig] whose zero value means the default, so that none
// needs a word of its own.
const (
	NoJitter = -1 // RetryConfig.JitterFactor: every delay is exact
	NoBudget = -1 // RetryConfig.RetryBudget: retries are limited by MaxAttempts alone
)

// maxRetryBudget bounds the memory a budget takes: eight bytes per retry.
const maxRetryBudget = 1 << 20

// RetryConfig says when [RetryPolicy.Execute] tries again and how long it waits
// before it does. The zero value of each field means its default.
type RetryConfig struct {
	// MaxAttempts bounds the attempts of one execution, the first included.
	// Default 3; at least 1, which means no retries.
	MaxAttempts int

	// BaseDelay is the wait before the second attempt, ahead of jitter. It
	// doubles for each one after. Default 1 s; positive, at most MaxDelay.
	BaseDelay time.Duration

	// MaxDelay caps every wait, jitter and Retry-After included. Default 60 s;
	// positive.
	MaxDelay time.Duration

	// JitterFactor spreads each wait evenly over ± that share of it. Default
	// 0.1; in (0, 1], or [NoJitter].
	JitterFactor float64

	// RetryBudget is how many retries all executions of the policy together may
	// begin in any window of RetryBudgetWindow. First attempts are free.
	// Default 10; 1 to 1,048,576, or [NoBudget].
	RetryBudget int

	// RetryBudgetWindow is the length of the budget's sliding window. Default
	// 60 s; positive.
	RetryBudgetWindow time.Duration

	// IsTransient reports whether an error deserves another attempt. Default
	// [IsTransient], which retries only what it recognises. It is not asked about
	// errors marked by [Permanent], about [ErrOpen], or once the context has
	// ended. It may be called from many goroutines.
	IsTransient func(error) bool

	// OnRetry, when not nil, is called before each wait, on the goroutine of the
	// execution and outside all locks. It may be called from many goroutines.
	OnRetry func(RetryEvent)

	// Rand returns the random numbers in [0, 1) behind the jitter, and must be
	// safe for concurrent use. Default math/rand/v2.Float64; a seeded source
	// makes the delays of a test repeat.
	Rand func() float64
}

// RetryEvent tells [RetryConfig.OnRetry] that an attempt has failed and another
// will follow.
type RetryEvent struct {
	Context context.Context // the execution's
	Attempt int             // the attempt that failed; 1 is the first
	Delay   time.Duration   // the wait that now begins
	Err     error           // why the attempt failed
}

// Validate reports everything that is wrong with the configuration, joined into
// one error, or nil. It judges fields left zero by their defaults, and changes
// nothing.
func (c RetryConfig) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("resilience: RetryConfig."+format, args...))
		}
	}
	fault(c.MaxAttempts < 1, "MaxAttempts is %d, want at least 1", c.MaxAttempts)
	fault(c.BaseDelay < 0, "BaseDelay is %v, want a positive duration", c.BaseDelay)
	fault(c.MaxDelay < 0, "MaxDelay is %v, want a positive duration", c.MaxDelay)
	fault(c.MaxDelay >= 0 && c.BaseDelay > c.MaxDelay, "BaseDelay %v exceeds MaxDelay %v", c.BaseDelay, c.MaxDelay)
	fault(c.JitterFactor != NoJitter && !(c.JitterFactor > 0 && c.JitterFactor <= 1),
		"JitterFactor is %v, want a number in (0, 1] or NoJitter", c.JitterFactor)
	fault(c.RetryBudget != NoBudget && (c.RetryBudget < 1 || c.RetryBudget > maxRetryBudget),
		"RetryBudget is %d, want 1 to %d or NoBudget", c.RetryBudget, maxRetryBudget)
	fault(c.RetryBudgetWindow < 0, "RetryBudgetWindow is %v, want a positive duration", c.RetryBudgetWindow)
	return errors.Join(faults...)
}

// Delay is the wait after attempt number attempt has failed (1 is the first),
// for a random number in [0, 1); 0.5 is the middle, without jitter:
//
//	min(BaseDelay × 2^(attempt−1) × (1 + JitterFactor × (2·random − 1)), MaxDelay)
//
// The formula is the reference implementation's, with the cap moved behind the
// jitter. With the defaults and without jitter: 1 s, 2 s, 4 s, 8 s, 16 s, 32 s,
// 60 s, 60 s and so on. It doesn't overflow, whatever the attempt.
func (c RetryConfig) Delay(attempt int, random float64) time.Duration {
	c = c.withDefaults()
	return backoffDelay(c.BaseDelay, c.MaxDelay, c.JitterFactor, attempt, random)
}

func (c RetryConfig) withDefaults() RetryConfig {
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 3
	}
	if c.BaseDelay == 0 {
		c.BaseDelay = time.Second
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = time.Minute
	}
	if c.JitterFactor == 0 {
		c.JitterFactor = 0.1
	}
	if c.RetryBudget == 0 {
		c.RetryBudget = 10
	}
	if c.RetryBudgetWindow == 0 {
		c.RetryBudgetWindow = time.Minute
	}
	return c
}
