package loadtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

func TestLIFOMutexExcludes(t *testing.T) {
	var (
		m  lifoMutex
		wg sync.WaitGroup
		n  int
	)
	for range 16 {
		wg.Go(func() { // ends after 1000 turns
			for range 1000 {
				m.Lock()
				n++
				m.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 16_000, n)
	require.Empty(t, m.waiting)
	require.False(t, m.held || m.woken)
}

func TestLIFOMutexWakesTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			m     lifoMutex
			order []int
		)
		m.Lock()
		for i := range 5 {
			go func() { // ends when it had its turn
				m.Lock()
				order = append(order, i)
				m.Unlock()
			}()
			synctest.Wait()
		}
		m.Unlock()
		synctest.Wait()
		require.Equal(t, []int{4, 3, 2, 1, 0}, order)
	})
}

func TestLIFOMutexCostsNoAllocation(t *testing.T) {
	var m lifoMutex
	n := 0
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Lock(); n++; m.Unlock() }))
}

// As many workers get something to do as it takes at once, and one that waits for
// what comes next, whatever the concurrency.
func TestNoMoreWorkersAreUsedThanAreNeeded(t *testing.T) {
	for _, burst := range []int{1, 7, 40} {
		t.Run(fmt.Sprint(burst, " at once"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var used atomic.Int64
				e := newEngine(t, AsyncConfig{MaxConcurrent: 500, Client: countingClient{&used}})
				defer closeEngine(t, e)
				r, err := e.Run(t.Context(), Seq(bursts(30, burst, &Request{})))
				require.NoError(t, err)
				require.EqualValues(t, 30*burst, r.SuccessCount)
				require.GreaterOrEqual(t, used.Load(), int64(burst))
				require.LessOrEqual(t, used.Load(), int64(burst+1))
			})
		})
	}
}

// countingClient counts the sessions over which something was sent.
type countingClient struct{ used *atomic.Int64 }

func (c countingClient) Session() (Session, error) { return &countingSession{client: c}, nil }
func (countingClient) Close() error                { return nil }

type countingSession struct {
	client countingClient
	once   sync.Once
}

func (s *countingSession) Do(context.Context, *Request) (Response, error) {
	s.once.Do(func() { s.client.used.Add(1) })
	time.Sleep(3 * time.Millisecond)
	return Response{}, nil
}

func (*countingSession) Close() error { return nil }

// So as many connections are open as were needed at once, with every client. In real
// time a worker may be late to come back, which takes another one: a few are used,
// not all.
func TestNoMoreConnectionsAreOpenThanAreNeeded(t *testing.T) {
	for name, client := range map[string]func() Client{
		"direct":         func() Client { return NetHTTP(ConnectionConfig{}) },
		"http.Transport": func() Client { return NetHTTP(ConnectionConfig{MaxRedirects: 1}) },
		"limited":        func() Client { return NetHTTP(ConnectionConfig{MaxConnections: 400}) },
		"wire":           func() Client { return Wire(ConnectionConfig{}) },
	} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t)
			e := Start(t, AsyncConfig{MaxConcurrent: 500, Client: client()})
			done := make(chan struct{}, 1)
			req := Get(srv.URL + "/get")
			req.Check = func(Response) error { done <- struct{}{}; return nil }
			r, err := e.Run(t.Context(), Seq(func(yield func(*Request) bool) {
				for range 100 { // one at a time
					if !yield(req) {
						return
					}
					<-done
				}
			}))
			require.NoError(t, err)
			require.EqualValues(t, 100, r.SuccessCount, r.String())
			require.LessOrEqual(t, srv.Connections(), int64(10))
		})
	}
}

// bursts yields req so many times at once, and again every 10 ms.
func bursts(n, size int, req *Request) func(yield func(*Request) bool) {
	return func(yield func(*Request) bool) {
		for range n {
			time.Sleep(10 * time.Millisecond)
			for range size {
				if !yield(req) {
					return
				}
			}
		}
	}
}
