package shards

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/internal/scheduler"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// try runs fn as a test of that name, and returns how it went.
func try(name string, fn func(testing.TB)) *faketb.TB {
	return faketb.Run(nil, func(tb *faketb.TB) {
		tb.TestName = name
		fn(tb)
	})
}

// planned is a run of n shards that begins in a second.
func planned(dir string, i, n int) Config {
	return Config{Shard: loadtest.Shard{Index: i, Count: n}, Name: "r", Start: time.Now().Add(time.Second).Round(0), Dir: dir}
}

func schedule(rate float64) loadtest.ArrivalConfig {
	return loadtest.ArrivalConfig{Schedule: pace.Poisson(rate, 1).Until(5 * time.Second), Client: loadtest.Func(work)}
}

func work(context.Context) error { time.Sleep(3 * time.Millisecond); return nil }

var slo = loadtest.SLO{P99: 10 * time.Millisecond}

// runShards has n shards make a run at once, each as change changes it, and returns how
// they went.
func runShards(n int, dir string, change func(i int, p *Config, c *loadtest.ArrivalConfig) bool) []*faketb.TB {
	var all sync.WaitGroup
	out := make([]*faketb.TB, n)
	for i := range n {
		p, cfg := planned(dir, i, n), schedule(200)
		if change != nil && !change(i, &p, &cfg) {
			continue
		}
		all.Go(func() {
			out[i] = try("TestLoad", func(tb testing.TB) { p.Run(tb, cfg, loadtest.Cycle(), slo) })
		})
	}
	all.Wait()
	return out
}

func readAll(t *testing.T, dir string) []*File {
	t.Helper()
	files, err := Read(dir, "")
	require.NoError(t, err)
	return files
}

// Shards begin when they are told, and what they have written is merged to what one process
// measures, which judges itself.
func TestShardsMakeOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Add(time.Second)
		dir := filepath.Join(t.TempDir(), "made", "anew")
		for i, tb := range runShards(4, dir, nil) {
			require.False(t, tb.Failed(), tb.Text())
			require.Equal(t, fmt.Sprintf("shards: shard %d/4: %s", i, filepath.Join(dir, fmt.Sprintf("r.TestLoad.%d-of-4.json", i))), tb.Text())
		}
		files := readAll(t, dir)
		require.Len(t, files, 4)
		for i, f := range files {
			require.Equal(t, i, f.Shard)
			require.Zero(t, f.Late())
			require.True(t, start.Equal(f.Result.StartedAt), "%v %v", start, f.Result.StartedAt)
			require.Len(t, f.Binary, 64)
		}
		merged, err := Merge(files)
		require.NoError(t, err)
		require.Len(t, merged, 1)
		require.Equal(t, loadtest.VerdictPass, merged[0].Verdict.Kind)
		require.Equal(t, 4, merged[0].Shards)

		var whole *loadtest.EngineResult
		alone := try("TestLoad", func(tb testing.TB) {
			whole = Config{Shard: loadtest.Shard{Index: 0, Count: 1}}.Run(tb, schedule(200), loadtest.Cycle(), slo)
		})
		require.False(t, alone.Failed(), alone.Text())
		require.Empty(t, alone.Logs())
		require.Equal(t, whole.Counts, merged[0].Result.Counts)
		want, err := json.Marshal(&whole.Stats)
		require.NoError(t, err)
		got, err := json.Marshal(&merged[0].Result.Stats)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))

		strict := loadtest.SLO{P99: time.Millisecond}
		failed := try("TestLoad", func(tb testing.TB) {
			Config{Shard: loadtest.Shard{Index: 0, Count: 1}}.Run(tb, schedule(200), loadtest.Cycle(), strict)
		})
		require.True(t, failed.Failed(), "alone it judges itself")
		require.Contains(t, failed.Text(), "1 of the objectives missed")
	})
}

// A shard that is late says by how much, sends nothing, and is named.
func TestALateShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		tbs := runShards(3, dir, func(i int, p *Config, c *loadtest.ArrivalConfig) bool {
			if i == 1 {
				p.Start = p.Start.Add(-time.Second - 20*time.Millisecond)
				c.Client = loadtest.Func(func(context.Context) error { panic("sent") })
			}
			return true
		})
		require.True(t, tbs[1].Failed())
		require.Contains(t, tbs[1].Text(), "shards: INVALID: shard 1/3 was ready 20ms after the start")
		files := readAll(t, dir)
		files[0].Start, files[2].Start = files[1].Start, files[1].Start // it is the clocks that differed
		for _, f := range []*File{files[0], files[2]} {
			f.Ready = f.Start
		}
		_, err := Merge(files)
		require.ErrorIs(t, err, ErrNotWhole)
		require.Regexp(t, `^TestLoad, run r: shard 1 on \S+ was ready 20ms after the start: leave more time before it$`, err.Error())
	})
}

