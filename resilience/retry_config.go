package resilience

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Settings of [RetryConfig] whose zero value means the default, so that none
// needs a word of its own.
const (
	NoJitter  = -1 // RetryConfig.JitterFactor: every delay is exact
	NoBudget  = -1 // RetryConfig.RetryBudget: retries are limited by MaxAttempts alone
	NoMinimum = -1 // RetryConfig.RetryBudgetMinPerSecond: retries are a share of the requests and no more
)

// maxRetryBudget bounds the memory a budget takes: eight bytes per retry.
const maxRetryBudget = 1 << 20

// shortestShareWindow is the shortest RetryBudgetWindow of a budget that is a
// share: its buckets are a tenth of that.
const shortestShareWindow = time.Millisecond

// RetryConfig says when [RetryPolicy.Execute] tries again and how long it waits
// before it does. The zero value of each field means its default.
//
// Two budgets keep retries from multiplying the load on a service that fails; a
// policy has one of them. Which is right depends on the rate of requests:
//
//	                          at 1 req/s retries   100 req/s   10,000 req/s
//	RetryBudget 10, default   17 % of requests     0.17 %      0.0017 %
//	RetryBudgetRatio 0.2      all                  30 %        20.1 %
//
// What exceeds the budget reaches the caller as it failed, so the default hides no
// more than 10 errors a minute. Use a share where the rate is higher or unknown.
type RetryConfig struct {
	// MaxAttempts bounds the attempts of one execution, the first included.
	// Default 3; at least 1, which means no retries. A service that fails
	// altogether gets up to MaxAttempts times the load, as far as the budget
	// allows.
	MaxAttempts int

	// AttemptTimeout is the longest an attempt may take. Then its context ends and
	// the attempt has failed, with an [*AttemptTimeoutError], which [IsTransient]
	// retries while the caller's own context lives. Default 0, no limit: one
	// attempt that hangs takes all the caller's time. Negative is refused.
	//
	// The function must return when its context ends; nothing can end one that does
	// not. What it means under a [Transport] [TransportConfig] says.
	AttemptTimeout time.Duration

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
	// Default 10, or none if RetryBudgetRatio is set; 1 to 1,048,576, or
	// [NoBudget].
	RetryBudget int

	// RetryBudgetRatio, if set, makes the budget a share of the traffic instead:
	// a retry may begin while
	//
	//	retries ≤ RetryBudgetRatio × executions + RetryBudgetMinPerSecond × window
	//
	// counted over the RetryBudgetWindow that ends then, in steps of a tenth, with
	// this retry and those still waiting among them. It is the formula of Finagle's
	// RetryBudget, where 0.2 is the default. Default 0, which leaves it to
	// RetryBudget; above 0, up to 1. Refused together with a RetryBudget.
	RetryBudgetRatio float64

	// RetryBudgetMinPerSecond is the rate of retries that RetryBudgetRatio is added
	// to, so that a client with few requests may retry at all. Default 10 if
	// RetryBudgetRatio is set: more than all the requests at 1 req/s, 10 % of them
	// at 100 req/s, 0.1 % at 10,000 req/s. Positive, or [NoMinimum]; refused without
	// RetryBudgetRatio, where it would do nothing.
	RetryBudgetMinPerSecond float64

	// RetryBudgetWindow is the length of the budget's sliding window. Default
	// 60 s, or 10 s if RetryBudgetRatio is set; positive, then at least 1 ms.
	RetryBudgetWindow time.Duration

	// IsTransient reports whether an error deserves another attempt. Default
	// [IsTransient], which retries only what it recognizes. It is not asked about
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
	ratio := c.RetryBudgetRatio
	bothBudgets := ratio != 0 && c.RetryBudget != 0 && c.RetryBudget != NoBudget
	noRatio := ratio == 0 && c.RetryBudgetMinPerSecond != 0
	c = c.withDefaults()
	var faults configFaults
	fault := faults.of("RetryConfig")
	fault(c.MaxAttempts < 1, "MaxAttempts is %d, want at least 1", c.MaxAttempts)
	fault(c.AttemptTimeout < 0, "AttemptTimeout is %v, want a positive duration, or 0 for none", c.AttemptTimeout)
	fault(c.BaseDelay < 0, "BaseDelay is %v, want a positive duration", c.BaseDelay)
	fault(c.MaxDelay < 0, "MaxDelay is %v, want a positive duration", c.MaxDelay)
	fault(c.MaxDelay >= 0 && c.BaseDelay > c.MaxDelay, "BaseDelay is %v, want at most MaxDelay (%v)", c.BaseDelay, c.MaxDelay)
	fault(c.JitterFactor != NoJitter && !(c.JitterFactor > 0 && c.JitterFactor <= 1),
		"JitterFactor is %v, want a number in (0, 1] or NoJitter", c.JitterFactor)
	fault(c.RetryBudget != NoBudget && (c.RetryBudget < 1 || c.RetryBudget > maxRetryBudget),
		"RetryBudget is %d, want 1 to %d or NoBudget", c.RetryBudget, maxRetryBudget)
	fault(c.RetryBudgetWindow < 0, "RetryBudgetWindow is %v, want a positive duration", c.RetryBudgetWindow)
	fault(ratio != 0 && c.RetryBudgetWindow >= 0 && c.RetryBudgetWindow < shortestShareWindow,
		"RetryBudgetWindow is %v, want %v or more with RetryBudgetRatio", c.RetryBudgetWindow, shortestShareWindow)
	fault(!(ratio >= 0 && ratio <= 1), "RetryBudgetRatio is %v, want a share in (0, 1], such as 0.2, or 0 for none", ratio)
	fault(bothBudgets, "RetryBudget is %d and RetryBudgetRatio is %v, want one of them", c.RetryBudget, ratio)
	least := c.RetryBudgetMinPerSecond
	fault(noRatio, "RetryBudgetMinPerSecond is %v, want 0 without a RetryBudgetRatio, which it adds to", least)
	fault(!noRatio && least != NoMinimum && !(least >= 0 && least <= maxRetryBudget),
		"RetryBudgetMinPerSecond is %v, want above 0, up to %d, or NoMinimum", least, maxRetryBudget)
	return errors.Join(faults...)
}

