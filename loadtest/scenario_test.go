package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// sleeps is a client each of whose requests takes d.
func sleeps(d time.Duration) Client {
	return Func(func(context.Context) error {
		time.Sleep(d)
		return nil
	})
}

func browseAndBuy(_ context.Context, u *User) error {
	for range 3 {
		if _, err := u.Do(&Request{Name: "browse"}); err != nil {
			return err
		}
		if err := u.Pause(time.Second); err != nil {
			return err
		}
	}
	_, err := u.Do(&Request{Name: "buy"})
	return err
}

// A closed loop keeps as many users busy as it would requests; what they send is counted by
// name, and their pauses are in no latency but in how long they took.
func TestUsersWalkThroughAScenario(t *testing.T) {
	for _, cfg := range []EngineConfig{
		SyncConfig{Client: sleeps(10 * time.Millisecond)},
		ThreadedConfig{Client: sleeps(10 * time.Millisecond), MaxWorkers: 5},
		AsyncConfig{Client: sleeps(10 * time.Millisecond), MaxConcurrent: 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t, cfg)
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), Users(20, browseAndBuy))
			require.NoError(t, err)
			require.Equal(t, Counts{Requests: 80, SuccessCount: 80, Users: 20, UserRequests: 80}, r.Counts)
			require.Zero(t, r.Unsent)
			const walk = 4*10*time.Millisecond + 3*time.Second
			require.Equal(t, walk*time.Duration(20/r.Concurrency), r.Elapsed)
			require.Equal(t, 10*time.Millisecond, r.Quantile(1))
			require.Equal(t, 10*time.Millisecond, r.Quantile(0))
			require.EqualValues(t, 60, r.Endpoints["browse"].Requests)
			require.EqualValues(t, 20, r.Endpoints["buy"].Requests)
			require.Len(t, r.Endpoints, 2)
			require.Len(t, r.Scenarios, 1)
			s := r.Scenarios["browseAndBuy"]
			require.Equal(t, walk, s.Quantile(1))
			require.Equal(t, walk, s.Mean())
			s.took = nil
			require.Equal(t, &ScenarioStats{Started: 20, Finished: 20, Requests: 80}, s)
			var rows Counts
			for _, row := range r.Intervals {
				rows.add(row.Counts)
			}
			require.Equal(t, r.Counts, rows, "the intervals add up")
		})
	}
}

// In an open loop users arrive on schedule, whatever those before them do. The first
// request was due when its user was, and one after a pause when that ended.
func TestUsersArriveOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{Client: sleeps(10 * time.Millisecond), Schedule: pace.Constant(100).Until(2 * time.Second)})
		defer closeEngine(t, e)
		var began sync.Map
		r, err := e.Run(t.Context(), Cycle(Walk("shop", func(ctx context.Context, u *User) error {
			began.Store(u.Number(), time.Now())
			return browseAndBuy(ctx, u)
		})))
		require.NoError(t, err)
		require.Equal(t, Counts{Scheduled: 200, Requests: 800, SuccessCount: 800, Users: 200, UserRequests: 800}, r.Counts)
		for i := range int64(200) {
			at, ok := began.Load(i)
			require.True(t, ok)
			require.Equal(t, time.Duration(i)*10*time.Millisecond, at.(time.Time).Sub(r.StartedAt))
		}
		require.Zero(t, r.LagQuantile(1))
		require.Equal(t, 3040*time.Millisecond, r.Scenarios["shop"].Quantile(1))
		require.Equal(t, VerdictPass, SLO{}.Judge(r).Kind)
		require.Greater(t, r.PeakInFlight, 200*9/10, "all users are there at once")
	})
}

// What a user does between its requests is no lag, but a pause that ended late is, and so
// is a worker that was late to begin.
func TestLagOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{Client: sleeps(time.Millisecond), Schedule: pace.Constant(1).Take(1)})
		defer closeEngine(t, e)
		var got []RequestResult
		r, err := e.RunStreaming(t.Context(), Cycle(Walk("", func(_ context.Context, u *User) error {
			time.Sleep(2 * time.Second) // late to begin: the user was there
			_, err := u.Do(&Request{Name: "first"})
			time.Sleep(time.Second)
			_, err2 := u.Do(&Request{Name: "second"})
			err3 := u.Pause(time.Second)
			time.Sleep(3 * time.Second)
			_, err4 := u.Do(&Request{Name: "third"})
			return errors.Join(err, err2, err3, err4)
		})), func(r RequestResult) error {
			got = append(got, r)
			return nil
		})
		require.NoError(t, err)
		require.Empty(t, r.Scenarios, "it has no name")
		require.EqualValues(t, 1, r.Users)
		var lags []time.Duration
		for _, r := range got {
			lags = append(lags, r.Lag)
		}
		require.Equal(t, []time.Duration{2 * time.Second, 0, 3 * time.Second}, lags)
	})
}