// Whatever is wrong with a run, it is named, and nothing is merged.
func TestMergeRefusesWhatIsNotWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(i int, p *Config, c *loadtest.ArrivalConfig) bool
		files  func([]*File) []*File
		want   []string
	}{
		"a shard that was killed": {
			change: func(i int, _ *Config, _ *loadtest.ArrivalConfig) bool { return i != 2 },
			want:   []string{"TestLoad, run r: of 4 shards, 1 wrote no result: 2"},
		},
		"most were killed": {
			change: func(i int, _ *Config, _ *loadtest.ArrivalConfig) bool { return i == 1 },
			want:   []string{"of 4 shards, 3 wrote no result: 0, 2, 3"},
		},
		"one twice": {
			files: func(f []*File) []*File { return append(f, f[1]) },
			want:  []string{"shard 1 has run 2 times: "},
		},
		"one that is itself the limit": {
			change: func(i int, _ *Config, c *loadtest.ArrivalConfig) bool {
				if i == 3 {
					c.MaxCatchUp, c.Client = time.Nanosecond, loadtest.Func(work)
				}
				return true
			},
			files: func(f []*File) []*File { f[3].Result.Missed = f[3].Result.Scheduled; return f },
			want:  []string{"shard 3 on ", " is INVALID\n  missed      observed 100 % ("},
		},
		"another binary": {
			files: func(f []*File) []*File { f[0].Binary = "0123"; return f },
			want:  []string{"shard 0 has another test binary than most: 0123, not "},
		},
		"another schedule": {
			change: func(i int, _ *Config, c *loadtest.ArrivalConfig) bool {
				if i == 2 {
					*c = schedule(300)
				}
				return true
			},
			want: []string{"shard 2 has another schedule than most: arrival 300/s for 5s, poisson seed 1, not arrival 200/s for 5s"},
		},
		"another SLO": {
			files: func(f []*File) []*File { f[1].SLO.P99 = time.Hour; return f },
			want:  []string{"shard 1 has another SLO than most"},
		},
		"another start": {
			change: func(i int, p *Config, _ *loadtest.ArrivalConfig) bool {
				if i == 0 {
					p.Start = p.Start.Add(time.Minute)
				}
				return true
			},
			want: []string{"shard 0 has another start than most"},
		},
		"another number of shards": {
			change: func(i int, p *Config, _ *loadtest.ArrivalConfig) bool {
				if i == 3 {
					p.Shard.Count = 5
				}
				return true
			},
			want: []string{"shard 3 has another number of shards than most: 5, not 4", "of 5 shards, 1 wrote no result: 4"},
		},
		"another run": {
			change: func(i int, p *Config, _ *loadtest.ArrivalConfig) bool {
				if i == 3 {
					p.Name = "s"
				}
				return true
			},
			want: []string{"shards: not a whole run: there are results of 2 runs, r, s: choose one"},
		},
		"one that ended with an error": {
			files: func(f []*File) []*File { f[1].Error = "loadtest: closed"; return f },
			want:  []string{"shard 1 on ", "did not come to its end: loadtest: closed"},
		},
		"several at once": {
			change: func(i int, _ *Config, _ *loadtest.ArrivalConfig) bool { return i != 2 },
			files:  func(f []*File) []*File { f[0].Binary = "0123"; return append(f, f[1]) },
			want:   []string{"wrote no result: 2", "another test binary", "shard 1 has run 2 times"},
		},
		"none": {
			files: func([]*File) []*File { return nil },
			want:  []string{"there is no result of a shard"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				runShards(4, dir, tt.change)
				files := readAll(t, dir)
				if tt.files != nil {
					files = tt.files(files)
				}
				merged, err := Merge(files)
				require.Nil(t, merged)
				require.ErrorIs(t, err, ErrNotWhole)
				for _, want := range tt.want {
					require.ErrorContains(t, err, want)
				}
			})
		})
	}
}

// A shard that cannot keep to its schedule fails where it runs, too.
func TestAShardThatIsInvalidFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tbs := runShards(2, t.TempDir(), func(i int, _ *Config, c *loadtest.ArrivalConfig) bool {
			if i == 1 {
				c.MaxInFlight, c.Client = 1, loadtest.Func(func(context.Context) error { time.Sleep(time.Second); return nil })
			}
			return true
		})
		require.False(t, tbs[0].Failed(), tbs[0].Text())
		require.True(t, tbs[1].Failed())
		require.Contains(t, tbs[1].Text(), "shards: shard 1/2: INVALID")
	})
}

