// Package load is the load test that the shards run.
package load

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

var target = flag.String("target", "", "the `URL` of the server")

// TestLoad is few requests, and they may be late: nothing is measured here, and a machine
// that is busy with other things must not make a shard INVALID.
func TestLoad(t *testing.T) {
	shards.Run(t, loadtest.ArrivalConfig{
		Schedule:   pace.Constant(60).Until(2 * time.Second),
		MaxCatchUp: time.Minute,
		Timeout:    time.Minute,
	}, loadtest.Pick(func(i int64) *loadtest.Request {
		return &loadtest.Request{Name: "item", URL: fmt.Sprintf("%s/item?n=%d", *target, i), Check: func(r loadtest.Response) error {
			if string(r.Body) == "crash" {
				os.Exit(7)
			}
			return nil
		}}
	}), loadtest.SLO{MaxErrorRate: 0})
}