// endings are all kinds of end of a run.
var endings = []struct {
	name string
	end  func(t *testing.T, e Engine, cancel func())
	sink error
	err  error
}{
	{name: "orderly", end: func(*testing.T, Engine, func()) {}},
	{name: "context", end: func(_ *testing.T, _ Engine, cancel func()) { cancel() }, err: context.Canceled},
	{name: "close", end: func(t *testing.T, e Engine, _ func()) { require.NoError(t, e.Close(t.Context())) }, err: ErrClosed},
	{name: "close without patience", end: func(t *testing.T, e Engine, _ func()) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, e.Close(ctx))
	}, err: ErrClosed},
	{name: "sink", end: func(*testing.T, Engine, func()) {}, sink: errTest, err: errTest},
}

// At every kind of end all users are accounted for, and what they sent: in each engine,
// and where users and requests are mixed.
func TestUsersAreAccountedForAtEveryEnd(t *testing.T) {
	engines := map[string]EngineConfig{
		"sync":     SyncConfig{Client: sleeps(30 * time.Millisecond)},
		"threaded": ThreadedConfig{Client: sleeps(30 * time.Millisecond)},
		"async":    AsyncConfig{Client: sleeps(30 * time.Millisecond)},
		"arrival":  ArrivalConfig{Client: sleeps(30 * time.Millisecond), Schedule: pace.Constant(100).Until(5 * time.Second), MaxInFlight: 40},
	}
	for name, cfg := range engines {
		for _, ending := range endings {
			t.Run(name+"/"+ending.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newEngine(t, cfg)
					defer closeEngine(t, e)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					time.AfterFunc(1505*time.Millisecond, func() { go ending.end(t, e, cancel) })
					var started, finished, failed, requests atomic.Int64
					walk := func(ctx context.Context, u *User) (err error) {
						started.Add(1)
						defer func() {
							if err == nil {
								finished.Add(1)
							}
						}()
						for range u.Rand().IntN(4) {
							_, err := u.Do(&Request{Name: "r"})
							if err != nil {
								return err
							}
							requests.Add(1)
							if err := u.Pause(time.Duration(u.Rand().IntN(300)) * time.Millisecond); err != nil {
								return err
							}
						}
						if ctx.Err() == nil && u.Number()%7 == 3 {
							failed.Add(1)
							return errTest
						}
						return nil
					}
					var outcomes atomic.Int64
					r, err := e.RunStreaming(ctx, Take(5000, Mix(
						Weighted{Weight: 1, Request: &Request{Name: "plain"}}, Weighted{Weight: 3, Scenario: walk, Name: "walk"})),
						func(RequestResult) error {
							if outcomes.Add(1); time.Since(r0(t)) > 0 && ending.sink != nil && outcomes.Load() == 60 {
								return ending.sink
							}
							return nil
						})
					require.ErrorIs(t, err, ending.err)
					s := r.Scenarios["walk"]
					require.Equal(t, started.Load(), s.Started)
					require.Equal(t, s.Started, s.Finished+s.Failed+s.Canceled)
					require.Equal(t, finished.Load(), s.Finished)
					require.Equal(t, failed.Load(), s.Failed)
					require.Equal(t, Counts{
						Requests: r.Requests, SuccessCount: r.SuccessCount, ErrorCount: r.ErrorCount,
						Scheduled: r.Scheduled, Missed: r.Missed, Dropped: r.Dropped, Canceled: r.Canceled,
						Users: s.Started, UsersFailed: s.Failed, UsersCanceled: s.Canceled, UserRequests: s.Requests,
					}, r.Counts)
					require.GreaterOrEqual(t, s.Requests, requests.Load())
					require.LessOrEqual(t, s.Requests-requests.Load(), s.Canceled, "one each that was cut short")
					if name == "arrival" {
						require.Equal(t, r.Scheduled, r.Requests-r.UserRequests+r.Users+r.lost())
					} else {
						require.EqualValues(t, 5000, r.Requests-r.UserRequests+r.Users+r.Unsent)
					}
				})
			})
		}
	}
}