// What a shard writes is there whole, or not at all, and not over what was there.
func TestFilesAreWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	f := &File{Format: format, Run: "r", Name: "TestA/b c", Shard: 1, Shards: 2, Error: "e"}
	for _, want := range []string{"r.TestA-b-c.1-of-2.json", "r.TestA-b-c.1-of-2.2.json", "r.TestA-b-c.1-of-2.3.json"} {
		path, err := f.write(dir)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, want), path)
	}
	require.Len(t, readAll(t, dir), 3)
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	require.Empty(t, left)

	file := filepath.Join(dir, "r.TestA-b-c.1-of-2.json")
	_, err = f.write(file)
	require.ErrorContains(t, err, "shards: writing into "+file+": ", "not a directory")
}

// A shard may be killed at any moment: a result without its content is never there. It was,
// for as long as a name was taken and not yet given.
func TestAResultIsNeverSeenEmpty(t *testing.T) {
	dir := t.TempDir()
	f := &File{Format: format, Run: "r", Name: "TestA", Shard: 1, Shards: 2, Error: "e"}
	var writing sync.WaitGroup
	done := make(chan struct{})
	writing.Go(func() { // ends when all is written
		defer close(done)
		for range 100 {
			_, err := f.write(dir)
			assert.NoError(t, err)
		}
	})
	defer writing.Wait()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		_, err := Read(dir, "")
		require.NoError(t, err)
	}
	require.Len(t, readAll(t, dir), 100)
}

func TestReadNamesWhatIsNoResult(t *testing.T) {
	dir := t.TempDir()
	f := &File{Format: format, Run: "r", Name: "TestA", Shard: 1, Shards: 2, Error: "e"}
	path, err := f.write(dir)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for content, want := range map[string]string{
		"":                         "truncated after 0 bytes",
		string(text[:20]):          "truncated after 20 bytes",
		string(text[:len(text)-2]): "truncated after ",
		"{}\n":                     "has format 0, not 1",
		strings.Replace(string(text), `"shard":1`, `"shard":2`, 1):                   "is of shard 2 of 2",
		strings.Replace(string(text), `"shard":1`, `"shard":0`, 1):                   "has the content of r.TestA.0-of-2.json",
		strings.Replace(string(text), `"error":"e",`, "", 1):                         "has no result",
		strings.Replace(string(text), `"result":null`, `"result":{"requests":1}`, 1): "does not add up",
		"[1]\n": "cannot unmarshal",
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		files, err := Read(dir, "")
		require.Empty(t, files, content)
		var fault *FileError
		require.ErrorAs(t, err, &fault, content)
		require.Equal(t, path, fault.Path)
		require.ErrorContains(t, err, want, content)
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other.json"), []byte("{"), 0o600))
	require.Empty(t, readAll(t, dir), "which is not a shard's by its name")
	_, err = Read(filepath.Join(dir, "none"), "")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Results of another run in the same directory are left alone.
func TestReadChoosesARun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*")
	for _, run := range []string{"r", "r.2", "s"} {
		_, err := (&File{Format: format, Run: run, Name: "TestA", Shards: 1, Error: "e"}).write(dir)
		require.NoError(t, err)
	}
	require.Len(t, readAll(t, dir), 3)
	files, err := Read(dir, "r")
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "r", files[0].Run)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "s.TestA.0-of-1.json"), nil, 0o600))
	_, err = Read(dir, "r")
	require.NoError(t, err)
}

func TestConfig(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-26T12:00:00Z": at, "2026-11-26T13:00:00.5+01:00": at.Add(500 * time.Millisecond),
		fmt.Sprint(at.Unix()): at, fmt.Sprintf("%d.250001", at.Unix()): at.Add(250001 * time.Microsecond),
	} {
		got, err := parseStart(text)
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%s: %v", text, got)
	}
	vars := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	one, four := loadtest.Shard{Index: 0, Count: 1}, loadtest.Shard{Index: 1, Count: 4}
	p, err := newConfig(one, vars())
	require.NoError(t, err)
	require.Equal(t, Config{Shard: one, Name: "run"}, p)
	p, err = newConfig(four, vars(scheduler.Run, "nightly-7", scheduler.Start, fmt.Sprint(at.Unix()), scheduler.Results, "d"))
	require.NoError(t, err)
	require.Equal(t, Config{four, "nightly-7", at.Local(), "d"}, p)
	for want, getenv := range map[string]func(string) string{
		`BRUNT_RUN is "a/b"`:       vars(scheduler.Run, "a/b"),
		`BRUNT_RUN is ".a"`:        vars(scheduler.Run, ".a"),
		`BRUNT_START is "soon"`:    vars(scheduler.Start, "soon"),
		`BRUNT_START is "-1"`:      vars(scheduler.Start, "-1"),
		`BRUNT_START is "NaN"`:     vars(scheduler.Start, "NaN"),
		"BRUNT_START is not set":   vars(scheduler.Results, "d"),
		"BRUNT_RESULTS is not set": vars(scheduler.Start, "1"),
	} {
		_, err := newConfig(four, getenv)
		require.ErrorContains(t, err, want)
	}
}

