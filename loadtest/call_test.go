package loadtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// Each name has its own statistics, with every source and whatever the client is.
func TestCallsHaveStatisticsOfTheirOwn(t *testing.T) {
	sources := map[string]func(...*Request) Source{
		"times": func(reqs ...*Request) Source { return Times(300, reqs...) },
		"for":   func(reqs ...*Request) Source { return For(time.Second, reqs...) },
		"seq":   func(reqs ...*Request) Source { return Seq(slices.Values(slices.Concat(reqs, reqs, reqs))) },
		"until": func(reqs ...*Request) Source { return Until(time.Second, Times(300, reqs...)) },
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			forEngines(t, func(t *testing.T, c config) {
				for client, cl := range map[string]Client{"default": nil, "func": Func(func(context.Context) error { panic("not asked") })} {
					read := Call("read", sleep(10*time.Millisecond))
					write := Call("write", func(ctx context.Context) error { return fmt.Errorf("full: %w", sleep(50*time.Millisecond)(ctx)) })
					write.Check = func(Response) error { panic("not asked: it failed") }
					checked := Call("checked", nop)
					checked.Check = func(r Response) error {
						if r.StatusCode == 0 {
							return errTest
						}
						return nil
					}
					e := newEngine(t, c.make(cl, 0))
					r, err := e.Run(t.Context(), source(read, write, checked))
					require.NoError(t, err, client)
					require.Len(t, r.Endpoints, 3)
					got := r.Endpoints["read"]
					require.Positive(t, got.Requests)
					require.Equal(t, got.Requests, got.SuccessCount)
					require.InEpsilon(t, 10*time.Millisecond, got.P50(), 0.001)
					got = r.Endpoints["write"]
					require.Positive(t, got.Requests)
					require.Equal(t, map[ErrorClass]int64{ClassOther: got.Requests}, got.Errors)
					require.InEpsilon(t, 50*time.Millisecond, got.P50(), 0.001)
					got = r.Endpoints["checked"]
					require.Positive(t, got.Requests)
					require.Equal(t, map[ErrorClass]int64{ClassCheck: got.Requests}, got.Errors)
					require.Empty(t, r.StatusCodes)
					closeEngine(t, e)
				}
			})
		})
	}
}

func TestCallsGoBesideRequests(t *testing.T) {
	srv := fixtures.NewServer(t)
	for name, cfg := range allEngines(ConnectionConfig{}, 0) {
		e := newEngine(t, cfg)
		get := Get(srv.URL + "/get")
		get.Name = "get"
		r, err := e.Run(t.Context(), Times(20, get, Call("call", nop)))
		require.NoError(t, err)
		require.EqualValues(t, 10, r.Endpoints["get"].SuccessCount, name)
		require.EqualValues(t, 10, r.Endpoints["call"].SuccessCount, name)
		require.Equal(t, map[int]int64{200: 10}, r.StatusCodes)
		closeEngine(t, e)
	}
}

func TestACallOfNothingFailsAndSaysSo(t *testing.T) {
	e := newEngine(t, SyncConfig{})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Times(3, Call("a", nil)))
	require.NoError(t, err)
	require.Equal(t, map[ErrorClass]int64{ClassInvalid: 3}, r.Errors)
	require.Contains(t, r.ErrorExamples[ClassInvalid], `Call("a", nil): the function is missing`)
}

// The deadline is the engine's Timeout, of each request anew, or the run's own
// where that is earlier; also for those that come after one has timed out.
func TestFunctionsSeeTheirDeadline(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		const timeout = time.Second
		for name, request := range map[string]func(func(context.Context) error) (Client, *Request){
			"client":  func(fn func(context.Context) error) (Client, *Request) { return Func(fn), &Request{} },
			"request": func(fn func(context.Context) error) (Client, *Request) { return nil, Call("a", fn) },
		} {
			var mu sync.Mutex
			wrong, n := 0, 0
			client, req := request(func(ctx context.Context) error {
				mu.Lock()
				n++
				hang := n%7 == 3
				mu.Unlock()
				at, ok := ctx.Deadline()
				want := time.Now().Add(timeout)
				if end, has := t.Context().Deadline(); has && end.Before(want) {
					want = end
				}
				child, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				inner, _ := child.Deadline()
				if !ok || !at.Equal(want) || !inner.Equal(want) {
					mu.Lock()
					wrong++
					mu.Unlock()
				}
				if hang {
					<-child.Done() // through the child as well
					if again, _ := ctx.Deadline(); !again.Equal(at) {
						mu.Lock()
						wrong++
						mu.Unlock()
					}
					return ctx.Err()
				}
				return sleep(oddly)(ctx)
			})
			e := newEngine(t, c.make(client, timeout))
			// In an open loop those of two seconds: what hung in the first serves again in the second.
			r, err := e.Run(t.Context(), Times(min(10*c.workers, 2000), req))
			require.NoError(t, err)
			require.Zero(t, wrong, name)
			require.Equal(t, r.ErrorCount, r.Errors[ClassTimeout])
			require.Positive(t, r.ErrorCount)
			closeEngine(t, e)
		}
	})
}

func TestTheRunsDeadlineIsTheFunctionsIfItIsEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		end, _ := ctx.Deadline()
		e := newEngine(t, SyncConfig{Timeout: time.Minute, Client: Func(func(ctx context.Context) error {
			at, ok := ctx.Deadline()
			if !ok || !at.Equal(end) {
				t.Errorf("deadline %v, want %v", at, end)
			}
			return sleep(oddly)(ctx)
		})})
		defer closeEngine(t, e)
		_, err := e.Run(ctx, For(time.Hour))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
