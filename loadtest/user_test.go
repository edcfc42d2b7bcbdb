package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/pace"
)

// A worker whose user has given the connection back, and came to an end without another
// request, has one again for the request whose turn is next.
func TestARequestAfterAUserThatPaused(t *testing.T) {
	srv := fixtures.NewServer(t)
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			for _, cfg := range []EngineConfig{
				SyncConfig{Client: client()},
				ThreadedConfig{Client: client(), MaxWorkers: 2},
				AsyncConfig{Client: client(), MaxConcurrent: 2},
				ArrivalConfig{Client: client(), Schedule: pace.Constant(2000).Take(20)},
			} {
				e := newEngine(t, cfg)
				r, err := e.Run(t.Context(), Times(20, Get(srv.URL+"/health"), Walk("w", func(_ context.Context, u *User) error {
					_, err := u.Do(Get(srv.URL + "/health"))
					return errors.Join(err, u.Pause(time.Microsecond))
				})))
				closeEngine(t, e)
				require.NoError(t, err)
				require.Equal(t, Counts{Requests: 20, SuccessCount: 20, Scheduled: r.Scheduled, Users: 10, UserRequests: 10, BytesRead: r.BytesRead}, r.Counts)
			}
		})
	}
}

// A user is of one goroutine. Of two that use it at once one is told so: they would get
// each other's responses. A scenario that returns while another goroutine is still at it
// waits for that, so that the worker is never in two hands.
func TestAUserInTwoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, SyncConfig{Client: sleeps(time.Second)})
		defer closeEngine(t, e)
		var wg sync.WaitGroup
		var late error
		r, err := e.Run(t.Context(), Times(2, Walk("w", func(_ context.Context, u *User) error {
			wg.Go(func() { _, _ = u.Do(&Request{Name: "stray"}) }) // ends when the request does
			synctest.Wait()
			_, err := u.Do(&Request{})
			require.ErrorIs(t, err, errUserBusy)
			require.ErrorIs(t, u.Pause(time.Hour), errUserBusy)
			if u.Number() > 0 {
				wg.Go(func() { // ends after its Do, at once
					time.Sleep(2 * time.Second)
					_, late = u.Do(&Request{})
				})
			}
			return nil
		})))
		require.NoError(t, err)
		wg.Wait()
		require.ErrorIs(t, late, errUserLeft)
		require.Equal(t, Counts{Requests: 2, SuccessCount: 2, Users: 2, UserRequests: 2}, r.Counts)
		require.EqualValues(t, 2, r.Scenarios["w"].Requests)
		require.Equal(t, 2*time.Second, r.Elapsed)
	})
}

// What Do calls may not call the user: the response in hand would be another's.
func TestAUserWithinItsOwnRequest(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0)})
	defer closeEngine(t, e)
	var within []error
	r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
		again := func() error {
			_, err := u.Do(&Request{})
			within = append(within, err, u.Pause(time.Microsecond))
			return err
		}
		_, err := u.Do(&Request{Check: func(Response) error { return again() }})
		require.ErrorIs(t, err, errUserBusy)
		_, err = u.Do(Call("f", func(context.Context) error { return again() }))
		require.ErrorIs(t, err, errUserBusy)
		return nil
	}))
	require.NoError(t, err)
	require.Len(t, within, 4)
	for _, err := range within {
		require.ErrorIs(t, err, errUserBusy)
	}
	require.EqualValues(t, 2, r.Requests)
	require.EqualValues(t, 2, r.UserRequests)
}

// panickyJar is a jar whose every use panics.
type panickyJar struct{ http.CookieJar }

// A panic of what Do calls stops the run, even if the scenario recovers it: what was in
// hand is not counted, and a session may be broken.
func TestAPanicThatAScenarioRecovers(t *testing.T) {
	srv := fixtures.NewServer(t)
	for name, req := range map[string]*Request{
		"check":    {URL: srv.URL + "/health", Check: func(Response) error { panic("planted") }},
		"function": Call("f", func(context.Context) error { panic("planted") }),
		"jar":      Get(srv.URL + "/health"),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, ThreadedConfig{MaxWorkers: 2})
			defer closeEngine(t, e)
			defer func() {
				var p *PanicError
				require.ErrorAs(t, recover().(error), &p)
				if name != "jar" {
					require.Equal(t, "planted", p.Value)
				}
			}()
			_, _ = e.Run(t.Context(), Users(50, func(_ context.Context, u *User) (err error) {
				defer func() {
					if recover() != nil {
						_, err = u.Do(Get(srv.URL + "/health"))
						require.ErrorIs(t, err, context.Canceled)
					}
				}()
				if name == "jar" {
					u.Jar = panickyJar{}
				}
				_, err = u.Do(req)
				return err
			}))
			t.Error("Run has returned")
		})
	}
}

