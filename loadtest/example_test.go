package loadtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/resilience"
)

// hello is a handler to drive.
var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

func Example() {
	srv := httptest.NewServer(hello)
	defer srv.Close()

	engine, err := loadtest.NewAsyncEngine(loadtest.AsyncConfig{MaxConcurrent: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())

	result, err := engine.Run(context.Background(), loadtest.Times(1000, loadtest.Get(srv.URL)))
	fmt.Println(result.SuccessCount, "ok,", result.ErrorCount, "failed,", err)
	fmt.Println(result.P50() > 0, result.P99() >= result.P95(), result.RPS() > 0)
	// Output:
	// 1000 ok, 0 failed, <nil>
	// true true true
}

func ExampleNewSyncEngine() {
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{Timeout: -time.Second})
	fmt.Println(engine == nil, err)
	// Output: true loadtest: bad configuration: Timeout is -1s: must be 0 for the default, or positive
}

func ExampleNewThreadedEngine() {
	engine, _ := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{
		MaxWorkers: 4,
		Client:     loadtest.Func(func(context.Context) error { return nil }),
	})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(100))
	fmt.Println(result.Engine, result.Concurrency, result.Requests)
	// Output: threaded 4 100
}

func ExampleNewAsyncEngine() {
	engine, _ := loadtest.NewAsyncEngine(loadtest.AsyncConfig{
		Client: loadtest.Func(func(context.Context) error { return nil }),
	})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(100))
	fmt.Println(result.Engine, result.Concurrency, result.Requests)
	// Output: async 100 100
}

func ExampleAsyncConfig_breaker() {
	breaker, _ := resilience.NewCircuitBreaker(resilience.BreakerConfig{Name: "billing", FailureThreshold: 3})
	engine, _ := loadtest.NewAsyncEngine(loadtest.AsyncConfig{
		MaxConcurrent: 1,
		Breaker:       breaker,
		Client:        loadtest.Func(func(context.Context) error { return errors.New("down") }),
	})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(10))
	fmt.Println(result.Requests, "sent,", result.RejectedCount, "rejected,", breaker.State())
	// Output: 3 sent, 7 rejected, OPEN
}

func ExampleAsyncConfig_retry() {
	retry, _ := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 3, BaseDelay: time.Millisecond})
	sent := 0
	engine, _ := loadtest.NewAsyncEngine(loadtest.AsyncConfig{
		MaxConcurrent: 1,
		Retry:         retry,
		Client: loadtest.Func(func(context.Context) error {
			if sent++; sent%2 == 1 {
				return io.ErrUnexpectedEOF // transient: the next attempt may succeed
			}
			return nil
		}),
	})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(5))
	fmt.Println(result.SuccessCount, "of", result.Requests, "succeeded, in", result.Attempts(), "attempts")
	// Output: 5 of 5 succeeded, in 10 attempts
}

func ExampleFunc() {
	query := func(ctx context.Context) error {
		select {
		case <-time.After(time.Millisecond): // a query, an RPC, a function
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	engine, _ := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{Client: loadtest.Func(query)})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(200))
	fmt.Println(result.SuccessCount, result.P50() >= time.Millisecond)
	// Output: 200 true
}

// Two queries in one run, each with its own statistics.
func ExampleCall() {
	read := func(context.Context) error { return nil }                     // a query, an RPC
	write := func(context.Context) error { return errors.New("no space") } // its context has a deadline
	engine, _ := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(200, loadtest.Call("read", read), loadtest.Call("write", write)))
	for _, name := range []string{"read", "write"} {
		fmt.Println(name, result.Endpoints[name].Requests, "calls,", result.Endpoints[name].ErrorCount, "failed")
	}
	// Output:
	// read 100 calls, 0 failed
	// write 100 calls, 100 failed
}

// leaderless is an error that says itself what kind it is.
type leaderless struct{}

func (leaderless) Error() string                   { return "no answer from the leader" }
func (leaderless) ErrorClass() loadtest.ErrorClass { return loadtest.ClassTimeout }

