package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/openloop"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// recording yields n requests whose URLs are their numbers, and then err if that is not nil.
func recording(n int, err error) iter.Seq2[*Request, error] {
	return func(yield func(*Request, error) bool) {
		for i := range n {
			if !yield(Get(fmt.Sprint("http://h/", i)), nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// Whichever arrivals ask, and in whatever order their workers come to it, each gets the
// request with its number, and none is kept for longer than until it is asked for.
func TestRecordedKeepsItsNumbers(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		n := rng.IntN(60)
		src := Recorded(recording(n, nil))
		if rng.IntN(2) == 0 {
			src = Take(int64(n), src)
		}
		f := open(t, src).(*recordedFeed)
		var asked []int64
		ask := func() {
			k := rng.IntN(len(asked))
			i := asked[k]
			asked = slices.Delete(asked, k, k+1)
			dst := make([]item, 1)
			if i >= int64(n) {
				require.Zero(t, f.at(i, dst), "seed %d", seed)
				return
			}
			require.Equal(t, 1, f.at(i, dst), "seed %d: request %d", seed, i)
			require.Equal(t, fmt.Sprint("http://h/", i), dst[0].req.URL, "seed %d", seed)
		}
		for i := range int64(n + 5) {
			if rng.IntN(3) == 0 {
				continue // missed, or of another shard
			}
			f.want(i)
			asked = append(asked, i)
			for len(asked) > 0 && rng.IntN(3) > 0 {
				ask()
			}
			require.LessOrEqual(t, len(f.early), len(asked), "seed %d", seed)
		}
		for len(asked) > 0 {
			ask()
		}
		require.Empty(t, f.early, "seed %d", seed)
		require.LessOrEqual(t, len(f.wanted), 5, "seed %d: those behind the end", seed)
	}
}

// The source hears of the arrivals that are handed out alone, before they are.
func TestASourceIsToldWhatIsWanted(t *testing.T) {
	f := open(t, Recorded(recording(6, nil))).(*recordedFeed)
	d := &dispatcher{run: &run{feed: f}, Arrivals: openloop.New(pace.Recorded(0, 1, 50, 100, 101, 102).Shard(1, 2), 0, -1, 20, 1)}
	_, ok := d.take(30) // number 1 is missed
	require.False(t, ok)
	require.Empty(t, f.wanted)
	it, ok := d.take(100)
	require.True(t, ok)
	require.EqualValues(t, 3, it.Number)
	_, ok = d.take(102) // number 5 is dropped
	require.False(t, ok)
	require.Equal(t, map[int64]struct{}{3: {}}, f.wanted)
	counts, _ := d.Counted()
	require.Equal(t, openloop.Counts{Scheduled: 3, Missed: 1, Dropped: 1}, counts)
	dst := make([]item, 1)
	require.Equal(t, 1, f.at(3, dst))
	require.Equal(t, "http://h/3", dst[0].req.URL)
	require.Empty(t, f.early)
}

func TestRecordedIsSentOnceInOrder(t *testing.T) {
	require.Equal(t, []string{"http://h/0", "http://h/1", "http://h/2"}, take(open(t, Recorded(recording(3, nil))), 64, 1))
	f := open(t, Take(2, Until(time.Hour, Recorded(recording(3, nil)))))
	require.Equal(t, []string{"http://h/0", "http://h/1"}, take(f, 64, 1))
	require.EqualValues(t, 2, open(t, Take(2, Recorded(recording(3, nil)))).size())
	require.EqualValues(t, -1, open(t, Recorded(recording(3, nil))).size())
	_, err := Recorded(nil).start(newEndpoints(), (*Request).Validate)
	require.ErrorIs(t, err, ErrEmptySource)
	forClosedLoops(t, func(t *testing.T, c config) {
		var mu sync.Mutex
		sent := map[string]int{}
		e := newEngine(t, c.make(NetHTTP(ConnectionConfig{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			sent[r.URL.Path]++
			mu.Unlock()
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}), time.Minute))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Take(900, Recorded(recording(1000, nil))))
		require.NoError(t, err)
		require.EqualValues(t, 900, r.SuccessCount)
		require.Len(t, sent, 900)
	})
}

// Each request is sent at its own instant: those of shards and those that come while the
// service is busy leave the others where they are.
func TestRecordedKeepsToItsSchedule(t *testing.T) {
	const n = 100
	var at []time.Duration
	for i := range n {
		at = append(at, time.Duration(i*i)*time.Millisecond)
	}
	for _, tt := range []struct {
		schedule pace.Schedule
		most     int
		sent     int64
	}{
		{pace.Recorded(at...), 0, n},
		{pace.Recorded(at...).Shard(1, 3), 0, 33},
		{pace.Recorded(at...).Until(at[50]), 0, 50},
		{pace.Recorded(at...).Take(7), 0, 7},
		{pace.Recorded(at...), 1, 0}, // of which some are dropped
	} {
		synctest.Test(t, func(t *testing.T) {
			var start time.Time
			var mu sync.Mutex
			var sent int64
			seq := func(yield func(*Request, error) bool) {
				for i := range n {
					if !yield(&Request{Func: func(ctx context.Context) error {
						mu.Lock()
						defer mu.Unlock()
						sent++
						if got := time.Since(start); got != at[i] {
							return fmt.Errorf("request %d was sent at %v, want %v", i, got, at[i])
						}
						mu.Unlock()
						defer mu.Lock()
						return sleep(20 * time.Millisecond)(ctx)
					}}, nil) {
						return
					}
				}
			}
			e := newEngine(t, ArrivalConfig{Schedule: tt.schedule, MaxInFlight: tt.most, Client: Func(sleep(0))})
			defer closeEngine(t, e)
			start = time.Now()
			r, err := e.Run(t.Context(), Recorded(seq))
			require.NoError(t, err)
			require.Equal(t, r.Requests, r.SuccessCount, "%v", r.Errors)
			require.Equal(t, sent, r.Requests)
			if tt.sent > 0 {
				require.Equal(t, tt.sent, sent)
			} else {
				require.Positive(t, r.Dropped)
				require.EqualValues(t, n, sent+r.Dropped)
			}
		})
	}
}

// An error, a bad request, a panic and a Goexit end a run where they come, and all that
// came before has been sent.
func TestRecordedEndsWithAnError(t *testing.T) {
	run := func(t *testing.T, c config, seq iter.Seq2[*Request, error]) (*EngineResult, error) {
		e := newEngine(t, c.make(NetHTTP(ConnectionConfig{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}), time.Minute))
		defer closeEngine(t, e)
		return e.Run(t.Context(), Recorded(seq))
	}
	forEngines(t, func(t *testing.T, c config) {
		r, err := run(t, c, recording(20, errTest))
		require.ErrorIs(t, err, errTest)
		require.EqualValues(t, 20, r.SuccessCount)
		for _, bad := range []*Request{nil, Get("ftp://h/")} {
			r, err = run(t, c, func(yield func(*Request, error) bool) { _ = yield(Get("http://h/"), nil) && yield(bad, nil) })
			require.ErrorIs(t, err, ErrInvalidRequest)
			require.ErrorContains(t, err, "request 1 of the sequence")
			require.EqualValues(t, 1, r.SuccessCount)
		}
		require.Panics(t, func() { _, _ = run(t, c, func(func(*Request, error) bool) { panic(errTest) }) })
		ended := make(chan bool)
		go func() { // ends with the run
			defer close(ended)
			_, _ = run(t, c, func(func(*Request, error) bool) { runtime.Goexit() })
			ended <- true
		}()
		require.False(t, <-ended, "a Goexit continues in the caller of Run")
	})
}

// Of requests that are sent once neither a session nor a client keeps anything, and the
// user's are left alone.
func TestRecordedRequestsAreNotKept(t *testing.T) {
	own := Get("http://h/")
	f := open(t, Recorded(func(yield func(*Request, error) bool) { yield(own, nil) }))
	dst := make([]item, 1)
	require.Equal(t, 1, f.claim(dst, 1))
	require.NotSame(t, own, dst[0].req)
	require.False(t, own.once)
	require.True(t, dst[0].req.once)

	var k kept[int]
	for i := range 1000 {
		got, err := k.get(&Request{once: true}, func(*Request) (int, error) { return i, nil })
		require.NoError(t, err)
		require.Equal(t, i, got)
	}
	require.Equal(t, kept[int]{}, k)

	srv := fixtures.NewServer(t)
	client := Wire(ConnectionConfig{}).(*wireClient)
	e := newEngine(t, AsyncConfig{Client: client})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Recorded(func(yield func(*Request, error) bool) {
		for range 500 {
			if !yield(Get(srv.URL+"/get"), nil) {
				return
			}
		}
	}))
	require.NoError(t, err)
	require.EqualValues(t, 500, r.SuccessCount)
	require.Empty(t, client.made.kept)
}

func ExampleRecorded() {
	log := func(yield func(*Request, error) bool) {
		for _, path := range []string{"/a", "/b", "/c"} {
			if !yield(Call(path, func(context.Context) error { fmt.Println(path); return nil }), nil) {
				return
			}
		}
		yield(nil, errors.New("the log is cut off"))
	}
	e, err := NewSyncEngine(SyncConfig{})
	if err != nil {
		panic(err)
	}
	defer e.Close(context.Background())
	r, err := e.Run(context.Background(), Recorded(log))
	fmt.Println(r.SuccessCount, err)
	// Output:
	// /a
	// /b
	// /c
	// 3 the log is cut off
}

// copyingClient sends a copy of each request, with a header of its own.
type copyingClient struct{ Client }

func (c copyingClient) ValidateRequest(r *Request) error { return r.Validate() }

func (c copyingClient) Session() (Session, error) {
	s, err := c.Client.Session()
	return copyingSession{s}, err
}

type copyingSession struct{ Session }

func (s copyingSession) Do(ctx context.Context, r *Request) (Response, error) {
	own := *r
	own.Header = r.Header.Clone()
	own.Header.Set("X-A", "of the client")
	return s.Session.Do(ctx, &own)
}

// A client that sends a copy sends what it has changed in it, too.
func TestACopyOfARecordedRequestIsSentAsItIs(t *testing.T) {
	got := make(chan string, 2)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.RequestURI + " " + r.Header.Get("X-A") + " " + r.Header.Get("Traceparent")[:3]
	})))
	e := Start(t, SyncConfig{Client: copyingClient{NetHTTP(ConnectionConfig{})}, Tracing: Tracing{TraceContext: true}})
	r, err := e.Run(t.Context(), Recorded(func(yield func(*Request, error) bool) {
		_ = yield(Get(srv.URL+"/0"), nil) && yield(Get(srv.URL+"/1"), nil)
	}))
	require.NoError(t, err)
	require.EqualValues(t, 2, r.SuccessCount)
	require.Equal(t, "/0 of the client 00-", <-got)
	require.Equal(t, "/1 of the client 00-", <-got)
}