// r0 is the beginning of a bubble's time.
func r0(*testing.T) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// A panic or a FailNow in a scenario stops the run and goes on in the caller of Run, and
// other users end early.
func TestAScenarioThatPanics(t *testing.T) {
	for _, cfg := range []EngineConfig{
		ThreadedConfig{Client: sleeps(time.Millisecond)},
		ArrivalConfig{Client: sleeps(time.Millisecond), Schedule: pace.Constant(100)},
	} {
		for _, kind := range []string{"panic", "goexit"} {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, cfg)
				defer closeEngine(t, e)
				var ended atomic.Int64
				walk := func(ctx context.Context, u *User) error {
					defer ended.Add(1)
					if u.Number() == 5 {
						_ = u.Pause(time.Second)
						if kind == "panic" {
							panic("planted")
						}
						runtime.Goexit()
					}
					err := u.Pause(time.Hour)
					require.ErrorIs(t, err, context.Canceled)
					require.ErrorIs(t, ctx.Err(), context.Canceled)
					_, err = u.Do(&Request{})
					require.ErrorIs(t, err, context.Canceled, "nothing is sent any more")
					return err
				}
				began := time.Now()
				var recovered any
				left := make(chan bool)
				go func() {
					defer close(left)
					defer func() { recovered = recover() }()
					_, _ = e.Run(t.Context(), Times(1000, Walk("w", walk)))
				}()
				<-left
				require.Less(t, time.Since(began), 2*time.Second)
				if kind == "panic" {
					var p *PanicError
					require.ErrorAs(t, recovered.(error), &p)
					require.Equal(t, "planted", p.Value)
				}
				require.GreaterOrEqual(t, ended.Load(), int64(10), "every user that began has ended")
			})
		}
	}
}

// The end of a source stops no user.
func TestUsersWalkOnAfterTheEndOfTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ThreadedConfig{Client: sleeps(time.Millisecond)})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(10*time.Millisecond, Walk("w", browseAndBuy)))
		require.NoError(t, err)
		s := r.Scenarios["w"]
		require.EqualValues(t, 10, s.Started)
		require.EqualValues(t, 10, s.Finished)
	})
}

// A user is of no use once its scenario has returned.
func TestAUserThatHasLeft(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0)})
	defer closeEngine(t, e)
	var kept *User
	_, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
		kept = u
		return nil
	}))
	require.NoError(t, err)
	_, err = kept.Do(&Request{})
	require.ErrorIs(t, err, errUserLeft)
	require.ErrorIs(t, kept.Pause(time.Hour), errUserLeft)
}

// Random numbers depend on the user's number alone.
func TestRandOfAUser(t *testing.T) {
	drawn := func(workers int) map[int64]uint64 {
		e := newEngine(t, ThreadedConfig{Client: sleeps(0), MaxWorkers: workers})
		defer closeEngine(t, e)
		var mu sync.Mutex
		out := make(map[int64]uint64)
		_, err := e.Run(t.Context(), Users(200, func(_ context.Context, u *User) error {
			x := u.Rand().Uint64()
			mu.Lock()
			defer mu.Unlock()
			out[u.Number()] = x
			return nil
		}))
		require.NoError(t, err)
		return out
	}
	a, b := drawn(1), drawn(7)
	require.Len(t, a, 200)
	require.Equal(t, a, b)
	all := make(map[uint64]bool)
	for _, x := range a {
		all[x] = true
	}
	require.Len(t, all, 200)
	require.Equal(t, rand.New(rand.NewPCG(0, 3)).Uint64(), a[3])
}

// Scenarios have their places in a mix, and the parts of it their faults.
func TestMixOfScenarios(t *testing.T) {
	walk := func(context.Context, *User) error { return nil }
	e := newEngine(t, SyncConfig{Client: sleeps(0)})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Take(1000, Mix(
		Weighted{Weight: 90, Scenario: walk, Name: "look"},
		Weighted{Weight: 9, Scenario: browseNothing},
		Weighted{Weight: 1, Request: &Request{Name: "plain"}})))
	require.NoError(t, err)
	require.InDelta(t, 900, r.Scenarios["look"].Started, 2)
	require.InDelta(t, 90, r.Scenarios["browseNothing"].Started, 2)
	require.InDelta(t, 10, r.Endpoints["plain"].Requests, 2)

	for want, part := range map[string]Weighted{
		`part 0 has both a Request and a Scenario`:     {Weight: 1, Request: Get("http://h/"), Scenario: walk},
		`part 0 has the name "x" and no Scenario`:      {Weight: 1, Request: Get("http://h/"), Name: "x"},
		`loadtest: invalid request: nil`:               {Weight: 1},
		`part 0 has the weight 0: must be above 0 and`: {Scenario: walk},
	} {
		_, err := e.Run(t.Context(), Mix(part))
		require.ErrorContains(t, err, want)
	}
}

