package shards_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

// The same test runs as one process, or as many, whoever starts them.
func ExampleRun() {
	testCheckout := func(tb testing.TB) {
		tb.Helper()
		shards.Run(tb,
			loadtest.ArrivalConfig{Schedule: pace.Poisson(20_000, 1).Until(time.Minute)},
			loadtest.Cycle(loadtest.Get("http://shop.test/checkout")),
			loadtest.SLO{P99: 50 * time.Millisecond})
	}
	_ = testCheckout
	fmt.Println("run it with BRUNT_SHARD=0/4, 1/4, 2/4 and 3/4, or under a scheduler")
	// Output: run it with BRUNT_SHARD=0/4, 1/4, 2/4 and 3/4, or under a scheduler
}

// Two results, here of two shards that sent three and two of five requests, are one.
func ExampleMerge() {
	var files []*shards.File
	for i := range 2 {
		e, err := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
		if err != nil {
			fmt.Println(err)
			return
		}
		r, err := e.Run(context.Background(), loadtest.Times(5).Shard(i, 2))
		if err != nil {
			fmt.Println(err)
			return
		}
		files = append(files, &shards.File{Run: "r", Name: "TestShop", Shard: i, Shards: 2, Result: r})
		_ = e.Close(context.Background())
	}
	_, err := shards.Merge(files[:1])
	fmt.Println(err)
	merged, err := shards.Merge(files)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(merged[0].Name, merged[0].Result.Requests, merged[0].Verdict)
	// Output:
	// TestShop, run r: of 2 shards, 1 wrote no result: 1
	// TestShop 5 PASS
}

func ExampleRead() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "nightly.TestShop.0-of-2.json"), []byte(`{"brunt_sha`), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	files, err := shards.Read(dir, "nightly")
	var fault *shards.FileError
	if errors.As(err, &fault) {
		fmt.Println(len(files), filepath.Base(fault.Path), fault.Err)
	}
	// Output: 0 nightly.TestShop.0-of-2.json truncated after 11 bytes: unexpected end of JSON input
}

// What else a shard writes lies beside its result, with a name of the same kind.
func ExampleConfig_FileName() {
	c := shards.Config{Name: "nightly", Shard: loadtest.Shard{Index: 2, Count: 4}}
	fmt.Println(c.FileName("TestShop/at noon", ".pprof"))
	// Output: nightly.TestShop-at-noon.2-of-4.pprof
}
