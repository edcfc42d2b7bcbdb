package peers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestClosedLoop(t *testing.T) {
	bad, enough := errors.New("broken"), errors.New("enough")
	worker := func(fail int) func() (func() error, error) {
		return func() (func() error, error) {
			n := 0
			return func() error {
				if n++; n == fail {
					return bad
				}
				time.Sleep(10 * time.Millisecond)
				return nil
			}, nil
		}
	}
	t.Run("until the time is up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			out, err := closedLoop(t.Context(), 3, 95*time.Millisecond, worker(0))
			// What has begun is finished.
			if want := (Outcome{Succeeded: 30, Elapsed: 100 * time.Millisecond}); err != nil || out != want {
				t.Errorf("got %+v, %v, want %+v", out, err, want)
			}
		})
	})
	t.Run("until something fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			out, err := closedLoop(t.Context(), 1, time.Hour, worker(4))
			if want := (Outcome{Succeeded: 3, Failed: 1, Elapsed: 30 * time.Millisecond}); !errors.Is(err, bad) || out != want {
				t.Errorf("got %+v, %v, want %+v, %v", out, err, want, bad)
			}
		})
	})
	t.Run("until it is canceled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(15*time.Millisecond, func() { cancel(enough) })
			out, err := closedLoop(ctx, 2, time.Hour, worker(0))
			if want := (Outcome{Succeeded: 4, Elapsed: 20 * time.Millisecond}); !errors.Is(err, enough) || out != want {
				t.Errorf("got %+v, %v, want %+v, %v", out, err, want, enough)
			}
		})
	})
	t.Run("not at all without a worker", func(t *testing.T) {
		_, err := closedLoop(t.Context(), 2, time.Hour, func() (func() error, error) { return nil, bad })
		if !errors.Is(err, bad) {
			t.Errorf("got error %v, want %v", err, bad)
		}
	})
}