func browseNothing(context.Context, *User) error { return nil }

type shopper struct{}

func (shopper) Shop(context.Context, *User) error { return nil }

func (shopper) functions(context.Context, *User) error { return nil }

// A scenario has the name of its function, whatever kind of function that is.
func TestScenarioName(t *testing.T) {
	require.Equal(t, "browseNothing", scenarioName(browseNothing))
	require.Equal(t, "shopper.Shop", scenarioName(shopper{}.Shop))
	require.Equal(t, "TestScenarioName", scenarioName(func(context.Context, *User) error { return nil }))
	require.Equal(t, "shopper.functions", scenarioName(shopper{}.functions))
	require.Empty(t, scenarioName(nil))
	_, err := newEngine(t, SyncConfig{}).Run(t.Context(), Users(1, nil))
	require.ErrorIs(t, err, ErrInvalidRequest)
}

// A request and a scenario of one name are told apart, and so are those beyond the names
// that a run tells apart.
func TestNamesOfScenarios(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0)})
	defer closeEngine(t, e)
	var reqs []*Request
	for i := range 80 {
		reqs = append(reqs, &Request{Name: fmt.Sprint(i)}, Walk(fmt.Sprint(i), browseNothing))
	}
	r, err := e.Run(t.Context(), Times(len(reqs), reqs...))
	require.NoError(t, err)
	require.EqualValues(t, 80, r.Requests)
	require.EqualValues(t, 80, r.Users)
	require.Len(t, r.Endpoints, 33)
	require.Len(t, r.Scenarios, 32)
	require.EqualValues(t, 48, r.Endpoints[foldedEndpoints].Requests)
	warnings := r.Warnings[slices.IndexFunc(r.Warnings, func(w Warning) bool { return w.Kind == WarnFoldedEndpoints }):]
	require.Equal(t, `more than 63 request names: the others are counted together as "(others)"`, warnings[0].Text)
	require.EqualValues(t, 49, r.Scenarios[foldedEndpoints].Started)
}

