package loadtest_test

import (
	"context"
	"fmt"
	"os"

	"example.com/brunt/loadtest"
)

// Each of three processes sends its part of ten requests.
func ExampleSource_Shard() {
	source := loadtest.Take(10, loadtest.Pick(func(i int64) *loadtest.Request {
		return loadtest.Call("", func(context.Context) error { fmt.Print(i, " "); return nil })
	}))
	for shard := range 3 {
		e, err := loadtest.NewSyncEngine(loadtest.SyncConfig{})
		if err != nil {
			fmt.Println(err)
			return
		}
		r, err := e.Run(context.Background(), source.Shard(shard, 3))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("are", r.Requests)
		_ = e.Close(context.Background())
	}
	// Output:
	// 0 3 6 9 are 4
	// 1 4 7 are 3
	// 2 5 8 are 3
}

func ExampleShardFromEnv() {
	defer os.Unsetenv("BRUNT_SHARD")
	os.Setenv("BRUNT_SHARD", "2/4")
	shard, err := loadtest.ShardFromEnv()
	fmt.Println(shard.Index, "of", shard.Count, err)
	// Output: 2 of 4 <nil>
}

func ExampleWriteBenchmark() {
	r := new(loadtest.EngineResult)
	if err := loadtest.WriteBenchmark(os.Stdout, "BenchmarkShop/pool=naive", r); err != nil {
		fmt.Println(err)
	}
	err := loadtest.WriteBenchmark(os.Stdout, "Shop", r)
	fmt.Println(err)
	// Output:
	// Unit req/s better=higher
	// Unit p50-ns better=lower
	// Unit p95-ns better=lower
	// Unit p99-ns better=lower
	// Unit err/op better=lower
	// Unit peak-B better=lower
	// Unit missed/op better=lower
	// Unit dropped/op better=lower
	// Unit lag-p99-ns better=lower
	// BenchmarkShop/pool=naive	1	0 ns/op	0 req/s	0 err/op	0 peak-B
	// loadtest: "Shop" is no name of a benchmark: must begin with Benchmark and hold no white space
}
