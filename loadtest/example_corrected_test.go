package loadtest_test

import (
	"context"
	"fmt"
	"time"

	"example.com/brunt/loadtest"
)

// A worker that was meant to send a request every 10 ms sent none while the server stood
// still for a second.
func ExampleStats_Corrected() {
	n := 0
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
		if n++; n == 50 {
			time.Sleep(time.Second)
		}
		return nil
	})})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(900))

	estimate := result.Corrected(10 * time.Millisecond)
	fmt.Println("measured: p99 below 100ms is", result.P99() < 100*time.Millisecond)
	fmt.Println("estimate: p99 is about", estimate.Quantile(0.99).Round(100*time.Millisecond), "with at least 90 requests added:", estimate.Added() >= 90)
	// Output:
	// measured: p99 below 100ms is true
	// estimate: p99 is about 900ms with at least 90 requests added: true
}