// An error that has a method ErrorClass, or wraps one that has, is counted there.
func ExampleCall_errorClass() {
	publish := func(context.Context) error { return fmt.Errorf("publishing: %w", leaderless{}) }
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(5, loadtest.Call("publish", publish)))
	fmt.Println(result.Errors, result.ErrorExamples[loadtest.ClassTimeout])
	// Output: map[timeout:5] publishing: no answer from the leader
}

// What is deleted twice is gone: both statuses are right.
func ExampleRequest_expect() {
	gone := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone {
			http.NotFound(w, r)
		}
		gone = true
	}))
	defer srv.Close()

	req := loadtest.Get(srv.URL + "/orders/7")
	req.Method = http.MethodDelete
	req.Header.Set("Authorization", "Bearer secret")
	req.Expect = []int{http.StatusOK, http.StatusNotFound}
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(5, req))
	fmt.Println(result.SuccessCount, "ok,", result.StatusCodes)
	// Output: 5 ok, map[200:1 404:4]
}

func ExampleNetHTTP() {
	srv := httptest.NewTLSServer(hello)
	defer srv.Close()

	client := loadtest.NetHTTP(loadtest.ConnectionConfig{
		TLS:     srv.Client().Transport.(*http.Transport).TLSClientConfig,
		Pooling: loadtest.PoolNaive, // a connection for each request
	})
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: client})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(5, loadtest.Get(srv.URL)))
	fmt.Println(result.SuccessCount, "requests,", result.ConnectionsOpened, "connections")
	// Output: 5 requests, 5 connections
}

func ExampleGet() {
	req := loadtest.Get("http://127.0.0.1:8080/")
	req.Name = "home"
	req.Check = func(r loadtest.Response) error {
		if !strings.Contains(string(r.Body), "welcome") {
			return errors.New("not the home page")
		}
		return nil
	}
	fmt.Println(req.Method, req.URL)
	// Output: GET http://127.0.0.1:8080/
}

func ExamplePost() {
	req := loadtest.Post("http://127.0.0.1:8080/orders", "application/json", []byte(`{"item":7}`))
	fmt.Println(req.Method, req.Header.Get("Content-Type"), len(req.Body))
	// Output: POST application/json 10
}

// seen runs src on one worker and prints what it sent.
func seen(src loadtest.Source) {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	defer engine.Close(context.Background())
	var names []string
	_, err := engine.RunStreaming(context.Background(), src, func(r loadtest.RequestResult) error {
		names = append(names, r.URL)
		return nil
	})
	fmt.Println(strings.Join(names, " "), err)
}

func ExampleURLs() {
	seen(loadtest.URLs("http://h/a", "http://h/b"))
	// Output: http://h/a http://h/b <nil>
}

func ExampleTimes() {
	seen(loadtest.Times(5, loadtest.Get("http://h/a"), loadtest.Get("http://h/b")))
	// Output: http://h/a http://h/b http://h/a http://h/b http://h/a <nil>
}

func ExampleFor() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
		time.Sleep(time.Millisecond)
		return nil
	})})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.For(20*time.Millisecond))
	fmt.Println(result.Requests > 0, result.Unsent)
	// Output: true 0
}

// A sequence without an end, for 20 ms.
func ExampleUntil() {
	ids := func(yield func(*loadtest.Request) bool) {
		for id := 0; ; id++ {
			if !yield(loadtest.Get(fmt.Sprintf("http://h/%d", id))) {
				return
			}
		}
	}
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
		time.Sleep(time.Millisecond)
		return nil
	})})
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Until(20*time.Millisecond, loadtest.Seq(ids)))
	fmt.Println(result.Requests > 0, result.ErrorCount, err)
	// Output: true 0 <nil>
}

// Nine times out of ten a page, now and then an order.
func ExampleMix() {
	seen(loadtest.Take(10, loadtest.Mix(
		loadtest.Weighted{Weight: 9, Request: loadtest.Get("http://h/page")},
		loadtest.Weighted{Weight: 1, Request: loadtest.Get("http://h/order")},
	)))
	// Output: http://h/page http://h/page http://h/page http://h/page http://h/page http://h/page http://h/page http://h/page http://h/order http://h/page <nil>
}

