package capacity

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

// searchInShards makes a search in n shards that begin at once, each with options as change
// has left them.
func searchInShards(t *testing.T, o Options, n int, change func(i int, c *shards.Config, o *Options)) (results []Result, errs []error) {
	t.Helper()
	results, errs = make([]Result, n), make([]error, n)
	var all sync.WaitGroup
	c := shards.Config{Name: "r", Start: time.Now().Add(time.Second).Round(0), Dir: t.TempDir()}
	for i := range n {
		c, o := c, o
		c.Shard = loadtest.Shard{Index: i, Count: n}
		if change != nil {
			change(i, &c, &o)
		}
		o.Sharded = true
		o.process = &c
		all.Go(func() { results[i], errs[i] = Search(t.Context(), o) })
	}
	all.Wait()
	return results, errs
}

// Shards find what one process finds: shard 0 decides, and the others send their parts of
// what it has decided.
func TestShardsSearchTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, each, limit = 10, 20 * time.Millisecond, 50 * time.Millisecond
		o := function(service(workers, each), limit)
		alone, err := Search(t.Context(), o)
		require.NoError(t, err, alone)

		results, errs := searchInShards(t, function(service(workers, each), limit), 3, nil)
		for i, r := range results {
			require.NoError(t, errs[i])
			require.Equal(t, i > 0, r.follower)
			r.follower = false
			if i > 0 {
				require.InDelta(t, results[0].Capacity, r.Capacity, 0, "what shard 0 has found")
				require.Len(t, r.Trials, len(results[0].Trials))
			}
		}
		r := results[0]
		requireByDefinition(t, o.config(), r)
		require.InDelta(t, alone.Lower, r.Lower, 0)
		require.InDelta(t, alone.Upper, r.Upper, 0)
		require.InDelta(t, alone.Capacity, r.Capacity, 0.001*alone.Capacity)
		require.Len(t, r.Trials, len(alone.Trials))
	})
}

// A shard that is late for a trial has it made again, with more time before it.
func TestATrialIsRepeatedForALateShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := function(service(10, 10*time.Millisecond), 50*time.Millisecond)
		alone, err := Search(t.Context(), o)
		require.NoError(t, err, alone)
		var schedules [3]int // each may be another, as pace.Poisson with a seed that counts
		results, errs := searchInShards(t, o, 3, func(i int, c *shards.Config, o *Options) {
			o.Arrivals = func(rate float64) pace.Schedule {
				schedules[i]++
				return pace.Constant(rate)
			}
			if i == 1 { // it looks for orders in a directory where they appear late
				c.Dir = slowCopy(t, c.Dir, 400*time.Millisecond)
			}
		})
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.InDelta(t, results[0].Capacity, results[1].Capacity, 0)
		require.Equal(t, len(results[0].Trials), schedules[0])
		require.Equal(t, schedules[0], schedules[1])
		require.Equal(t, schedules[0], schedules[2], "the same order has the same schedule when it comes again")
		require.InDelta(t, alone.Upper, results[0].Upper, 0)
	})
}

// slowCopy returns a directory into which what is in from comes after a while, and from
// which what is written into it comes at once.
func slowCopy(t *testing.T, from string, after time.Duration) string {
	t.Helper()
	dir := t.TempDir()
	stop := make(chan struct{})
	var copying sync.WaitGroup
	t.Cleanup(func() { close(stop); copying.Wait() })
	copying.Go(func() { // ends with the test
		seen := make(map[string]time.Time)
		for {
			for _, way := range []struct {
				from, to, pattern string
				after             time.Duration
			}{{from, dir, "order-*.json", after}, {dir, from, "result-*.json", 0}} {
				paths, _ := filepath.Glob(filepath.Join(way.from, "*.orders", way.pattern))
				for _, path := range paths {
					if seen[path].IsZero() {
						seen[path] = time.Now().Add(way.after)
					}
					rel, _ := filepath.Rel(way.from, path)
					to := filepath.Join(way.to, rel)
					if _, err := os.Stat(to); err == nil || time.Now().Before(seen[path]) {
						continue
					}
					text, err := os.ReadFile(path)
					if err == nil {
						_ = os.MkdirAll(filepath.Dir(to), 0o777)
						_ = os.WriteFile(to+".tmp", text, 0o600)
						_ = os.Rename(to+".tmp", to)
					}
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return dir
}

// Whatever ends a shard, the others end too, and say which it was.
func TestAShardThatEndsEndsTheSearch(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(i int, c *shards.Config, o *Options)
		want   [2]string
	}{
		"a follower that is gone": {
			func(i int, c *shards.Config, _ *Options) {
				if i == 1 {
					c.Shard = loadtest.Shard{Index: 0, Count: 1} // it searches alone
				}
			}, [2]string{"shard 1 has not reported within 1m0s after shard 0", ""},
		},
		"a service that meets nothing": {
			func(i int, _ *shards.Config, o *Options) {
				if i == 0 {
					o.Engine.Client = loadtest.Func(func(context.Context) error { return errPlanted })
				}
			}, [2]string{"one request at a time", "shard 0: "},
		},
		"a shard that is late at the beginning": {
			func(_ int, c *shards.Config, _ *Options) { c.Start = c.Start.Add(-time.Minute) },
			[2]string{"INVALID: shard 0/2 was ready 59s after the start", "INVALID: shard 1/2 was ready 59s after the start"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := function(service(10, 10*time.Millisecond), 50*time.Millisecond)
				_, errs := searchInShards(t, o, 2, tt.change)
				for i, want := range tt.want {
					if want == "" {
						require.NoError(t, errs[i])
						continue
					}
					require.ErrorContains(t, errs[i], want)
				}
			})
		})
	}
}
