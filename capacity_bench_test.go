package brunt_test

import (
	"os"
	"testing"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
)

// BenchmarkCapacity searches for the highest rate at which a server meets an objective,
// which takes up to 40 s: of BRUNT_TARGET, or of one of brunt's with four workers of 8 ms.
// Its setting, without which it is skipped:
//
//	BRUNT_P99  what the 99th percentile of the response time must stay within
func BenchmarkCapacity(b *testing.B) {
	if os.Getenv("BRUNT_P99") == "" {
		b.Skip("takes up to 40 s; make benchmark-capacity sets BRUNT_P99")
	}
	fixtures.NoLeaks(b)
	req := loadtest.Get(os.Getenv("BRUNT_TARGET"))
	if req.URL == "" {
		service, err := fixtures.NewService(fixtures.ServiceConfig{Workers: 4, ServiceTime: fixtures.Constant(8 * time.Millisecond), Queue: 200})
		if err != nil {
			b.Fatal(err)
		}
		defer service.Close()
		req.URL = fixtures.NewServer(b, fixtures.WithHandler("/service", service)).URL + "/service"
	}
	capacity.Bench(b, capacity.Options{SLO: loadtest.SLO{P99: setting(b, "BRUNT_P99", 0)}}, req)
}