// shop is a service with a login that redirects, and a cart in a cookie.
func shop(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		http.SetCookie(w, &http.Cookie{Name: "user", Value: string(body), Path: "/"})
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("user")
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("X-User", c.Value)
		fmt.Fprintf(w, "hello %s", c.Value)
	})
	mux.HandleFunc("GET /echo/{x}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.PathValue("x"), r.Header.Get("Authorization"))
	})
	mux.HandleFunc("POST /again", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/body", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("POST /body", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("GET /loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// clients are those that a scenario meets: each of ours, by each of its ways, and one that
// is not ours.
func scenarioClients() map[string]func() Client {
	return map[string]func() Client{
		"wire":   func() Client { return Wire(ConnectionConfig{}) },
		"direct": func() Client { return NetHTTP(ConnectionConfig{}) },
		"pool":   func() Client { return NetHTTP(ConnectionConfig{MaxConnections: 3}) },
		"foreign": func() Client {
			return NetHTTP(ConnectionConfig{Transport: http.DefaultTransport.(*http.Transport).Clone()})
		},
		"own":    func() Client { return ownClient{NetHTTP(ConnectionConfig{})} },
		"around": func() Client { return aroundClient{Wire(ConnectionConfig{})} },
	}
}

// ownClient is a client of a user's that knows nothing of brunt's.
type ownClient struct{ Client }

func (c ownClient) Session() (Session, error) { return ownSession{}, nil }

type ownSession struct{}

func (ownSession) Close() error { return nil }

func (ownSession) Do(ctx context.Context, req *Request) (Response, error) {
	hr, err := http.NewRequestWithContext(ctx, req.Method, req.URL, strings.NewReader(string(req.Body)))
	if err != nil {
		return Response{}, err
	}
	hr.Header = req.Header.Clone()
	hr.Close = true
	resp, err := http.DefaultTransport.RoundTrip(hr)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	out := Response{StatusCode: resp.StatusCode, Header: resp.Header, Bytes: int64(len(body))}
	if req.Check != nil {
		out.Body = body
	}
	return out, err
}

// aroundClient is a client of a user's that changes requests and hands them on to ours.
type aroundClient struct{ Client }

func (c aroundClient) Session() (Session, error) {
	s, err := c.Client.Session()
	return aroundSession{s}, err
}

type aroundSession struct{ Session }

func (s aroundSession) Do(ctx context.Context, req *Request) (Response, error) {
	own := *req
	own.Header = req.Header.Clone()
	own.Header.Set("X-Around", "1")
	return s.Session.Do(ctx, &own)
}

// Whatever the client, a user gets responses with header and body, its cookies stay its
// own, redirects are followed as told, and a request that a user changes is sent as it is.
func TestUsersOfAService(t *testing.T) {
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			srv := shop(t)
			e := newEngine(t, AsyncConfig{Client: client(), MaxConcurrent: 8})
			defer closeEngine(t, e)
			var checked atomic.Int64
			r, err := e.Run(t.Context(), Users(40, func(_ context.Context, u *User) error {
				me := fmt.Sprint("u", u.Number())
				if _, err := u.Do(Get(srv.URL + "/home")); !errors.As(err, new(*resilience.StatusError)) {
					return fmt.Errorf("without a cookie: %w", err)
				}
				u.KeepCookies()
				resp, err := u.Do(Post(srv.URL+"/login", "text/plain", []byte(me)))
				if err != nil || resp.StatusCode != http.StatusSeeOther {
					return fmt.Errorf("login without redirects: %d, %w", resp.StatusCode, err)
				}
				u.MaxRedirects = 3
				login := Post(srv.URL+"/login", "text/plain", []byte(me))
				login.Expect = []int{200}
				login.Check = func(r Response) error {
					checked.Add(1)
					if string(r.Body) != "hello "+me {
						return fmt.Errorf("not %q", r.Body)
					}
					return nil
				}
				resp, err = u.Do(login)
				if err != nil || string(resp.Body) != "hello "+me || resp.Header.Get("X-User") != me {
					return fmt.Errorf("login: %d %q %w", resp.StatusCode, resp.Body, err)
				}
				if err := u.Pause(time.Microsecond); err != nil {
					return err
				}
				if string(resp.Body) != "hello "+me {
					return fmt.Errorf("after a pause: %q", resp.Body)
				}
				req := Get(srv.URL + "/echo/1")
				for i := range 3 {
					req.Header.Set("Authorization", fmt.Sprint(me, i))
					if resp, err = u.Do(req); err != nil || string(resp.Body) != fmt.Sprintf("1 %s%d", me, i) {
						return fmt.Errorf("changed header: %q %w", resp.Body, err)
					}
				}
				u.Jar, u.MaxRedirects = nil, 0
				for i := range 3 {
					req.URL = fmt.Sprintf("%s/echo/%d", srv.URL, i)
					req.Header = http.Header{}
					if resp, err = u.Do(req); err != nil || string(resp.Body) != fmt.Sprintf("%d ", i) {
						return fmt.Errorf("changed URL: %q %w", resp.Body, err)
					}
				}
				u.MaxRedirects = 1
				again := Post(srv.URL+"/again", "text/plain", []byte(me))
				if resp, err = u.Do(again); err != nil || string(resp.Body) != me {
					return fmt.Errorf("redirect with a body: %q %w", resp.Body, err)
				}
				resp, err = u.Do(Get(srv.URL + "/loop"))
				if err == nil || classify(err) != ClassRedirect || resp.StatusCode != 302 {
					return fmt.Errorf("loop: %d %w", resp.StatusCode, err)
				}
				return nil
			}))
			require.NoError(t, err)
			require.Empty(t, r.Scenarios["TestUsersOfAService"].Error)
			require.EqualValues(t, 40, r.Scenarios["TestUsersOfAService"].Finished)
			require.EqualValues(t, 40, checked.Load(), "the last hop alone is checked")
			// home, login, login and home, three times echo, and again three, again and body, twice loop
			require.Equal(t, map[int]int64{403: 40, 303: 80, 200: 40 * (1 + 3 + 3 + 1), 307: 40, 302: 80}, r.StatusCodes)
			require.Equal(t, map[ErrorClass]int64{ClassStatus: 40}, r.Errors)
			require.Equal(t, r.Requests, r.UserRequests)
		})
	}
}

// A bad request of a user's is an error of its own, as a nil one and a scenario are.
func TestBadRequestsOfUsers(t *testing.T) {
	e := newEngine(t, SyncConfig{})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
		var errs []error
		for _, req := range []*Request{nil, Walk("w", browseNothing), {URL: "ftp://h/"}} {
			_, err := u.Do(req)
			require.ErrorIs(t, err, ErrInvalidRequest)
			errs = append(errs, err)
		}
		u.KeepCookies()
		_, err := u.Do(Get("nowhere"))
		require.ErrorIs(t, err, ErrInvalidRequest)
		return errors.Join(append(errs, err)...)
	}))
	require.NoError(t, err)
	require.Equal(t, map[ErrorClass]int64{ClassInvalid: 2}, r.Errors)
	require.Contains(t, r.Scenarios["TestBadRequestsOfUsers"].Error, "a scenario within a scenario")
}

