package loadtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWatchdogScan(t *testing.T) {
	const limit = 100 * time.Millisecond
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, tt := range []struct {
		reason  string
		began   []time.Duration // -1: idle
		now     time.Duration
		expired []bool
		next    time.Duration
	}{
		{"idle workers may begin at once", []time.Duration{-1, -1}, ms(500), []bool{false, false}, limit},
		{"the oldest sets the time", []time.Duration{ms(10), ms(40), -1}, ms(60), []bool{false, false, false}, ms(50)},
		{"due at the instant", []time.Duration{0}, limit, []bool{true}, limit},
		{"not a nanosecond early", []time.Duration{0}, limit - 1, []bool{false}, 1},
		{"overdue does not delay the others", []time.Duration{0, ms(90)}, ms(150), []bool{true, false}, ms(40)},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			dog := &watchdog{limit: limit}
			ctxs := make([]context.Context, len(tt.began))
			for i, began := range tt.began {
				ctx, cancel := context.WithCancelCause(t.Context())
				ctxs[i] = ctx
				s := new(slot)
				s.cancel.Store(&cancel)
				if began >= 0 {
					s.begin(began)
				}
				dog.slots = append(dog.slots, s)
			}
			require.Equal(t, tt.next, dog.scan(tt.now))
			for i, want := range tt.expired {
				require.Equal(t, want, ctxs[i].Err() != nil, "worker %d", i)
				if want {
					require.ErrorIs(t, context.Cause(ctxs[i]), context.DeadlineExceeded)
					require.False(t, dog.slots[i].end(tt.began[i]), "the worker learns of it")
				} else if tt.began[i] >= 0 {
					require.True(t, dog.slots[i].end(tt.began[i]))
				}
			}
			require.Positive(t, dog.scan(tt.now), "an expired request is not expired twice")
		})
	}
}
