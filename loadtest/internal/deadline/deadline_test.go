package deadline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTooLong = errors.New("too long")

func TestScan(t *testing.T) {
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
			dog := &Watchdog{Limit: limit, Cause: errTooLong}
			ctxs := make([]context.Context, len(tt.began))
			for i, began := range tt.began {
				ctx, cancel := context.WithCancelCause(t.Context())
				ctxs[i] = ctx
				s := new(Slot)
				s.Renew(cancel)
				if began >= 0 {
					s.Begin(began)
				}
				dog.Add(s)
			}
			require.Equal(t, tt.next, dog.scan(tt.now))
			for i, want := range tt.expired {
				require.Equal(t, want, ctxs[i].Err() != nil, "worker %d", i)
				if want {
					require.Equal(t, errTooLong, context.Cause(ctxs[i]))
					require.False(t, dog.slots[i].End(tt.began[i]), "the worker learns of it")
				} else if tt.began[i] >= 0 {
					require.True(t, dog.slots[i].End(tt.began[i]))
				}
			}
			require.Positive(t, dog.scan(tt.now), "an expired request is not expired twice")
		})
	}
}

// A request is canceled at the very instant at which its time is up, and the next ones of
// its worker are too.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Second
		base := time.Now()
		now := func() time.Duration { return time.Since(base) }
		dog := Watchdog{Limit: limit, Clock: now, Cause: errTooLong}
		var s Slot
		dog.Add(&s)
		stop, done := make(chan struct{}), make(chan struct{})
		go func() { defer close(done); dog.Watch(stop) }() // ends with stop
		var ctx context.Context
		for i := range 10 {
			if ctx == nil || ctx.Err() != nil {
				var cancel context.CancelCauseFunc
				ctx, cancel = context.WithCancelCause(t.Context())
				s.Renew(cancel)
			}
			_, busy := s.Request()
			require.False(t, busy)
			time.Sleep(time.Duration(i) * limit / 7)
			began := now()
			s.Begin(began)
			at, busy := s.Request()
			require.True(t, busy)
			require.Equal(t, began, at)
			if i%2 == 0 {
				time.Sleep(limit - 1)
				require.NoError(t, ctx.Err())
				require.True(t, s.End(began))
				continue
			}
			<-ctx.Done()
			require.Equal(t, limit, now()-began)
			require.False(t, s.End(began))
			at, busy = s.Request()
			require.True(t, busy, "the worker has not seen it")
			require.Equal(t, began, at)
		}
		close(stop)
		<-done
		s.Close()
		_, busy := s.Request()
		require.False(t, busy)
		require.Error(t, ctx.Err())
	})
}

func TestNoAllocations(t *testing.T) {
	var s Slot
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Begin(1)
		s.End(1)
	}))
}