// When a run is halted, its users know by then: none is told that it may go on, and sends.
func TestAHaltedRunHasNoUsers(t *testing.T) {
	for range 2000 {
		r := &run{ctx: t.Context()}
		r.users, r.dismiss = context.WithCancelCause(r.ctx)
		w := &worker{run: r}
		u := &User{worker: w, ctx: r.users}
		go r.halt(errTest) // ends at once
		for !r.stopped() {
			runtime.Gosched()
		}
		require.ErrorIs(t, u.over(), errTest)
	}
}

// A redirect that is not followed is the error of a user whose requests were all answered.
func TestRedirectsThatAreNotFollowed(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bad", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://me:secret@h:port/")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("GET /gopher", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "gopher://me:secret@h/")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("GET /none", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) })
	srv := newLoopback(t, mux)
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, SyncConfig{Client: client()})
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
				u.MaxRedirects = 5
				for _, path := range []string{"/bad", "/gopher"} {
					resp, err := u.Do(Get(srv + path))
					if err == nil || resp.StatusCode != http.StatusFound {
						return fmt.Errorf("%s: %d, %w", path, resp.StatusCode, err)
					}
					require.NotContains(t, err.Error(), "secret")
				}
				resp, err := u.Do(Get(srv + "/none"))
				require.Equal(t, http.StatusFound, resp.StatusCode)
				return err
			}))
			require.NoError(t, err)
			require.Empty(t, r.Scenarios["TestRedirectsThatAreNotFollowed"].Error)
			require.EqualValues(t, 3, r.StatusCodes[http.StatusFound])
		})
	}
}

// newLoopback returns the URL of a server of h.
func newLoopback(t *testing.T, h http.Handler) string {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// Each user has a jar of its own.
func TestCookiesAreOneUsersOwn(t *testing.T) {
	e := newEngine(t, SyncConfig{Client: sleeps(0)})
	defer closeEngine(t, e)
	jars := make(map[http.CookieJar]bool)
	_, err := e.Run(t.Context(), Users(3, func(_ context.Context, u *User) error {
		require.Nil(t, u.Jar)
		u.KeepCookies()
		jars[u.Jar] = true
		return nil
	}))
	require.NoError(t, err)
	require.Len(t, jars, 3)
}

// What is sent to where a redirect leads is what http.Client sends.
func TestWhatIsSentAfterARedirect(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/to/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.Header().Set("Location", "/got")
		w.WriteHeader(status)
	})
	mux.HandleFunc("/got", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q", r.Method, r.Host, body)
	})
	srv := newLoopback(t, mux)
	for name, client := range scenarioClients() {
		if name == "own" {
			continue // it does not send the Host
		}
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, SyncConfig{Client: client()})
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), Users(1, func(_ context.Context, u *User) error {
				u.MaxRedirects = 1
				for status, want := range map[int]string{
					301: `GET shop.test ""`, 302: `GET shop.test ""`, 303: `GET shop.test ""`,
					307: `POST shop.test "body"`, 308: `POST shop.test "body"`,
				} {
					req := Post(fmt.Sprintf("%s/to/%d", srv, status), "text/plain", []byte("body"))
					req.Header.Set("Host", "shop.test")
					resp, err := u.Do(req)
					if err != nil || string(resp.Body) != want {
						return fmt.Errorf("%d: %s, want %s, %w", status, resp.Body, want, err)
					}
				}
				return nil
			}))
			require.NoError(t, err)
			require.Empty(t, r.Scenarios["TestWhatIsSentAfterARedirect"].Error)
			require.EqualValues(t, 10, r.Requests)
		})
	}
}