// Delay returns the wait after attempt number attempt has failed (1 is the first),
// for a random number in [0, 1); 0.5 is the middle, without jitter:
//
//	min(BaseDelay × 2^(attempt−1) × (1 + JitterFactor × (2·random − 1)), MaxDelay)
//
// The cap comes behind the jitter. With the defaults and without jitter: 1 s, 2 s, 4 s, 8 s, 16 s, 32 s,
// 60 s, 60 s and so on. It doesn't overflow, whatever the attempt.
func (c RetryConfig) Delay(attempt int, random float64) time.Duration {
	c = c.withDefaults()
	return backoffDelay(c.BaseDelay, c.MaxDelay, c.JitterFactor, attempt, random)
}

func (c RetryConfig) withDefaults() RetryConfig {
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 3)
	c.BaseDelay = cmp.Or(c.BaseDelay, time.Second)
	c.MaxDelay = cmp.Or(c.MaxDelay, time.Minute)
	c.JitterFactor = cmp.Or(c.JitterFactor, 0.1)
	if c.RetryBudgetRatio != 0 {
		c.RetryBudget = cmp.Or(c.RetryBudget, NoBudget)
		c.RetryBudgetMinPerSecond = cmp.Or(c.RetryBudgetMinPerSecond, 10)
		c.RetryBudgetWindow = cmp.Or(c.RetryBudgetWindow, 10*time.Second)
	}
	c.RetryBudget = cmp.Or(c.RetryBudget, 10)
	c.RetryBudgetWindow = cmp.Or(c.RetryBudgetWindow, time.Minute)
	return c
}