// What has been made of a request to validate it is sent once: what is sent again is made
// anew, and the same.
func TestARecordedRequestIsRetriedAsItWas(t *testing.T) {
	for name, client := range map[string]Client{"nethttp": nil, "wire": Wire(ConnectionConfig{})} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var got []string
			srv := fixtures.NewServer(t, fixtures.WithHandler("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				auth := r.Header.Get("Authorization")
				mu.Lock()
				defer mu.Unlock()
				got = append(got, fmt.Sprint(r.Method, r.RequestURI, r.Header.Get("X-A"), auth, string(body)))
				if len(got)%3 != 0 {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})))
			retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 3, BaseDelay: time.Nanosecond, RetryBudget: 100})
			require.NoError(t, err)
			e := Start(t, AsyncConfig{Client: client, Retry: retry, MaxConcurrent: 1})
			r, err := e.Run(t.Context(), Recorded(func(yield func(*Request, error) bool) {
				for i := range 2 {
					req := Post(fmt.Sprintf("%s/%d", strings.Replace(srv.URL, "//", "//me:pw@", 1), i), "text/plain", []byte("b"))
					req.Header.Set("X-A", "a")
					if !yield(req, nil) {
						return
					}
				}
			}))
			require.NoError(t, err)
			require.EqualValues(t, 2, r.SuccessCount)
			const rest = "aBasic bWU6cHc=b"
			require.Equal(t, []string{"POST/0" + rest, "POST/0" + rest, "POST/0" + rest, "POST/1" + rest, "POST/1" + rest, "POST/1" + rest}, got)
		})
	}
}