// Request number i asks for item i.
func ExamplePick() {
	seen(loadtest.Take(3, loadtest.Pick(func(i int64) *loadtest.Request {
		return loadtest.Get(fmt.Sprintf("http://h/item/%d", i))
	})))
	// Output: http://h/item/0 http://h/item/1 http://h/item/2 <nil>
}

// The first two of a longer list.
func ExampleTake() {
	seen(loadtest.Take(2, loadtest.URLs("http://h/a", "http://h/b", "http://h/c")))
	// Output: http://h/a http://h/b <nil>
}

func ExampleSeq() {
	reqs := []*loadtest.Request{loadtest.Get("http://h/1"), loadtest.Get("http://h/2")}
	seen(loadtest.Seq(slices.Values(reqs)))
	// Output: http://h/1 http://h/2 <nil>
}

func ExampleReadURLs() {
	urls, err := loadtest.ReadURLs(strings.NewReader("# targets\nhttp://h/a\n\nhttp://h/b\n"))
	fmt.Println(urls, err)
	_, err = loadtest.ReadURLs(strings.NewReader("http://h/a\nh/b\n"))
	fmt.Println(err)
	// Output:
	// [http://h/a http://h/b] <nil>
	// loadtest: line 2: URL "h/b": scheme must be http or https
}

func ExampleEngine_close() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	fmt.Println(engine.Close(context.Background()))
	_, err := engine.Run(context.Background(), loadtest.URLs("http://127.0.0.1:1/"))
	fmt.Println(err)
	// Output:
	// <nil>
	// loadtest: engine closed
}

func ExampleSyncEngine_RunStreaming() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
		return errors.New("boom")
	})})
	defer engine.Close(context.Background())
	enough := errors.New("enough")
	result, err := engine.RunStreaming(context.Background(), loadtest.Times(100), func(r loadtest.RequestResult) error {
		fmt.Println(r.Attempt, r.Class, r.Err)
		return enough
	})
	fmt.Println(result.Requests, "sent,", result.Unsent, "not,", err)
	// Output:
	// 1 other boom
	// 1 sent, 99 not, enough
}

func ExampleEngineResult_Merge() {
	run := func(n int) *loadtest.EngineResult {
		engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
		defer engine.Close(context.Background())
		result, _ := engine.Run(context.Background(), loadtest.Times(n))
		return result
	}
	// A result from another machine arrives as JSON, and loses nothing by it.
	data, _ := json.Marshal(run(1000))
	var remote loadtest.EngineResult
	if err := json.Unmarshal(data, &remote); err != nil {
		fmt.Println(err)
	}
	sum := run(500)
	sum.Merge(&remote)
	fmt.Println(sum.Requests)
	// Output: 1500
}

func ExampleBench() {
	// In a test file: func BenchmarkHello(b *testing.B).
	benchmark := func(b *testing.B) {
		srv := httptest.NewServer(hello)
		defer srv.Close()
		engine := loadtest.Start(b, loadtest.ThreadedConfig{MaxWorkers: 8})
		loadtest.Bench(b, engine, loadtest.Get(srv.URL))
	}
	result := testing.Benchmark(benchmark)
	fmt.Println(result.N > 0, result.Extra["req/s"] > 0, result.Extra["err/op"])
	// Output: true true 0
}

// A run of a fixed duration: b.N is not how many requests there are.
func ExampleReportMetrics() {
	benchmark := func(b *testing.B) {
		srv := httptest.NewServer(hello)
		defer srv.Close()
		engine := loadtest.Start(b, loadtest.ThreadedConfig{MaxWorkers: 8})
		result, err := engine.Run(b.Context(), loadtest.For(50*time.Millisecond, loadtest.Get(srv.URL)))
		if err != nil {
			b.Fatal(err)
		}
		loadtest.ReportMetrics(b, result)
	}
	result := testing.Benchmark(benchmark)
	fmt.Println(result.Extra["req/s"] > 0, result.Extra["err/op"])
	// Output: true 0
}

// printer is a test that prints its failures.
type printer struct{ testing.TB }

func (printer) Helper()                           {}
func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func ExampleCheck() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(2000))

	var t printer // in a test: t *testing.T
	loadtest.Check(t, result, loadtest.SLO{P99: time.Second, MinRPS: 100})
	fmt.Println("checked")
	// Output: checked
}

