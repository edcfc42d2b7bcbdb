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
