package loadtest

import (
	"context"
	"testing"
	"time"
)

// closePatience is how long Start's cleanup lets requests in flight go on.
const closePatience = 5 * time.Second

// Start makes an engine and closes it when the test or benchmark ends. A bad
// configuration ends the test. So does, as a failure, a Close that cannot prove
// that every goroutine and connection of the engine is gone.
func Start(tb testing.TB, cfg EngineConfig) Engine {
	tb.Helper()
	if cfg == nil {
		tb.Fatal("loadtest: Start without a configuration")
	}
	e, err := cfg.New()
	if err != nil {
		tb.Fatalf("loadtest: Start: %v", err)
	}
	tb.Cleanup(func() {
		// tb.Context is cancelled before cleanups run.
		ctx, cancel := context.WithTimeout(context.Background(), closePatience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Errorf("loadtest: closing the engine: %v", err)
		}
	})
	return e
}