// For a program rather than a test.
func ExampleSLO_Judge() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	defer engine.Close(context.Background())
	n := 0
	result, _ := engine.Run(context.Background(), loadtest.Times(2000, loadtest.Call("query", func(context.Context) error {
		if n++; n%100 == 0 {
			return errors.New("deadlock")
		}
		return nil
	})))
	verdict := loadtest.SLO{P99: time.Second}.Judge(result)
	fmt.Println(verdict)
	for _, o := range verdict.Objectives {
		fmt.Println(o.Met, o.Name)
	}
	// Output:
	// FAIL
	//   error rate  observed 1 % (20 of 2,000), wanted at most 0 % (set SLO.MaxErrorRate to allow some: 0 allows none)
	// true p99
	// false error rate
	// true requests
}

// Where the generator was the limit, the verdict names what to change, and no objective
// counts.
func ExampleVerdict() {
	// What 400 requests a second amount to that take 0.2 s, with MaxInFlight 40.
	result := &loadtest.EngineResult{Causes: []loadtest.CauseFinding{{
		Cause: loadtest.CauseInFlight, Windows: 6, Latched: 6, Of: 6, Lost: 1200,
		Text: "MaxInFlight 40 was reached; raise MaxInFlight",
	}}}
	result.Scheduled, result.Requests, result.SuccessCount, result.Dropped = 2400, 1200, 1200, 1200
	fmt.Println(loadtest.SLO{}.Judge(result))
	// Output:
	// INVALID
	//   cause       in flight in 6 of 6 seconds: MaxInFlight 40 was reached; raise MaxInFlight
	//   dropped     observed 50 % (1,200 of 2,400), wanted at most 0 % (set SLO.MaxDroppedRate to allow some: 0 allows none)
	//   achieved    observed 50 % of the arrivals, wanted at least 99 %
}

// A run that cannot meet its objectives any more is not waited for.
func ExampleAbortConfig() {
	engine, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Schedule: pace.Constant(100).Until(10 * time.Second),
		Abort:    &loadtest.AbortConfig{SLO: loadtest.SLO{MaxErrorRate: 0.01}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.For(time.Minute, loadtest.Call("query", func(context.Context) error {
		return errors.New("no such table")
	})))
	var aborted *loadtest.AbortError
	if errors.As(err, &aborted) {
		fmt.Println(aborted.Objective, result.Elapsed < 10*time.Second)
	}
	// Output: error rate true
}

func ExampleStart() {
	var sent int64
	// In a test file: func TestHello(t *testing.T).
	test := func(b *testing.B) {
		engine := loadtest.Start(b, loadtest.AsyncConfig{ // closed when the test ends
			MaxConcurrent: 10,
			Client:        loadtest.Func(func(context.Context) error { return nil }),
		})
		result, err := engine.Run(b.Context(), loadtest.Times(100))
		if err != nil {
			b.Fatal(err)
		}
		sent = result.Requests
	}
	testing.Benchmark(test)
	fmt.Println(sent)
	// Output: 100
}

func ExampleWire() {
	srv := httptest.NewServer(hello)
	defer srv.Close()

	engine, err := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{
		MaxWorkers: 20,
		Client:     loadtest.Wire(loadtest.ConnectionConfig{}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(1000, loadtest.Get(srv.URL)))
	fmt.Println(result.SuccessCount, "ok over", result.ConnectionsOpened, "connections,", err)

	_, err = loadtest.NewThreadedEngine(loadtest.ThreadedConfig{
		Client: loadtest.Wire(loadtest.ConnectionConfig{MaxRedirects: 3}),
	})
	fmt.Println(err)
	// Output:
	// 1000 ok over 20 connections, <nil>
	// loadtest: bad configuration: Wire has no MaxRedirects: use NetHTTP
}

func ExampleStats_ServerQuantile() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/search" {
			w.Header().Set("Server-Timing", `db;dur=53.2;desc="two queries", total;dur=61.7`)
		}
		fmt.Fprint(w, "hello")
	}))
	defer srv.Close()

	req := loadtest.Get(srv.URL + "/search")
	req.ServerTime = &loadtest.ServerTime{} // total, as Server-Timing says
	db := loadtest.Get(srv.URL + "/search")
	db.Name, db.ServerTime = "database", &loadtest.ServerTime{Metric: "db"}
	silent := loadtest.Get(srv.URL)
	silent.ServerTime = &loadtest.ServerTime{Header: "X-Runtime", Unit: time.Second}

	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(30, req, db, silent))
	fmt.Println(result.ServerQuantile(1), result.Endpoints["database"].ServerQuantile(1), err)
	reported, missing := result.ServerTimes()
	fmt.Println(reported, "reported,", missing, "not")
	// Output:
	// 61.7ms 53.2ms <nil>
	// 20 reported, 10 not
}