// Two runs under one name are told, as are a bad environment and a bad SLO.
func TestRunRefuses(t *testing.T) {
	t.Setenv("BRUNT_SHARD", "0/1")
	t.Setenv(scheduler.Results, t.TempDir())
	t.Setenv(scheduler.Start, "")
	t.Setenv(scheduler.Run, "")
	run := func(tb testing.TB) {
		Run(tb, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })}, loadtest.Times(3), loadtest.SLO{})
	}
	require.False(t, try("TestTwice", run).Failed())
	tb := try("TestTwice", run)
	require.True(t, tb.Failed())
	require.Contains(t, tb.Text(), "Run was called before in this test")
	require.False(t, try("TestTwice/other", run).Failed())

	t.Setenv("BRUNT_SHARD", "0/2")
	require.Contains(t, try("TestEnv", run).Text(), "BRUNT_START is not set: 2 shards")
	t.Setenv("BRUNT_SHARD", "x")
	require.Contains(t, try("TestEnv", run).Text(), `BRUNT_SHARD is "x"`)
	t.Setenv("BRUNT_SHARD", "")
	bad := try("TestSLO", func(tb testing.TB) {
		Run(tb, loadtest.SyncConfig{}, loadtest.Times(1), loadtest.SLO{MaxErrorRate: 2})
	})
	require.Contains(t, bad.Text(), "MaxErrorRate is 2")
}

// A run that is ended tells that in its file.
func TestARunThatIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p := planned(dir, 0, 2)
		tb := try("TestLoad", func(tb testing.TB) {
			p.Run(tb, schedule(200), loadtest.Seq(func(yield func(*loadtest.Request) bool) { yield(nil) }), slo)
		})
		require.True(t, tb.Failed())
		files := readAll(t, dir)
		require.Len(t, files, 1)
		require.Contains(t, files[0].Error, "request 0 of the sequence")
	})
}

// An exchange begins when its Config says, and where no orders of another run are.
func TestAnExchangeBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := planned(t.TempDir(), 0, 2)
		start := c.Start
		x, err := c.Exchange(t.Context(), "TestA")
		require.NoError(t, err)
		require.Equal(t, c.Shard, x.Shard())
		require.True(t, start.Equal(time.Now()))

		_, err = c.Exchange(t.Context(), "TestA")
		require.NoError(t, err, "nothing has been ordered")
		c.Start = time.Time{}
		x, err = c.Exchange(t.Context(), "TestA")
		require.NoError(t, err)
		require.True(t, start.Equal(time.Now()), "at once")

		require.NoError(t, x.End(nil, nil))
		_, err = c.Exchange(t.Context(), "TestA")
		require.ErrorContains(t, err, "holds orders of another run: give each a BRUNT_RUN of its own")
		_, err = c.Exchange(t.Context(), "TestB")
		require.NoError(t, err)
		c.Start = start
		time.Sleep(time.Second)
		_, err = c.Exchange(t.Context(), "TestB")
		require.ErrorContains(t, err, "shards: INVALID: shard 0/2 was ready 1s after the start")

		c.Shard.Index = 2
		_, err = c.Exchange(t.Context(), "TestB")
		require.ErrorIs(t, err, loadtest.ErrConfig)
		x, err = Config{Shard: loadtest.Shard{Index: 0, Count: 1}}.Exchange(t.Context(), "TestB")
		require.NoError(t, err)
		require.Nil(t, x, "alone")
	})
}

// An order for which a shard is late is given again, with more time, whichever it is.
func TestAnOrderThatAllAreLateFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		join := func(i int) (*Exchange, func(context.Context) (*loadtest.EngineResult, error)) {
			c := planned(dir, i, 2)
			x, err := c.Exchange(t.Context(), "TestA")
			require.NoError(t, err)
			e := loadtest.Start(t, loadtest.SyncConfig{Client: loadtest.Func(work)})
			return x, func(ctx context.Context) (*loadtest.EngineResult, error) {
				return e.Run(ctx, loadtest.Times(10).Shard(i, 2))
			}
		}
		var other sync.WaitGroup
		other.Go(func() { // ends with the orders
			x, run := join(1)
			var order, outcome int
			for more, err := true, error(nil); more; {
				more, err = x.Follow(t.Context(), &order, &outcome, run)
				require.NoError(t, err)
			}
			require.Equal(t, 7, order)
			require.Equal(t, 8, outcome)
		})
		x, run := join(0)
		x.lead = -time.Second
		r, err := x.Lead(t.Context(), 7, run)
		require.NoError(t, err)
		require.EqualValues(t, 10, r.Requests)
		require.Equal(t, 2, x.n, "the second time")
		require.NoError(t, x.End(8, nil))
		other.Wait()
	})
}