// The response of a user that pauses stays its own while its session serves another.
func TestTheResponseOfAUserThatPauses(t *testing.T) {
	srv := newLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		_, _ = io.WriteString(w, strings.Repeat(r.URL.Path, 100))
	}))
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, ThreadedConfig{MaxWorkers: 2, Client: client()})
			defer closeEngine(t, e)
			ready, done := make(chan struct{}), make(chan struct{})
			reader := func(_ context.Context, u *User) error {
				<-ready
				resp, err := u.Do(Get(srv + "/one"))
				for err == nil {
					select {
					case <-done:
						if string(resp.Body) != strings.Repeat("/one", 100) || resp.Header.Get("X-Path") != "/one" {
							return fmt.Errorf("%.20q, %v", resp.Body, resp.Header)
						}
						return nil
					default:
						err = u.Pause(time.Millisecond)
					}
				}
				return err
			}
			other := func(_ context.Context, u *User) error {
				err := u.Pause(time.Microsecond) // its session is the older one now
				close(ready)
				defer close(done)
				for range 20 {
					_, err2 := u.Do(Get(srv + "/two"))
					err = errors.Join(err, err2, u.Pause(time.Millisecond))
				}
				return err
			}
			r, err := e.Run(t.Context(), Times(2, Walk("reader", reader), Walk("other", other)))
			require.NoError(t, err)
			require.Empty(t, r.Scenarios["reader"].Error)
			require.Empty(t, r.Scenarios["other"].Error)
		})
	}
}

// A request that is sent as another was is known as that one, and what is known of it
// stays as it is, whatever its user makes of it.
func TestKnownRequests(t *testing.T) {
	var k sentRequests
	make1 := func() *Request {
		return &Request{Method: "PUT", URL: "http://h/", Header: http.Header{"A": {"1"}}, Body: []byte("body")}
	}
	req := make1()
	is := k.known(req)
	require.NotSame(t, req, is)
	require.Same(t, is, k.known(make1()))
	require.Same(t, is, k.known(&Request{Method: "PUT", URL: "http://h/", Header: http.Header{"A": {"1"}}, Body: []byte("body"), Name: "n", Expect: []int{3}}))
	for what, change := range map[string]func(*Request){
		"header": func(r *Request) { r.Header["A"][0] = "2" },
		"more":   func(r *Request) { r.Header["B"] = nil },
		"body":   func(r *Request) { r.Body[0]++ },
		"method": func(r *Request) { r.Method = "POST" },
		"url":    func(r *Request) { r.URL += "x" },
		"time":   func(r *Request) { r.ServerTime = &ServerTime{} },
	} {
		req := make1()
		change(req)
		require.NotSame(t, is, k.known(req), what)
	}
	req.Header["A"][0], req.Body[0] = "2", 'B'
	require.Equal(t, http.Header{"A": {"1"}}, is.Header)
	require.Equal(t, "body", string(is.Body))
}

// What a user's requests are to its worker ends with the user: a plain request is not
// redirected.
func TestARequestAfterAUserThatWasRedirected(t *testing.T) {
	srv := shop(t)
	for name, client := range scenarioClients() {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, SyncConfig{Client: client()})
			defer closeEngine(t, e)
			plain := Get(srv.URL + "/loop")
			plain.Expect = []int{200}
			r, err := e.Run(t.Context(), Times(4, Walk("w", func(_ context.Context, u *User) error {
				u.MaxRedirects = 2
				_, err := u.Do(Get(srv.URL + "/loop"))
				require.Error(t, err)
				return nil
			}), plain))
			require.NoError(t, err)
			require.EqualValues(t, 2, r.ErrorCount)
			require.EqualValues(t, 6, r.UserRequests)
			require.EqualValues(t, 8, r.Requests)
		})
	}
}

// How long a user took begins when it was due, though its worker came late to it.
func TestAUserThatBeganLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, ArrivalConfig{Client: sleeps(time.Second), Schedule: pace.Constant(1).Take(1)})
		defer closeEngine(t, e)
		walk := Walk("w", func(_ context.Context, u *User) error {
			_, err := u.Do(&Request{})
			return err
		})
		r, err := e.Run(t.Context(), Pick(func(int64) *Request {
			time.Sleep(3 * time.Second) // a slow source
			return walk
		}))
		require.NoError(t, err)
		require.Equal(t, 4*time.Second, r.Scenarios["w"].Mean())
		require.Equal(t, 3*time.Second, r.LagQuantile(1))
	})
}