// Retries and a breaker act on what users send as on anything else.
func TestPoliciesActOnUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{FailureThreshold: 3})
		require.NoError(t, err)
		e := newEngine(t, AsyncConfig{MaxConcurrent: 1, Breaker: breaker, Client: Func(func(context.Context) error { return errTest })})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
			for range 3 {
				_, err := u.Do(&Request{})
				require.ErrorIs(t, err, errTest)
			}
			_, err := u.Do(&Request{})
			require.ErrorIs(t, err, resilience.ErrOpen)
			return nil
		}))
		require.NoError(t, err)
		require.Equal(t, Counts{Requests: 3, ErrorCount: 3, RejectedCount: 1, Users: 1, UserRequests: 4}, r.Counts)
		require.EqualValues(t, 4, r.Scenarios["TestPoliciesActOnUsers"].Requests)
		require.InDelta(t, 0.25, r.RejectedRate(), 1e-9)
	})
}

// What users send costs no allocation beyond the response, as long as it is the same as
// what was sent before: that of Wire is the header, a map and its values.
func TestWhatAUserSendsAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	server := &crowd{release: make(chan struct{})}
	server.waiting.Add(1)
	close(server.release)
	for name, tt := range map[string]struct {
		client Client
		header float64
	}{
		"func": {sleeps(0), 0},
		"wire": {Wire(ConnectionConfig{DialContext: server.dial}), 4},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, ThreadedConfig{MaxWorkers: 1, Client: tt.client})
			defer closeEngine(t, e)
			var allocs float64
			r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
				var err error
				do := func(req *Request) {
					if _, failed := u.Do(req); failed != nil {
						err = failed
					}
				}
				reqs := [2]Request{{URL: "http://192.0.2.1/a", Header: http.Header{"A": {"1"}}}, {URL: "http://192.0.2.1/b"}}
				var req Request
				n := 0
				allocs = testing.AllocsPerRun(500, func() {
					req = reqs[n%2] // made anew: what it is known by is what is in it
					n++
					do(&req)
				})
				return err
			}))
			require.NoError(t, err)
			require.EqualValues(t, 501, r.SuccessCount)
			require.LessOrEqual(t, allocs, tt.header)
		})
	}
}

// The jar may be the user's own.
func TestAJarOfTheUsersOwn(t *testing.T) {
	srv := shop(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	jar.SetCookies(u, []*http.Cookie{{Name: "user", Value: "known"}})
	e := newEngine(t, SyncConfig{})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
		u.Jar = jar
		resp, err := u.Do(Get(srv.URL + "/home"))
		if string(resp.Body) != "hello known" {
			return fmt.Errorf("%q %w", resp.Body, err)
		}
		return err
	}))
	require.NoError(t, err)
	require.Empty(t, r.Scenarios["TestAJarOfTheUsersOwn"].Error)
}

// Users that pause hold no connection: as many are open as there are requests at once.
func TestUsersThatPauseHoldNoConnection(t *testing.T) {
	for name, client := range scenarioClients() {
		if name == "own" || name == "around" { // whose sessions have no Park
			continue
		}
		t.Run(name, func(t *testing.T) {
			srv := fixtures.NewServer(t)
			e := newEngine(t, AsyncConfig{Client: client(), MaxConcurrent: 50})
			defer closeEngine(t, e)
			turn := make(chan struct{}, 1)
			var there atomic.Int64
			r, err := e.Run(t.Context(), Times(50, Walk("w", func(_ context.Context, u *User) error {
				turn <- struct{}{}
				there.Add(1)
				_, err := u.Do(Get(srv.URL + "/health"))
				<-turn
				for err == nil && there.Load() < 50 {
					err = u.Pause(time.Millisecond)
				}
				return err
			})))
			require.NoError(t, err)
			require.EqualValues(t, 50, r.Scenarios["w"].Finished)
			require.LessOrEqual(t, r.ConnectionsOpened, int64(2))
		})
	}
}

