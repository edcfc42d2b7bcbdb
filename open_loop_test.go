package brunt_test

import (
	"testing"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// BenchmarkOpenLoop sends at a rate, once, whatever b.N is. Its settings:
//
//	BRUNT_RATE      requests per second (default 1000)
//	BRUNT_DURATION  for how long (default 2s)
func BenchmarkOpenLoop(b *testing.B) {
	schedule := pace.Constant(float64(number(b, "BRUNT_RATE", 1000))).Until(setting(b, "BRUNT_DURATION", 2*time.Second))
	for _, c := range clients {
		var result *loadtest.EngineResult
		b.Run("client="+c.name, func(b *testing.B) {
			if b.N == 1 || result == nil { // otherwise the measurement is done: b.N is not its size
				result = openLoop(b, schedule, c.open(loadtest.ConnectionConfig{}))
			}
			report(b, result)
		})
	}
}

func openLoop(b *testing.B, schedule pace.Schedule, client loadtest.Client) *loadtest.EngineResult {
	b.Helper()
	fixtures.NoLeaks(b)
	req := target(b)
	e := loadtest.Start(b, loadtest.ArrivalConfig{Schedule: schedule, Client: client})
	b.ResetTimer()
	r, err := e.Run(b.Context(), loadtest.Cycle(req))
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%v", r)
	return r
}
