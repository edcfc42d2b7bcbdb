package loadtest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// Runs side by side over one engine each count the connections of their own requests.
func TestRunsSideBySideCountTheirOwnConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(ConnectionConfig) Client
		cfg  ConnectionConfig
		want int64 // of 100 requests by one worker; -1: as it happens
	}{
		"http.Transport":    {NetHTTP, ConnectionConfig{Pooling: PoolNaive}, 100},
		"limited pool":      {NetHTTP, ConnectionConfig{Pooling: PoolNaive, MaxConnections: 4}, 100},
		"limited pool kept": {NetHTTP, ConnectionConfig{MaxConnections: 4}, -1},
		"kept":              {NetHTTP, ConnectionConfig{}, 1},
		"foreign transport": {NetHTTP, ConnectionConfig{Pooling: PoolNaive, Transport: &http.Transport{}}, 100},
		"wire":              {Wire, ConnectionConfig{Pooling: PoolNaive}, 100},
		"wire kept":         {Wire, ConnectionConfig{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t)
			e := Start(t, SyncConfig{Client: tt.make(tt.cfg)})
			var both, runs sync.WaitGroup
			var sum atomic.Int64
			both.Add(2)
			for range 2 {
				runs.Go(func() {
					meet := sync.OnceFunc(func() { both.Done(); both.Wait() })
					r, err := e.Run(t.Context(), Times(100, &Request{URL: srv.URL + "/get", Check: func(Response) error { meet(); return nil }}))
					sum.Add(r.ConnectionsOpened)
					if err != nil || r.SuccessCount != 100 || tt.want >= 0 && r.ConnectionsOpened != tt.want {
						t.Errorf("%v, want %d connections\n%v", err, tt.want, r)
					}
				})
			}
			runs.Wait()
			require.Equal(t, srv.Connections(), sum.Load())
		})
	}
}

// capable is a client with every capability that engines ask for.
type capable struct {
	bookkeeper
	private, parked atomic.Int64
	fault           error
	reuses          bool
}

func (c *capable) Validate() error { return c.fault }

func (c *capable) ValidateRequest(r *Request) error {
	if r.URL == "" {
		return errors.Join(ErrInvalidRequest, errTest)
	}
	return nil
}

func (c *capable) Session() (Session, error) {
	s, err := c.bookkeeper.Session()
	return capableSession{s, c}, err
}

func (c *capable) PrivateSession() (Session, error) {
	c.private.Add(1)
	return c.Session()
}

func (c *capable) ReusesConnections() bool { return c.reuses }

type capableSession struct {
	Session
	c *capable
}

func (s capableSession) Park() { s.c.parked.Add(1) }

// A client written elsewhere loses nothing against those of this package.
func TestAClientMayHaveEveryCapability(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, cfg config) {
		c := &capable{reuses: true}
		c.do = func(ctx context.Context) error {
			time.Sleep(time.Millisecond)
			CountConnection(ctx)
			return nil
		}
		e := newEngine(t, cfg.make(c, 0))
		_, err := e.Run(t.Context(), Times(1))
		require.ErrorIs(t, err, errTest, "its opinion of a request")
		require.ErrorIs(t, err, ErrInvalidRequest)
		_, err = e.Run(t.Context(), Times(1, nil))
		require.ErrorIs(t, err, ErrInvalidRequest, "a nil request is not its problem")
		require.Zero(t, c.opened.Load())

		for range 2 {
			n := max(1000, 20*int64(cfg.workers)) // p99 needs 1,000
			r, err := e.Run(t.Context(), Times(int(n), &Request{URL: "x"}))
			require.NoError(t, err)
			require.Equal(t, n, r.ConnectionsOpened)
			require.False(t, r.ConnectionsUnknown)
			require.Len(t, r.Warnings, 1)
			require.Equal(t, WarnConnectionChurn, r.Warnings[0].Kind)
		}
		if _, threaded := e.(*ThreadedEngine); threaded {
			require.EqualValues(t, cfg.workers, c.private.Load())
		} else {
			require.Zero(t, c.private.Load())
		}
		require.EqualValues(t, 2*cfg.workers, c.parked.Load(), "once a run")
		closeEngine(t, e)
		closeEngine(t, e)
		require.EqualValues(t, 2, c.clientClosed.Load(), "a second Close closes it again")

		c.fault = errTest
		require.ErrorIs(t, cfg.make(c, 0).Validate(), errTest)
	})
}

// CountConnection outside a run does nothing.
func TestCountConnectionOutsideARun(t *testing.T) {
	CountConnection(t.Context())
}
