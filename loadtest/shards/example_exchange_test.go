package shards_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/shards"
)

func ExampleFromEnv() {
	for name, value := range map[string]string{
		"BRUNT_SHARD": "1/4", "BRUNT_RUN": "nightly-7", "BRUNT_START": "1795723200", "BRUNT_RESULTS": "results",
	} {
		defer os.Unsetenv(name)
		os.Setenv(name, value)
	}
	c, err := shards.FromEnv()
	fmt.Println(c.Shard, c.Name, c.Start.UTC(), c.Dir, err)
	// Output: 1/4 nightly-7 2026-11-26 20:00:00 +0000 UTC results <nil>
}

// Two shards send four requests together, when shard 0 says so. In processes of their own
// they would each have their Config from FromEnv.
func ExampleConfig_Exchange() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	shard := func(i int) (*shards.Exchange, func(context.Context) (*loadtest.EngineResult, error)) {
		c := shards.Config{Shard: loadtest.Shard{Index: i, Count: 2}, Name: "r", Start: time.Now().Add(time.Second), Dir: dir}
		x, err := c.Exchange(context.Background(), "TestShop")
		if err != nil {
			fmt.Println(err)
		}
		return x, func(ctx context.Context) (*loadtest.EngineResult, error) {
			e, err := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
			if err != nil {
				return nil, err
			}
			defer e.Close(ctx)
			return e.Run(ctx, loadtest.Times(4).Shard(i, 2))
		}
	}
	var other sync.WaitGroup
	other.Go(func() {
		x, run := shard(1)
		var order, outcome string
		for more := true; more; {
			var err error
			if more, err = x.Follow(context.Background(), &order, &outcome, run); err != nil {
				fmt.Println(err)
			}
		}
		fmt.Println(order, outcome)
	})
	x, run := shard(0)
	r, err := x.Lead(context.Background(), "four requests", run)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := x.End("sent", nil); err != nil {
		fmt.Println(err)
	}
	other.Wait()
	fmt.Println(r.Requests)
	// Output:
	// four requests sent
	// 4
}
