package resilience_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

func TestEveryFaultOfAConfigurationMatchesErrConfig(t *testing.T) {
	for name, build := range map[string]func() error{
		"breaker": func() error {
			_, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{ProbeCount: -1, MinRequests: -1})
			return err
		},
		"limiter": func() error {
			_, err := resilience.NewSemaphoreLimiter(resilience.LimiterConfig{AcquireTimeout: -1})
			return err
		},
		"monitor": func() error {
			_, err := resilience.NewRuntimeMonitor(resilience.MonitorConfig{HistorySize: -1, WarnCPU: 2})
			return err
		},
		"pipeline": func() error {
			_, err := resilience.NewPipeline(resilience.PipelineConfig[int]{BatchSize: -1})
			return err
		},
		"retry": func() error {
			_, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: -1, BaseDelay: -1})
			return err
		},
		"resize": func() error {
			l := newLimiter(t, 1, 0)
			return errors.Join(l.SetMaxConcurrent(0), l.SetMaxConcurrent(-1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := build()
			require.ErrorIs(t, err, resilience.ErrConfig)
			joined, ok := err.(interface{ Unwrap() []error }) // what Validate joined
			require.True(t, ok)
			faults := joined.Unwrap()
			require.GreaterOrEqual(t, len(faults), 2)
			for _, fault := range faults {
				require.ErrorIs(t, fault, resilience.ErrConfig)
				require.NotErrorIs(t, fault, context.Canceled)
				require.Regexp(t, `^resilience: \w+Config\.\w+ is .+, want .+`, fault.Error())
			}
		})
	}
}