func ExampleStats_PhaseQuantile() {
	srv := httptest.NewServer(hello)
	defer srv.Close()

	engine, err := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{
		MaxWorkers: 2,
		Conn:       loadtest.ConnectionConfig{Phases: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(100, loadtest.Get(srv.URL)))
	for _, p := range []loadtest.Phase{loadtest.PhaseConnect, loadtest.PhaseTLS, loadtest.PhaseHeaders, loadtest.PhaseBody} {
		fmt.Println(result.PhaseCount(p), p, result.PhaseQuantile(p, 0.99) <= result.Quantile(1))
	}
	fmt.Println(err)
	// Output:
	// 2 connecting true
	// 0 in the TLS handshake true
	// 100 waiting for the response headers true
	// 100 reading the response body true
	// <nil>
}

// A function says itself what its time was spent on.
func ExampleCountPhase() {
	query := func(ctx context.Context) error {
		loadtest.CountPhase(ctx, loadtest.PhasePool, 2*time.Millisecond)    // what the driver says
		loadtest.CountPhase(ctx, loadtest.PhaseHeaders, 5*time.Millisecond) // until the first row
		return nil
	}
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(10, loadtest.Call("query", query)))
	fmt.Println(result.Endpoints["query"].PhaseQuantile(loadtest.PhasePool, 0.5), err)
	// Output: 2ms <nil>
}

func ExampleEngineResult_HeapGrowth() {
	result := &loadtest.EngineResult{}
	for i := range 60 {
		from := time.Duration(i) * time.Second
		result.Intervals = append(result.Intervals, loadtest.Interval{From: from, To: from + time.Second, HeapBytes: 10 << 20})
	}
	fmt.Printf("%.0f %%\n", 100*result.HeapGrowth(10*time.Second))
	// Output: 0 %
}

func ExampleInterval_RPS() {
	fmt.Println(loadtest.Interval{From: time.Second, To: 3 * time.Second, Counts: loadtest.Counts{Requests: 500}}.RPS())
	// Output: 250
}

func ExampleProgress() {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{
		Client: loadtest.Func(func(context.Context) error { return nil }),
		OnProgress: func(p loadtest.Progress) {
			if p.Done {
				fmt.Println(p.Ended(), "of", p.Size)
			}
		},
	})
	defer engine.Close(context.Background())
	_, _ = engine.Run(context.Background(), loadtest.Times(100))
	// Output: 100 of 100
}

// Of two users one sent three requests, and for the other the generator was late.
func ExampleCounts_Ended() {
	c := loadtest.Counts{Requests: 3, UserRequests: 3, Users: 1, Missed: 1}
	fmt.Println(c.Ended())
	// Output: 2
}

// Of two processes side by side what they sent adds up, and what was slowest counts.
func ExampleInterval_Join() {
	a := loadtest.Interval{To: time.Second, Counts: loadtest.Counts{Requests: 900}, P99: 20 * time.Millisecond, InFlight: 5}
	b := loadtest.Interval{From: 200 * time.Millisecond, To: 1200 * time.Millisecond, Counts: loadtest.Counts{Requests: 300}, P99: 30 * time.Millisecond, InFlight: 2}
	both := a.Join(b)
	fmt.Println(both.To, both.Requests, both.P99, both.InFlight)
	// Output: 1.2s 1200 30ms 7
}
