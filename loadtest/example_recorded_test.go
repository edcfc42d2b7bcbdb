package loadtest_test

import (
	"context"
	"fmt"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// What was recorded is sent once, each request at its own instant. Package replay does so
// with access logs.
func ExampleRecorded() {
	recorded := loadtest.Recorded(func(yield func(*loadtest.Request, error) bool) {
		for _, name := range []string{"login", "search", "buy"} {
			if !yield(loadtest.Call(name, func(context.Context) error { fmt.Println(name); return nil }), nil) {
				return
			}
		}
	})
	e, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{Schedule: pace.Recorded(0, 5e6, 20e6)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = e.Close(context.Background()) }()
	r, err := e.Run(context.Background(), recorded)
	fmt.Println(r.Requests, err)
	// Output:
	// login
	// search
	// buy
	// 3 <nil>
}
