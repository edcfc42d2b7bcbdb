package loadtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// arriving is an engine that sends requests which do nothing, when schedule says.
func arriving(schedule pace.Schedule) *loadtest.ArrivalEngine {
	engine, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Schedule:   schedule,
		MaxCatchUp: time.Minute, // so that a busy machine sends late rather than not at all
		Client:     loadtest.Func(func(context.Context) error { return nil }),
	})
	if err != nil {
		panic(err)
	}
	return engine
}

// Fifty requests come due, however long each takes.
func ExampleNewArrivalEngine() {
	engine, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Schedule:   pace.Constant(1000).Until(50 * time.Millisecond),
		MaxCatchUp: time.Minute,
		Client: loadtest.Func(func(context.Context) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(1000, &loadtest.Request{Name: "home"}))
	fmt.Println(result.Engine, result.Schedule)
	fmt.Println(result.Scheduled, "due,", result.Requests, "sent,", err)
	fmt.Println(result.P99() >= 20*time.Millisecond, result.Elapsed >= 50*time.Millisecond)
	// Output:
	// arrival 1000/s for 50ms
	// 50 due, 50 sent, <nil>
	// true true
}

// In a test, Start closes the engine when the test ends.
func ExampleStart_openLoop() {
	var result *loadtest.EngineResult
	// In a test file: func TestHello(t *testing.T).
	test := func(b *testing.B) {
		engine := loadtest.Start(b, loadtest.ArrivalConfig{
			Schedule:   pace.Constant(2000).Until(20 * time.Millisecond),
			MaxCatchUp: time.Minute,
			Client:     loadtest.Func(func(context.Context) error { return nil }),
		})
		var err error
		if result, err = engine.Run(b.Context(), loadtest.Times(1000)); err != nil {
			b.Fatal(err)
		}
	}
	testing.Benchmark(test)
	fmt.Println(result.Scheduled, result.SuccessCount)
	// Output: 40 40
}

// A service that takes two requests at once, and ten that come at the same time: those
// for which there is no room are dropped, and show that the service was too slow.
func ExampleArrivalConfig_maxInFlight() {
	engine, _ := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Schedule:    pace.Burst(10, time.Second).Take(10),
		MaxInFlight: 2,
		MaxCatchUp:  time.Minute,
		Client: loadtest.Func(func(context.Context) error {
			time.Sleep(300 * time.Millisecond)
			return nil
		}),
	})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(10))
	fmt.Println(result.Scheduled, "due:", result.Requests, "sent,", result.Dropped, "dropped,", result.Missed, "missed")
	fmt.Println(result.PeakInFlight, "in flight at most")
	// Output:
	// 10 due: 2 sent, 8 dropped, 0 missed
	// 2 in flight at most
}

// The same connections serve runs at several rates.
func ExampleArrivalEngine_RunSchedule() {
	engine := arriving(pace.Constant(1).Take(1))
	defer engine.Close(context.Background())
	for _, rate := range []float64{100, 200, 400} {
		result, err := engine.RunSchedule(context.Background(), pace.Constant(rate).Until(20*time.Millisecond), 0, loadtest.Cycle())
		fmt.Println(result.Schedule, "sent", result.Requests, err)
	}
	// Output:
	// 100/s for 20ms sent 2 <nil>
	// 200/s for 20ms sent 4 <nil>
	// 400/s for 20ms sent 8 <nil>
}

func ExampleArrivalConfig_Validate() {
	err := loadtest.ArrivalConfig{Schedule: pace.Constant(-5), MaxCatchUp: -time.Second}.Validate()
	fmt.Println(errors.Is(err, loadtest.ErrConfig), errors.Is(err, pace.ErrSchedule))
	fmt.Println(err)
	fmt.Println(loadtest.ArrivalConfig{}.Validate())
	// Output:
	// true true
	// loadtest: bad configuration: Schedule: pace: bad schedule: Constant: rate is -5/s: must be from 0 to 1e+09/s
	// loadtest: bad configuration: MaxCatchUp is -1s: must be 0 for the default, or positive
	// loadtest: bad configuration: Schedule has no arrivals: it is "none"; set it, for example to pace.Constant(100).Until(time.Minute)
}

func ExampleArrivalConfig_New() {
	engine, err := loadtest.ArrivalConfig{Schedule: pace.Constant(1000).Take(3)}.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(3, loadtest.Call("ping", func(context.Context) error { return nil })))
	fmt.Println(result.Endpoints["ping"].Requests, err)
	// Output: 3 <nil>
}

