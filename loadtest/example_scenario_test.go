package loadtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// shop is a service with a login, a catalog and a cart.
func shop() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1", Path: "/"})
		fmt.Fprint(w, `{"token": "t1"}`)
	})
	mux.HandleFunc("GET /items", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	return httptest.NewServer(mux)
}

// A user logs in, keeps the token, looks around and buys.
func ExampleScenario() {
	srv := shop()
	defer srv.Close()

	buy := func(_ context.Context, u *loadtest.User) error {
		resp, err := u.Do(loadtest.Post(srv.URL+"/login", "application/json", []byte(`{"user": "me"}`)))
		if err != nil {
			return err
		}
		var login struct{ Token string }
		if err := json.Unmarshal(resp.Body, &login); err != nil {
			return err
		}
		for range 1 + u.Rand().IntN(3) {
			if _, err := u.Do(loadtest.Get(srv.URL + "/items")); err != nil {
				return err
			}
			if err := u.Pause(time.Millisecond); err != nil {
				return err
			}
		}
		cart := loadtest.Post(srv.URL+"/cart", "application/json", []byte(`{"item": 1}`))
		cart.Name = "cart"
		cart.Header.Set("Authorization", "Bearer "+login.Token)
		_, err = u.Do(cart)
		return err
	}

	engine, _ := loadtest.NewAsyncEngine(loadtest.AsyncConfig{MaxConcurrent: 20})
	defer engine.Close(context.Background())
	r, err := engine.Run(context.Background(), loadtest.Times(100, loadtest.Walk("buy", buy)))
	fmt.Println(err, r.Scenarios["buy"].Finished, "users finished,", r.Endpoints["cart"].SuccessCount, "carts")
	// Output: <nil> 100 users finished, 100 carts
}

func browse(_ context.Context, u *loadtest.User) error {
	_, err := u.Do(&loadtest.Request{Name: "page"})
	return err
}

func ExampleUsers() {
	engine, _ := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	defer engine.Close(context.Background())
	r, _ := engine.Run(context.Background(), loadtest.Users(50, browse))
	fmt.Println(r.Users, "users,", r.Scenarios["browse"].Finished, "finished;", r.Requests, "requests")
	// Output: 50 users, 50 finished; 50 requests
}

// Users arrive on schedule, however long those before them stay.
func ExampleWalk() {
	engine, _ := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Client:   loadtest.Func(func(context.Context) error { return nil }),
		Schedule: pace.Constant(1000).Take(20),
	})
	defer engine.Close(context.Background())
	stay := func(_ context.Context, u *loadtest.User) error { return u.Pause(100 * time.Millisecond) }
	r, _ := engine.Run(context.Background(), loadtest.Cycle(loadtest.Walk("stay", stay)))
	fmt.Println(r.Scheduled, "arrived,", r.Scenarios["stay"].Finished, "finished, none earlier than", r.Scenarios["stay"].Quantile(0).Round(100*time.Millisecond))
	// Output: 20 arrived, 20 finished, none earlier than 100ms
}

// Of a hundred users ninety look, nine buy, and one does something else.
func ExampleMix_scenarios() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	defer engine.Close(context.Background())
	buy := func(_ context.Context, u *loadtest.User) error {
		_, err := u.Do(&loadtest.Request{Name: "cart"})
		return err
	}
	r, _ := engine.Run(context.Background(), loadtest.Take(1000, loadtest.Mix(
		loadtest.Weighted{Weight: 90, Scenario: browse},
		loadtest.Weighted{Weight: 9, Scenario: buy, Name: "buy"},
		loadtest.Weighted{Weight: 1, Request: &loadtest.Request{Name: "health"}},
	)))
	fmt.Println(r.Scenarios["browse"].Started, r.Scenarios["buy"].Started, r.Endpoints["health"].Requests)
	// Output: 900 90 10
}

func ExampleUser_KeepCookies() {
	srv := shop()
	defer srv.Close()
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	defer engine.Close(context.Background())
	_, _ = engine.Run(context.Background(), loadtest.Users(1, func(_ context.Context, u *loadtest.User) error {
		u.KeepCookies()
		resp, err := u.Do(loadtest.Post(srv.URL+"/login", "application/json", nil))
		if err != nil {
			return err
		}
		fmt.Printf("%s\n%s\n", resp.Body, resp.Header.Get("Set-Cookie"))
		_, err = u.Do(loadtest.Get(srv.URL + "/items")) // with the cookie
		return err
	}))
	// Output:
	// {"token": "t1"}
	// session=s1; Path=/
}

// Each record has what a server's traces and logs know the request by.
func ExampleTracing() {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(len(r.Header.Get("Traceparent")), len(r.Header.Get("X-Request-Id")))
	}))
	defer srv.Close()
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Tracing: loadtest.Tracing{TraceContext: true, RequestID: "X-Request-Id"}})
	defer engine.Close(context.Background())
	_, _ = engine.RunStreaming(context.Background(), loadtest.URLs(srv.URL), func(r loadtest.RequestResult) error {
		fmt.Println(len(r.TraceID), len(r.RequestID))
		return nil
	})
	// Output:
	// 55 10
	// 32 10
}

// A function passes on the trace that it is called in.
func ExampleTraceparent() {
	client := loadtest.Func(func(ctx context.Context) error {
		fmt.Println(len(loadtest.Traceparent(ctx)))
		return nil
	})
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: client, Tracing: loadtest.Tracing{TraceContext: true}})
	defer engine.Close(context.Background())
	_, _ = engine.Run(context.Background(), loadtest.Times(1))
	// Output: 55
}
