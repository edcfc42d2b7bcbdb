package capacity

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// How many users a second, each of whom sends several requests and thinks in between: what
// is lost are requests, how long users stay is not the service's doing, and the generator
// is checked at the rate of their requests.
func TestSearchForUsers(t *testing.T) {
	for name, think := range map[string]time.Duration{"without a pause": 0, "with pauses": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := function(service(2, 20*time.Millisecond), 100*time.Millisecond)
				o.Budget = 10 * time.Minute
				o.TrialDuration = 5 * time.Second
				r, err := Search(t.Context(), o, loadtest.Walk("shop", func(_ context.Context, u *loadtest.User) error {
					for range 4 {
						if _, err := u.Do(&loadtest.Request{}); err != nil {
							return err
						}
						if err := u.Pause(think); err != nil {
							return err
						}
					}
					return nil
				}))
				require.NoError(t, err, r)
				requireJSON(t, r)
				require.InEpsilon(t, 25, r.Capacity, 0.05, r) // 100 requests a second
				require.LessOrEqual(t, r.Capacity, r.Upper)
				for _, trial := range r.Trials[1:] {
					require.Zero(t, trial.Dropped, r)
				}
				last := r.Trials[len(r.Trials)-1]
				require.Equal(t, TrialControl, last.Kind)
				require.InDelta(t, 4*headroom*r.Upper, last.Rate, 1e-6)
			})
		})
	}
}

// While users still come in, the load is not what the rate says.
func TestTrialsMustOutlastTheirUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := function(service(1, time.Millisecond), 50*time.Millisecond)
		_, err := Search(t.Context(), o, loadtest.Walk("stay", func(_ context.Context, u *loadtest.User) error {
			_, err := u.Do(&loadtest.Request{})
			return errors.Join(err, u.Pause(time.Second))
		}))
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, "TrialDuration is 1s: users stay for 1.001s")
		require.ErrorContains(t, err, "set it to 6s or more")
	})
}

// A user whose scenario fails though each request is right does not count against the
// service: what is lost are requests.
func TestSearchForUsersThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := function(service(1, 10*time.Millisecond), 50*time.Millisecond)
		r, err := Search(t.Context(), o, loadtest.Walk("shop", func(_ context.Context, u *loadtest.User) error {
			_, err := u.Do(&loadtest.Request{})
			return errors.Join(err, errors.New("changed its mind"))
		}))
		require.NoError(t, err, r)
		require.InEpsilon(t, 100, r.Capacity, 0.06)
	})
}