// waited is a request that was sent 30 ms after it was due and then took 5 ms.
var waited = loadtest.RequestResult{
	Name: "home", StatusCode: 200, Attempt: 1,
	Timestamp: time.Date(2026, 1, 2, 15, 0, 0, 30e6, time.UTC), Latency: 5 * time.Millisecond, Lag: 30 * time.Millisecond,
}

func ExampleRequestResult_Intended() {
	fmt.Println("due  ", waited.Intended().Format("15:04:05.000"))
	fmt.Println("began", waited.Timestamp.Format("15:04:05.000"))
	// Output:
	// due   15:00:00.000
	// began 15:00:00.030
}

func ExampleRequestResult_Ended() {
	fmt.Println(waited.Ended().Format("15:04:05.000"))
	// Output: 15:00:00.035
}

func ExampleRequestResult_ResponseTime() {
	fmt.Println(waited.ResponseTime(), "=", waited.Lag, "+", waited.Latency)
	// Output: 35ms = 30ms + 5ms
}

// outcomes yields a hundred of r.
func outcomes(r loadtest.RequestResult) func(func(loadtest.RequestResult, error) bool) {
	return func(yield func(loadtest.RequestResult, error) bool) {
		for range 100 {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func ExampleStats_ServiceQuantile() {
	result, _ := loadtest.Collect(outcomes(waited))
	fmt.Println("response", result.P99().Round(time.Millisecond))
	fmt.Println("service ", result.ServiceQuantile(0.99).Round(time.Millisecond))
	// Output:
	// response 35ms
	// service  5ms
}

// By name, too.
func ExampleStats_LagQuantile() {
	result, _ := loadtest.Collect(outcomes(waited))
	fmt.Println(result.LagQuantile(0.5).Round(time.Millisecond), result.Endpoints["home"].LagQuantile(1))
	// Output: 30ms 30ms
}

func ExampleStream_openLoop() {
	engine := arriving(pace.Constant(1000).Take(20))
	defer engine.Close(context.Background())
	n := 0
	for r, err := range loadtest.Stream(context.Background(), engine, loadtest.Times(1000, &loadtest.Request{Name: "home"})) {
		if err != nil || r.Lag < 0 || r.ResponseTime() != r.Ended().Sub(r.Intended()) {
			fmt.Println(r, err)
			break
		}
		n++
	}
	fmt.Println(n, "of 20")
	// Output: 20 of 20
}

// The records hold the lag of each request, and so give the response times back.
func ExampleRecord_openLoop() {
	var file bytes.Buffer
	sink, _ := loadtest.NewSink(loadtest.NewJSONL(&file), loadtest.SinkConfig{})
	engine := arriving(pace.Constant(1000).Take(100))
	defer engine.Close(context.Background())
	live, err := loadtest.Record(context.Background(), engine, loadtest.Times(1000), sink)
	fmt.Println(live.Scheduled, live.Sink.Written, err, sink.Close(context.Background()))

	read, err := loadtest.ReadJSONL(&file)
	fmt.Println(read.P99() == live.P99(), read.ServiceQuantile(0.99) == live.ServiceQuantile(0.99), read.LagQuantile(0.99) == live.LagQuantile(0.99), err)
	// Output:
	// 100 100 <nil> <nil>
	// true true true <nil>
}

// All of an open loop in one line of a test.
func ExamplePace() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var result *loadtest.EngineResult
	// In a test file: func TestHello(t *testing.T).
	test := func(b *testing.B) {
		result = loadtest.Pace(b, "1000/s for 20ms", loadtest.Get(server.URL))
	}
	testing.Benchmark(test)
	fmt.Println(result.Schedule, result.StatusCodes)
	// Output: 1000/s for 20ms map[404:20]
}

// The schedule ends the run, not the source.
func ExampleCycle() {
	engine := arriving(pace.Constant(1000).Take(5))
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Cycle(&loadtest.Request{Name: "a"}, &loadtest.Request{Name: "b"}))
	fmt.Println(result.Endpoints["a"].Requests, result.Endpoints["b"].Requests, err)
	// Output: 3 2 <nil>
}

// With the metrics of the whole run those of each name.
func ExampleReportEndpoints() {
	bench := func(b *testing.B) {
		engine := loadtest.Start(b, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
		loadtest.ReportEndpoints(b, loadtest.Bench(b, engine, &loadtest.Request{Name: "home"}, &loadtest.Request{Name: "cart"}))
	}
	metrics := testing.Benchmark(bench).Extra
	fmt.Println(metrics["home-p50-ns"] > 0, metrics["cart-p99-ns"] > 0, metrics["cart-err/op"])
	// Output: true true 0
}
