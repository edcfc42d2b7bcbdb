package shards

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// ahead makes the file of a shard that of a machine whose clock is ahead by that much: every
// time in it is later.
func ahead(t *testing.T, path string, by time.Duration) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var file, result map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &file))
	require.NoError(t, json.Unmarshal(file["result"], &result))
	put := func(in map[string]json.RawMessage, key string, v any) {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		in[key] = text
	}
	for _, key := range []string{"start", "ready"} {
		var at time.Time
		require.NoError(t, json.Unmarshal(file[key], &at))
		put(file, key, at.Add(by))
	}
	var spans [][2]int64 // which tell when the run began, too
	require.NoError(t, json.Unmarshal(result["spans_unix_ns"], &spans))
	require.Len(t, spans, 1)
	put(result, "spans_unix_ns", [][2]int64{{spans[0][0] + int64(by), spans[0][1] + int64(by)}})
	put(file, "result", result)
	text, err = json.Marshal(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, '\n'), 0o600))
}

// A machine whose clock is ahead begins too early. Then what happens to the service at one
// moment is in the merged series at two, each that of a clock: nothing is moved to make them
// agree. How long each request took is right nevertheless, since one clock has timed it.
func TestClocksThatDisagreeShowInTheSeriesAlone(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   time.Duration
		slow map[time.Duration]int // in which seconds, of how many shards
	}{
		{"they agree", 0, map[time.Duration]int{time.Second: 2}},
		{"one is ahead", 700 * time.Millisecond, map[time.Duration]int{time.Second: 2, 2 * time.Second: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made := time.Now()
				var took [2]atomic.Int64 // requests by how long they take
				// From 2.1 s to 2.8 s, with 1 s until the start, the service is slow.
				service := loadtest.Func(func(context.Context) error {
					d := 3 * time.Millisecond
					if at := time.Since(made); at >= 2100*time.Millisecond && at < 2800*time.Millisecond {
						d = 100 * time.Millisecond
						took[1].Add(1)
					} else {
						took[0].Add(1)
					}
					time.Sleep(d)
					return nil
				})
				dir := t.TempDir()
				for i, tb := range runShards(2, dir, func(i int, p *Config, c *loadtest.ArrivalConfig) bool {
					c.Client = service
					if i == 1 {
						p.Start = p.Start.Add(-tt.by)
					}
					return true
				}) {
					require.False(t, tb.Failed(), "%d: %s", i, tb.Text())
				}
				ahead(t, filepath.Join(dir, "r.TestLoad.1-of-2.json"), tt.by)

				merged, err := Merge(readAll(t, dir))
				require.NoError(t, err)
				r := merged[0].Result
				require.True(t, made.Add(time.Second).Equal(r.StartedAt))
				require.Equal(t, 5*time.Second, r.Elapsed)
				require.Equal(t, took[0].Load()+took[1].Load(), r.Requests)
				require.Positive(t, took[1].Load())
				fast := float64(took[0].Load()) / float64(r.Requests)
				// To a histogram's tenth of a percent, as many as took so long.
				require.Equal(t, 3*time.Millisecond, r.Quantile(fast).Round(100*time.Microsecond))
				require.Equal(t, 100*time.Millisecond, r.Quantile(fast+1/float64(r.Requests)).Round(time.Millisecond))
				require.Equal(t, 100*time.Millisecond, r.Quantile(1))
				slow := make(map[time.Duration]int)
				for _, row := range r.Intervals {
					if row.P99 > 50*time.Millisecond {
						slow[row.From]++
					}
				}
				require.Equal(t, tt.slow, slow)
			})
		})
	}
}
