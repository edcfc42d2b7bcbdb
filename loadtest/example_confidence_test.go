package loadtest_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/brunt/loadtest"
)

func ExampleEngineResult_ConfidenceInterval() {
	engine, _ := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{
		Client: loadtest.Func(func(context.Context) error { return nil }),
	})
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(1000)) // For(10*time.Second) would do

	lo, hi, err := result.ConfidenceInterval(0.99)
	if errors.Is(err, loadtest.ErrNoInterval) {
		fmt.Println(err)
		return
	}
	fmt.Println("p99 is between", lo, "and", hi)
	// Output: loadtest: no confidence interval of p99: parts of the run with requests: 1, needed: 5; run for longer
}
