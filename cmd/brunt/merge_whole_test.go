package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

// Of four shards one is not as it has to be. It is named, the exit code is 2, and nothing is
// written, neither to standard output nor to a file.
func TestMergeNamesTheShardThatIsNotRight(t *testing.T) {
	edit := func(t *testing.T, dir, from, to string) {
		t.Helper()
		path := filepath.Join(dir, "r.TestLoad.2-of-4.json")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		edited := strings.Replace(string(text), from, to, 1)
		require.NotEqual(t, string(text), edited)
		require.NoError(t, os.WriteFile(path, []byte(edited), 0o600))
	}
	for name, tt := range map[string]struct {
		late   time.Duration                        // until shard 2 is ready
		differ func(*loadtest.ArrivalConfig)        // what is other about it
		after  func(t *testing.T, dir, path string) // what happens to its file
		want   string                               // of standard error, a pattern; "" is a whole run
	}{
		"none": {},
		"killed": {
			after: func(t *testing.T, _, path string) { t.Helper(); require.NoError(t, os.Remove(path)) },
			want:  `^brunt: TestLoad, run r: of 4 shards, 1 wrote no result: 2\n$`,
		},
		"late": {
			late: 1020 * time.Millisecond,
			want: `^brunt: TestLoad, run r: shard 2 on \S+ was ready 20ms after the start: leave more time before it\n$`,
		},
		"slow": { // it could not send what was due
			differ: func(c *loadtest.ArrivalConfig) {
				c.MaxInFlight = 1
				c.Client = loadtest.Func(func(context.Context) error { time.Sleep(time.Second); return nil })
			},
			want: `^brunt: TestLoad, run r: shard 2 on \S+ is INVALID\n +cause +in flight: .*\n +dropped +observed 90 % `,
		},
		"twice": {
			after: func(t *testing.T, dir, path string) {
				t.Helper()
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "r.TestLoad.2-of-4.2.json"), text, 0o600))
			},
			want: `^brunt: TestLoad, run r: shard 2 has run 2 times: \S+2-of-4.2.json, \S+2-of-4.json\n$`,
		},
		"of another version": {
			after: func(t *testing.T, dir, _ string) { t.Helper(); edit(t, dir, `"binary":"`, `"binary":"beef`) },
			want:  `^brunt: TestLoad, run r: shard 2 has another test binary than most: beef[0-9a-f]+, not [0-9a-f]+ \(\S+\)\n$`,
		},
		"of another schedule": { // as a flag of the same binary makes it
			differ: func(c *loadtest.ArrivalConfig) { c.Schedule = pace.Constant(80).Until(time.Second) },
			want:   `^brunt: TestLoad, run r: shard 2 has another schedule than most: arrival 80/s for 1s, not arrival 40/s for 1s \(\S+\)\n$`,
		},
		"cut short": {
			after: func(t *testing.T, _, path string) { t.Helper(); require.NoError(t, os.Truncate(path, 100)) },
			want:  `^brunt: shards: \S+2-of-4.json: truncated after 100 bytes: `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				start := time.Now().Add(time.Second)
				var all sync.WaitGroup
				for i := range 4 {
					cfg := loadtest.ArrivalConfig{Schedule: pace.Constant(40).Until(time.Second), Client: loadtest.Func(func(context.Context) error { return nil })}
					if i == 2 && tt.differ != nil {
						tt.differ(&cfg)
					}
					all.Go(func() {
						if i == 2 {
							time.Sleep(tt.late)
						}
						c := shards.Config{Shard: loadtest.Shard{Index: i, Count: 4}, Name: "r", Start: start, Dir: dir}
						faketb.Run(t, func(tb *faketb.TB) {
							tb.TestName = "TestLoad"
							c.Run(tb, cfg, loadtest.Cycle(), loadtest.SLO{P50: time.Second})
						})
					})
				}
				all.Wait()
				if tt.after != nil {
					tt.after(t, dir, filepath.Join(dir, "r.TestLoad.2-of-4.json"))
				}
				page := filepath.Join(dir, "report")
				code, out, errs := runMerge(t, dir)
				toFile, _, _ := runMerge(t, "-o", page, dir)
				require.Equal(t, code, toFile)
				if tt.want == "" {
					require.Zero(t, code, errs)
					require.Contains(t, out, "40 requests in 1s", fmt.Sprint("by all four\n", out))
					require.FileExists(t, page)
					return
				}
				require.Equal(t, 2, code)
				require.Empty(t, out)
				require.NoFileExists(t, page)
				require.Regexp(t, tt.want, errs)
			})
		})
	}
}
