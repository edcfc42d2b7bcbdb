package resilience

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBudgetSlotLives(t *testing.T) {
	b := newRetryBudget(2, 10)
	require.True(t, b.hold(0))
	require.True(t, b.hold(0))
	require.False(t, b.hold(0), "both slots are held")
	b.refund()
	require.True(t, b.hold(1), "a refund is as if the slot had never been asked for")
	b.begin(3)
	b.begin(5)
	require.Equal(t, 2, b.inUse(12))
	require.False(t, b.hold(12))
	require.Equal(t, 1, b.inUse(13))
	require.True(t, b.hold(13))
	require.Equal(t, 1, b.inUse(1000), "a held slot does not expire")
	b.refund()
	require.Zero(t, b.inUse(1000))
}

// A slot that only counted when the wait began would let two waits of
// different length end in the same window.
func TestBudgetBoundsRetriesThatBeginNotDecisions(t *testing.T) {
	b := newRetryBudget(1, 60)
	require.True(t, b.hold(0))
	b.begin(59)
	require.False(t, b.hold(60), "59 and 61 lie in one window")
	require.True(t, b.hold(119))
}

func TestBudgetPeerBug10IdleHourExpires(t *testing.T) {
	b := newRetryBudget(3, time.Minute)
	for range 3 {
		require.True(t, b.hold(0))
		b.begin(0)
	}
	require.Equal(t, 3, b.inUse(0))
	require.Zero(t, b.inUse(time.Hour), "metrics may not be stale after an idle hour")
}

func TestBudgetPeerBug11WindowOfOne(t *testing.T) {
	b := newRetryBudget(1, 1)
	for now := time.Duration(0); now < 50; now++ {
		require.True(t, b.hold(now), "at %d", now)
		require.False(t, b.hold(now), "at %d", now)
		b.begin(now)
		require.False(t, b.hold(now), "at %d", now)
	}
}

func TestBudgetPeerBug12BoundaryIsHalfOpen(t *testing.T) {
	b := newRetryBudget(1, 10)
	require.True(t, b.hold(0))
	b.begin(0)
	require.False(t, b.hold(9))
	require.True(t, b.hold(10), "a stamp is gone exactly one window later")
}

func TestBudgetClockThatRunsBackwards(t *testing.T) {
	b := newRetryBudget(1, 10)
	require.True(t, b.hold(100))
	b.begin(-1000)
	require.False(t, b.hold(50))
	require.False(t, b.hold(109))
	require.True(t, b.hold(110))
}

func TestBudgetNone(t *testing.T) {
	for config, none := range map[*RetryConfig]bool{
		{RetryBudget: NoBudget}: true,
		{RetryBudget: 1}:        false,
		{}:                      false,
		{RetryBudget: NoBudget, RetryBudgetRatio: 0.1}: false,
	} {
		config.IsTransient = func(error) bool { return true }
		config.MaxAttempts = 1000
		config.BaseDelay, config.MaxDelay = 1, 1
		p, err := NewRetryPolicy(*config)
		require.NoError(t, err)
		var inUse int
		err = p.Execute(t.Context(), func(context.Context) error {
			inUse = max(inUse, p.Metrics().BudgetInUse)
			return io.EOF
		})
		if none {
			require.ErrorIs(t, err, ErrExhausted)
		} else {
			require.ErrorIs(t, err, ErrBudgetExceeded)
		}
		require.Equal(t, none, inUse == 0)
	}
}

// FuzzBudget plays a script of holds, begins, refunds and pauses against a list
// of instants, and then lays the window at every retry to count what is inside.
func FuzzBudget(f *testing.F) {
	f.Add(uint8(1), uint8(1), []byte{0, 1, 0, 1})
	f.Add(uint8(3), uint8(10), []byte{0, 0, 0, 0, 1, 1, 23, 2, 0, 1, 255, 0, 1, 43, 0})
	f.Add(uint8(2), uint8(60), []byte{0, 239, 1, 7, 0, 1})
	f.Fuzz(func(t *testing.T, n, window uint8, script []byte) {
		size, width := int(n%16)+1, time.Duration(window)+1
		b := newRetryBudget(size, width)
		var now time.Duration
		var began []time.Duration
		held := 0
		inUse := func() int {
			count := held
			for _, at := range began {
				if now-at < width {
					count++
				}
			}
			return count
		}
		for i, op := range script {
			switch op % 4 {
			case 0:
				want := inUse() < size
				if got := b.hold(now); got != want {
					t.Fatalf("step %d: hold(%d) = %v, want %v", i, now, got, want)
				}
				if want {
					held++
				}
			case 1:
				if held > 0 {
					b.begin(now)
					held--
					began = append(began, now)
				}
			case 2:
				if held > 0 {
					b.refund()
					held--
				}
			case 3:
				now += time.Duration(op / 4)
			}
			if got, want := b.inUse(now), inUse(); got != want {
				t.Fatalf("step %d: inUse(%d) = %d, want %d", i, now, got, want)
			}
		}
		for i, from := range began {
			inside := 0
			for _, at := range began[i:] {
				if at-from < width {
					inside++
				}
			}
			if inside > size {
				t.Fatalf("%d retries began within %d of %d, budget %d", inside, width, from, size)
			}
		}
	})
}