// What is known of scenarios is in JSON, is merged exactly, and what does not add up is
// refused.
func TestScenarioStatsAreMergedAndStored(t *testing.T) {
	run := func(users int, fails int64) *EngineResult {
		var r *EngineResult
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t, ThreadedConfig{Client: sleeps(time.Millisecond)})
			defer closeEngine(t, e)
			var err error
			r, err = e.Run(t.Context(), Times(users, Walk("a", func(_ context.Context, u *User) error {
				_ = u.Pause(time.Duration(u.Number()) * time.Millisecond)
				if u.Number() < fails {
					return fmt.Errorf("user %d\nand more", fails)
				}
				return nil
			})))
			require.NoError(t, err)
		})
		return r
	}
	a, b := run(100, 0), run(300, 20)
	data, err := json.Marshal(b)
	require.NoError(t, err)
	var back EngineResult
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, b.Scenarios["a"], back.Scenarios["a"])
	require.Equal(t, b.Counts, back.Counts)
	a.Merge(&back)
	s := a.Scenarios["a"]
	require.EqualValues(t, 400, s.Started)
	require.EqualValues(t, 380, s.Finished)
	require.EqualValues(t, 20, s.Failed)
	require.Equal(t, "user 20\nand more", s.Error)
	require.Equal(t, 299*time.Millisecond, s.Quantile(1))
	require.EqualValues(t, 400, a.Users)
	require.Contains(t, a.String(), "  scenario  a  400 users, 380 finished, 20 failed, 0 requests, took p50 ")
	require.Contains(t, a.String(), "max 299ms: user 20")
	a.Merge(run(10, 0))
	require.EqualValues(t, 410, a.Scenarios["a"].Started)
	require.Equal(t, back.Scenarios["a"], b.Scenarios["a"], "the other is not changed")

	for _, bad := range []string{`"started":301`, `"finished":279`, `"failed":21`} {
		key, _, _ := strings.Cut(bad, ":")
		broken := regexp.MustCompile(key+`:\d+`).ReplaceAll(data, []byte(bad))
		require.ErrorContains(t, json.Unmarshal(broken, &back), "does not add up", bad)
	}
	for _, bad := range []string{`"users_failed":-1`, `"users_failed":301`, `"user_requests":1`} {
		broken := bytes.Replace(data, []byte(`"users":300,"users_failed":20`), []byte(`"users":300,`+bad), 1)
		require.ErrorContains(t, json.Unmarshal(broken, &back), "does not add up", bad)
	}
}

// Users that fail miss an objective of their own, even where every request was right.
func TestUserErrorsAreAnObjective(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0)})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Users(10, func(_ context.Context, u *User) error {
		if _, err := u.Do(&Request{}); err != nil || u.Number() > 0 {
			return err
		}
		return errTest
	}))
	require.NoError(t, err)
	v := SLO{}.Judge(r)
	require.Equal(t, VerdictFail, v.Kind)
	require.Equal(t, "user errors observed 10 % (1 of 10), wanted at most 0 % (set SLO.MaxUserErrorRate to allow some: 0 allows none)", v.Missed()[0].String())
	require.Equal(t, VerdictPass, SLO{MaxUserErrorRate: 0.1}.Judge(r).Kind)
	require.ErrorContains(t, SLO{MaxUserErrorRate: 2}.Validate(), "SLO.MaxUserErrorRate is 2")
	require.ErrorContains(t, SLO{Endpoints: map[string]SLO{"a": {MaxUserErrorRate: 0.1}}}.Validate(), "MaxUserErrorRate is set: it is known of a whole run only")
}

// Too little in flight is told by how long users are there, not by how long requests take.
func TestUsersThatAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{Client: sleeps(time.Millisecond), Schedule: pace.Constant(100).Until(10 * time.Second), MaxInFlight: 50})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Cycle(Walk("w", func(_ context.Context, u *User) error {
			_, err := u.Do(&Request{})
			return errors.Join(err, u.Pause(2*time.Second))
		})))
		require.NoError(t, err)
		require.Greater(t, r.Dropped, int64(500))
		v := SLO{}.Judge(r)
		require.Equal(t, VerdictInvalid, v.Kind)
		require.Contains(t, v.String(), "/s that take 2.001s each are 20")
		require.Contains(t, r.String(), "at most 50 there at once")
	})
}

// How much users send is not known, so that a run of theirs is given up only for what has
// happened already.
func TestAbortOfUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Abort: &AbortConfig{SLO: SLO{MaxErrorRate: 0.1}}, Client: Func(func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return errTest
		})})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Users(100, func(_ context.Context, u *User) error {
			_, _ = u.Do(&Request{})
			return nil
		}))
		require.NoError(t, err)
		require.EqualValues(t, 100, r.ErrorCount)
	})
}

