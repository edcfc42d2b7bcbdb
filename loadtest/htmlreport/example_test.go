package htmlreport_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
	"example.com/brunt/loadtest/htmlreport"
)

func run(cfg loadtest.EngineConfig) *loadtest.EngineResult {
	engine, err := cfg.New()
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(1000))
	if err != nil {
		panic(err)
	}
	return result
}

var client = loadtest.Func(func(context.Context) error { return nil })

func ExampleWrite() {
	result := run(loadtest.AsyncConfig{MaxConcurrent: 4, Client: client})
	var page strings.Builder
	err := htmlreport.Write(&page, htmlreport.Options{Title: "Checkout"}, result)
	fmt.Println(err, strings.Contains(page.String(), "<title>Checkout</title>"))
	// Output: <nil> true
}

// Engine against engine, on one page.
func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	options := htmlreport.Options{
		Names:       []string{"async", "threaded"},
		Environment: append(htmlreport.Environment(), htmlreport.Fact{Name: "Service", Value: "v1.4.2"}),
	}
	path := filepath.Join(dir, "report.html")
	err = htmlreport.WriteFile(path, options,
		run(loadtest.AsyncConfig{MaxConcurrent: 4, Client: client}),
		run(loadtest.ThreadedConfig{MaxWorkers: 4, Client: client}))
	page, _ := os.ReadFile(path)
	fmt.Println(err, strings.Contains(string(page), "2 results: async, threaded"))
	// Output: <nil> true
}

// The page shows the verdict, and every objective, first.
func ExampleOptions_slo() {
	result := run(loadtest.AsyncConfig{MaxConcurrent: 4, Client: client})
	var page strings.Builder
	err := htmlreport.Write(&page, htmlreport.Options{SLO: &loadtest.SLO{P99: time.Second}}, result)
	fmt.Println(err, strings.Contains(page.String(), `data-verdict="PASS"`))
	// Output: <nil> true
}

func ExampleAttach() {
	// In a test or benchmark; go test -artifacts keeps the page.
	_ = func(b *testing.B) {
		engine := loadtest.Start(b, loadtest.AsyncConfig{MaxConcurrent: 4, Client: client})
		result := loadtest.Bench(b, engine)
		htmlreport.Attach(b, htmlreport.Options{}, result)
	}
	fmt.Println("report.html")
	// Output: report.html
}

func ExampleOptions_Validate() {
	fmt.Println(htmlreport.Options{Names: []string{"a", "a"}}.Validate())
	// Output: htmlreport: bad options: Names[1] is "a": must be unlike the others
}

func ExampleEnvironment() {
	fmt.Println(htmlreport.Environment()[0].Name)
	// Output: Go
}

// search looks for the capacity of something that takes 1,000 a second and loses the rest.
func search() capacity.Result {
	s, err := capacity.New(capacity.Config{Goals: []capacity.Goal{{Name: "loss ≤ 1 %", LossRatio: 0.01}}, Guess: 3000})
	if err != nil {
		panic(err)
	}
	for {
		rate, d, ok := s.Next()
		if !ok {
			return s.Result()
		}
		s.Observe(capacity.Trial{Rate: rate, Duration: d, Losses: []float64{max(0, 1-1000/rate)}})
	}
}

func ExampleWriteCapacity() {
	result := search() // or capacity.Search, or capacity.Bench
	var page strings.Builder
	err := htmlreport.WriteCapacity(&page, htmlreport.Options{Title: "Checkout"}, result)
	fmt.Printf("%v, %.0f/s, %v\n", err, result.Capacity, strings.Contains(page.String(), `data-verdict="1,000/s"`))
	// Output: <nil>, 1000/s, true
}

// A search without a capacity has a page that says why.
func ExampleWriteCapacityFile() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "capacity.html")
	result := capacity.Result{End: &capacity.EndError{Reason: capacity.ErrMinRate, Detail: "connection refused"}}
	err = htmlreport.WriteCapacityFile(path, htmlreport.Options{}, result)
	page, _ := os.ReadFile(path)
	fmt.Println(err, strings.Contains(string(page), "even the least rate fails: connection refused"))
	// Output: <nil> true
}

func ExampleAttachCapacity() {
	// In a test; go test -artifacts keeps the page.
	_ = func(t *testing.T) {
		result, err := capacity.Search(t.Context(), capacity.Options{SLO: loadtest.SLO{P99: 50 * time.Millisecond}}, loadtest.Get(os.Getenv("TARGET")))
		htmlreport.AttachCapacity(t, htmlreport.Options{}, result)
		if err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("report.html")
	// Output: report.html
}

// Package live serves such pages; this is what it makes each of.
func ExampleLive_Page() {
	page, err := inProgress.Page()
	fmt.Println(err, strings.Contains(string(page), "Checkout"), strings.Contains(string(page), "EventSource"))
	// Output: <nil> true true
}

func ExampleLive_Event() {
	event, err := inProgress.Event()
	fmt.Println(err, strings.HasPrefix(string(event), `{"main":"`), strings.Count(string(event), "\n"))
	// Output: <nil> true 0
}

var inProgress = htmlreport.Live{
	Title: "Checkout", State: "running: 1s of 1h0m0s",
	Result: &loadtest.EngineResult{Engine: "async", Intervals: []loadtest.Interval{{To: time.Second, Counts: loadtest.Counts{Requests: 950}}}},
}