// So it is before the first user has come to its end.
func TestAbortOfUsersThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		e := newEngine(t, AsyncConfig{MaxConcurrent: 10, Abort: &AbortConfig{SLO: SLO{MaxErrorRate: 0.1}}, Client: Func(func(context.Context) error {
			if sent.Add(1) <= 5 {
				return errTest
			}
			return nil
		})})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Users(10, func(_ context.Context, u *User) error {
			for range 10 {
				_, _ = u.Do(&Request{})
				_ = u.Pause(time.Second)
			}
			return nil
		}))
		require.NoError(t, err)
		require.EqualValues(t, 5, r.ErrorCount)
		require.EqualValues(t, 100, r.Requests)
	})
}

// Ten thousand users that mostly pause cost kilobytes each.
func TestAUserThatPausesIsSmall(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector's own memory drowns the engine's")
	}
	const users = 10_000
	for name, client := range map[string]func() Client{
		"net/http": func() Client { return NetHTTP(ConnectionConfig{}) },
		"wire":     func() Client { return Wire(ConnectionConfig{}) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := fixtures.NewServer(t)
			e := newEngine(t, AsyncConfig{MaxConcurrent: users, Client: client()})
			defer closeEngine(t, e)
			turn, all := make(chan struct{}, 8), make(chan struct{})
			var pausing atomic.Int64
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			measured := make(chan struct{})
			go func() { // ends when all users pause
				defer close(measured)
				<-all
				runtime.GC()
				runtime.ReadMemStats(&after)
			}()
			r, err := e.Run(t.Context(), Users(users, func(_ context.Context, u *User) error {
				turn <- struct{}{} // a crowd, not a rush
				_, err := u.Do(Get(srv.URL + "/bytes/100"))
				<-turn
				if pausing.Add(1) == users {
					close(all)
				}
				for err == nil {
					select {
					case <-measured:
						return nil
					default:
						err = u.Pause(50 * time.Millisecond)
					}
				}
				return err
			}))
			require.NoError(t, err)
			require.EqualValues(t, users, r.SuccessCount)
			require.LessOrEqual(t, r.ConnectionsOpened, int64(16))
			heap, stack := (float64(after.HeapAlloc)-float64(before.HeapAlloc))/users, (float64(after.StackInuse)-float64(before.StackInuse))/users
			t.Logf("bytes for each user: %.0f of heap, %.0f of stack", heap, stack)
			require.Less(t, heap+stack, 14_000.0)
		})
	}
}

// A client that is not ours gets the very request that the source has, but from a user or
// with a trace: it may know it again.
func TestAForeignClientGetsTheRequestItself(t *testing.T) {
	req := Get("http://h/")
	seen := &seenClient{}
	e := newEngine(t, SyncConfig{Client: seen})
	defer closeEngine(t, e)
	_, err := e.Run(t.Context(), Times(3, req, Walk("w", func(_ context.Context, u *User) error {
		_, err := u.Do(req)
		return err
	}), req))
	require.NoError(t, err)
	require.Len(t, seen.requests, 3)
	require.Same(t, req, seen.requests[0])
	require.NotSame(t, req, seen.requests[1], "with a Check, so that its response is kept")
	require.Same(t, req, seen.requests[2])
}

type seenClient struct{ requests []*Request }

func (c *seenClient) Session() (Session, error) { return c, nil }
func (c *seenClient) Close() error              { return nil }

func (c *seenClient) Do(_ context.Context, req *Request) (Response, error) {
	c.requests = append(c.requests, req)
	return Response{StatusCode: 200}, nil
}

// While a user paused another run took its session, and there is no further one: the run
// ends with the client's error, and the next user does not begin.
func TestAClosedLoopEndsIfThereIsNoSessionForTheNextUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bookkeeper{do: sleep(10 * time.Second), failAfter: 1}
		e := newEngine(t, SyncConfig{Client: b})
		defer closeEngine(t, e)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { // ends with its request
			time.Sleep(time.Second)
			r, err := e.Run(t.Context(), Times(1, Get("http://h/")))
			require.NoError(t, err)
			require.EqualValues(t, 1, r.SuccessCount)
		})
		r, err := e.Run(t.Context(), Users(2, func(_ context.Context, u *User) error { return u.Pause(2 * time.Second) }))
		require.ErrorIs(t, err, errTest)
		require.EqualValues(t, 1, r.Users)
		require.EqualValues(t, 1, r.Unsent)
		require.Equal(t, 2*time.Second, r.Elapsed)
	})
}
