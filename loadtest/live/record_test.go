package live

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/shards"
)

// shardOf is a shard of n, that writes into dir.
func shardOf(dir string, i, n int) shards.Config {
	return shards.Config{Name: "nightly.7", Dir: dir, Shard: loadtest.Shard{Index: i, Count: n}}
}

const shard0Of2 = "nightly.7.TestFake.0-of-2.progress.jsonl"

var of = shard{"nightly.7", "TestFake", 0, 2}

// A report is taken from the file of the shard that it is of, and of no shard that is none.
func TestAShardHasItsFile(t *testing.T) {
	report := func(s shard) []byte {
		data, err := json.Marshal(line{1, s, time.Now(), second(1, 5)})
		require.NoError(t, err)
		return data
	}
	s := shard{"nightly.7", "/TestFake/big one!", 0, 2}
	require.Equal(t, "nightly.7.TestFake-big-one.0-of-2.progress.jsonl", s.file())
	f := new(file)
	require.NoError(t, f.take(report(s), s.file(), time.Now()))
	require.Equal(t, s, f.shard)
	for _, other := range []shard{{"nightly.7", "TestFake", 0, 2}, {"nightly", "7", 0, 2}, {"nightly.7", s.Name, 1, 2}, {"nightly.7", s.Name, 0, 3}, {"a/../nightly.7", s.Name, 0, 2}} {
		require.ErrorContains(t, f.take(report(other), s.file(), time.Now()), "it is of "+other.file())
	}
	for _, none := range []shard{{"a", "b", 2, 2}, {"a", "b", 0, 0}, {"a", "b", -1, 2}, {"a", "b", 0, 9_999_999}, {"", "b", 0, 1}} {
		require.ErrorIs(t, f.take(report(none), none.file(), time.Now()), errForeign)
	}
	require.Equal(t, s, f.shard)
}

// One of several shards is served nowhere, whatever the address, but records; its file lies
// beside its result and begins with the same name.
func TestAShardRecordsInsteadOfServing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	for name, value := range map[string]string{
		"BRUNT_SHARD": "1/2", "BRUNT_RUN": "nightly.7", "BRUNT_RESULTS": dir, "BRUNT_LIVE": "127.0.0.1:0",
		"BRUNT_START": time.Now().Add(time.Second).Format(time.RFC3339Nano),
	} {
		t.Setenv(name, value)
	}
	told := 0
	t.Run("The test: of (something)", func(t *testing.T) {
		r := shards.Run(t, loadtest.SyncConfig{
			OnProgress: Show(t, "", func(loadtest.Progress) { told++ }),
			Client:     loadtest.Func(func(context.Context) error { return nil }),
		}, loadtest.Times(10), loadtest.SLO{})
		require.Equal(t, int64(5), r.Requests)
	})
	require.Equal(t, 1, told)
	base := "nightly.7.TestAShardRecordsInsteadOfServing-The_test-_of_-something.1-of-2"
	require.FileExists(t, filepath.Join(dir, base+".json"))
	data, err := os.ReadFile(filepath.Join(dir, base+suffix))
	require.NoError(t, err)
	var l line
	require.NoError(t, json.Unmarshal(data, &l))
	require.True(t, l.Done)
	require.Equal(t, int64(5), l.Requests)
	files, err := shards.Read(dir, "")
	require.NoError(t, err)
	require.Len(t, files, 1, "brunt merge passes it over")
}

// A process that was killed has left half a line, and the next attempt its own ones.
func TestAnotherAttemptEndsTheLineBefore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, shard0Of2)
	require.NoError(t, os.WriteFile(path, []byte(`{"brunt_prog`), 0o644))
	tb := new(faketb.TB)
	record(tb, shardOf(dir, 0, 2))(second(1, 5))
	tb.End()
	f := new(file)
	require.NoError(t, f.read(path, time.Now()))
	require.ErrorContains(t, f.fault, "line 1:")
	require.Equal(t, int64(5), f.last.Requests)
}

// Every field of a report survives.
func TestALineIsTheReport(t *testing.T) {
	dir := t.TempDir()
	var want loadtest.Progress
	fill(reflect.ValueOf(&want).Elem(), new(int64))
	want.Last.Cause, want.Last.Excluded = loadtest.CauseInFlight, true
	tb := new(faketb.TB)
	record(tb, shardOf(dir, 0, 2))(want)
	tb.End()
	require.Empty(t, tb.Logs())
	data, err := os.ReadFile(filepath.Join(dir, shard0Of2))
	require.NoError(t, err)
	var l line
	require.NoError(t, json.Unmarshal(data, &l))
	require.Equal(t, want, l.Progress)
}

// fill sets every number of v to another one.
func fill(v reflect.Value, n *int64) {
	*n++
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(*n)
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n))
	case reflect.String:
		v.SetString(fmt.Sprint(*n))
	case reflect.Bool:
		v.SetBool(true)
	}
}

// A file that cannot be written costs the view, not the run.
func TestRecordWithoutAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tb := new(faketb.TB)
	require.Nil(t, record(tb, shardOf(file, 0, 2)))
	require.Len(t, tb.Logs(), 1)
	require.Contains(t, tb.Logs()[0], "is not shown")

	tb = new(faketb.TB)
	f := record(tb, shardOf(t.TempDir(), 0, 2))
	tb.End() // closes the file
	f(second(1, 1))
	f(second(2, 1))
	require.Len(t, tb.Logs(), 1, "it says so once")
	require.Contains(t, tb.Logs()[0], "not shown any more")
}

// What shards record is what one page shows: the counts of all, at their time.
func TestShardsInADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := &watcher{dir: dir}
		require.Equal(t, "waiting for the progress of a run", w.view().State)
		tb := new(faketb.TB)
		var want loadtest.Counts
		results := make(chan *loadtest.EngineResult, 3)
		for i := range 3 {
			engine := loadtest.Start(t, loadtest.ThreadedConfig{
				MaxWorkers: 1 + i, OnProgress: record(tb, shardOf(dir, i, 4)),
				Client: loadtest.Func(func(context.Context) error { time.Sleep(97 * time.Millisecond); return nil }),
			})
			go func() { // ends with its run
				r, err := engine.Run(t.Context(), loadtest.For(10*time.Second))
				if err != nil {
					t.Error(err)
				}
				results <- r
			}()
		}
		time.Sleep(4500 * time.Millisecond)
		l := w.view()
		require.Equal(t, "nightly.7 TestFake", l.Title)
		require.Equal(t, "3 of 4 shards running: 4s of 10s", l.State)
		require.Equal(t, []loadtest.Warning{{Kind: "shards", Text: "1 of 4 shards are missing: 3"}}, l.Result.Warnings)
		require.Len(t, l.Last, 3)
		var rates [5]int64
		for range 3 {
			r := <-results
			want = loadtest.Interval{Counts: want}.Join(loadtest.Interval{Counts: r.Counts}).Counts
			for i := range 4 {
				rates[i] += r.Intervals[i].Requests
			}
		}
		require.Equal(t, fmt.Sprintf("0:%d 1:%d 2:%d 3:%d 4:%[4]d", rates[0], rates[1], rates[2], rates[3]), eventOf(t, l).line(t, "throughput", "requests"))
		l = w.view()
		require.Equal(t, "0 of 4 shards running, 3 done: 10s of 10s", l.State)
		require.Equal(t, want, l.Result.Counts)
		require.Empty(t, l.Last)
		tb.End()
		require.Empty(t, tb.Logs())
	})
}

// A shard that is silent is named, and until when.
func TestASilentShardIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		tb := new(faketb.TB)
		defer tb.End()
		both := []func(loadtest.Progress){}
		for i := range 2 {
			both = append(both, record(tb, shardOf(dir, i, 2)))
		}
		w := &watcher{dir: dir}
		l := w.view()
		for i := 1; i <= 9; i++ {
			time.Sleep(time.Second)
			both[0](second(i, 10))
			if i <= 2 {
				both[1](second(i, 10))
			}
			l = w.view()
			if i <= 7 {
				require.Equal(t, "2 of 2 shards running: "+fmt.Sprint(i)+"s of 1m0s", l.State)
				require.Empty(t, l.Result.Warnings)
				require.Equal(t, time.Duration(min(i, 2))*time.Second, l.Until)
			}
		}
		require.Equal(t, "1 of 2 shards running: 9s of 1m0s", l.State)
		require.Equal(t, []loadtest.Warning{{Kind: "shards", Text: "shard 1 of 2 is silent: nothing for 7s"}}, l.Result.Warnings)
		require.Equal(t, 9*time.Second, l.Until)
		for i := range 2 {
			end := second(10, 10)
			end.Done = true
			both[i](end)
		}
		l = w.view()
		require.Equal(t, "done: 2 shards, after 10s", l.State)
		require.Empty(t, l.Result.Warnings)

		// The next test of the same processes is shown when the first of them is there.
		time.Sleep(time.Second)
		next := shardOf(dir, 0, 2)
		next.Name = "nightly.8"
		record(tb, next)(second(1, 10))
		l = w.view()
		require.Equal(t, "nightly.8 TestFake", l.Title)
		require.Equal(t, "1 of 2 shards running: 1s of 1m0s; the last of 2 runs in "+dir, l.State)
	})
}

// Whatever lies in the directory is named, and is no harm to what is good.
func TestForeignFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	tb := new(faketb.TB)
	f := record(tb, shardOf(dir, 0, 2))
	f(second(1, 10))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	data, err := os.ReadFile(filepath.Join(dir, shard0Of2))
	require.NoError(t, err)
	write("nightly.7.TestFake.1-of-2.progress.jsonl", strings.Replace(string(data), `"shard":0`, `"shard":1`, 1)+"{}\n"+strings.Repeat("x", 3*maxLine)+"\n"+string(data[:20]))
	write("nightly.7.TestFake.0-of-3.progress.jsonl", strings.Replace(string(data), `"shards":2`, `"shards":3`, 1)+string(data))
	write("old"+suffix, strings.ReplaceAll(string(data), ":\"20", ":\"19"))
	write("strange"+suffix, string(data))
	write("result.json", "of others")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "a.b.0-of-1"+suffix), 0o755))
	w := &watcher{dir: dir}
	l := w.view()
	require.Equal(t, "2 of 2 shards running: 1s of 1m0s", l.State)
	require.Equal(t, int64(20), l.Result.Requests)
	var texts []string
	for _, warning := range l.Result.Warnings {
		texts = append(texts, warning.Text)
	}
	require.Equal(t, []string{
		"a.b.0-of-1.progress.jsonl: not a regular file",
		`nightly.7.TestFake.0-of-3.progress.jsonl: line 2: it is of nightly.7.TestFake.0-of-2.progress.jsonl: "{`,
		"nightly.7.TestFake.0-of-3.progress.jsonl: of 3 shards, where this run has 2",
		`nightly.7.TestFake.1-of-2.progress.jsonl: line 2: not the progress of a run: "{}"`,
		`old.progress.jsonl: line 1: not the progress of a run: "{`,
		`strange.progress.jsonl: line 1: it is of nightly.7.TestFake.0-of-2.progress.jsonl: "{`,
	}, func() []string {
		for i, text := range texts {
			texts[i], _, _ = strings.Cut(text, `\"brunt_progress`) // the rest of the line
		}
		return texts
	}())
	tb.End()

	w.dir = filepath.Join(dir, "strange"+suffix) // what cannot be read any more
	l = w.view()
	require.Equal(t, int64(20), l.Result.Requests, "it has what it had")
	require.Contains(t, l.Result.Warnings[len(l.Result.Warnings)-1].Text, "strange")

	gone := &watcher{dir: filepath.Join(dir, "strange"+suffix)}
	require.Len(t, gone.view().Result.Warnings, 1, "a directory that is none")
}

// A shard's file is read as it grows: half a line is waited for, another attempt takes the
// place of the one before, and two at once are named.
func TestAFileIsReadAsItGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), shard0Of2)
	f := new(file)
	content := ""
	now := time.Now()
	grow := func(text string) {
		t.Helper()
		content += text
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		require.NoError(t, f.read(path, now))
	}
	report := func(p loadtest.Progress, began time.Time) string {
		data, err := json.Marshal(line{1, of, began, p})
		require.NoError(t, err)
		return string(data) + "\n"
	}
	began := time.Now().Round(0)
	first, next := report(second(1, 5), began), report(second(2, 5), began)
	grow(first + next[:30])
	require.Len(t, f.counted.Rows, 1)
	require.NoError(t, f.fault)
	grow(next[30 : len(next)-1])
	require.Len(t, f.counted.Rows, 1)
	grow("\n\n")
	require.Len(t, f.counted.Rows, 2)
	grow(next[:30] + "\n") // what a process left that was killed
	require.ErrorContains(t, f.fault, "line 4: not the progress of a run")
	grow(report(second(1, 7), began.Add(time.Minute)))
	require.Len(t, f.counted.Rows, 1)
	require.Equal(t, int64(7), f.counted.Rows[0].Requests)

	f.fault = nil
	grow(report(second(3, 5), began))
	require.ErrorContains(t, f.fault, "another process writes it as well")
	require.Equal(t, int64(7), f.last.Requests)

	content = ""
	grow(first)
	require.ErrorContains(t, f.fault, "shorter")
	require.Equal(t, int64(5), f.last.Requests)
	for i, spoil := range []func(*loadtest.Progress){
		func(p *loadtest.Progress) { p.Last.To = -1 },
		func(p *loadtest.Progress) { p.Last.To = maxRun + time.Second },
		func(p *loadtest.Progress) { p.Last.From, p.Last.Excluded = -maxRun-time.Second, true },
		func(p *loadtest.Progress) { p.Elapsed = -1 },
		func(p *loadtest.Progress) { p.Elapsed = maxRun + 1 },
	} {
		f.fault = nil
		bad := second(1, 1)
		spoil(&bad)
		grow(report(bad, began))
		require.ErrorContains(t, f.fault, fmt.Sprintf("line %d:", i+2))
	}
	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, f.read(path, now), os.ErrNotExist)
}

// Nothing that a file may hold makes a page impossible, and it does not matter in which
// pieces it grew.
func FuzzFile(f *testing.F) {
	began := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var good []byte
	for i := range 3 {
		p := second(i+1, 5)
		p.Done, p.Last.Excluded = i == 2, i == 0
		data, err := json.Marshal(line{1, of, began, p})
		require.NoError(f, err)
		good = append(append(good, data...), '\n')
	}
	f.Add(good, 100)
	f.Add(good[:len(good)-20], 0)
	f.Add([]byte("{}\n[]\nnull\n\n"), 3)
	f.Add([]byte(`{"brunt_progress":1,"run":"nightly.7","name":"TestFake","shards":2,"began":"2026-11-26T12:00:00Z","elapsed_ns":1,"done":true,"interval":{"from_seconds":-1e9,"to_seconds":1e9,"excluded":true}}`+"\n"), 9)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		dir := t.TempDir()
		whole, grown := new(file), new(file)
		at = max(0, min(at, len(data)))
		path := filepath.Join(dir, shard0Of2)
		for _, text := range [][]byte{data[:at], data} {
			require.NoError(t, os.WriteFile(path, text, 0o600))
			require.NoError(t, grown.read(path, began))
		}
		require.NoError(t, whole.read(path, began))
		require.Equal(t, whole.counted.Rows, grown.counted.Rows)
		require.Equal(t, whole.lines, grown.lines)
		require.Equal(t, whole.fault, grown.fault)
		other := new(track)
		other.add(second(1, 1), began, mostRows)
		_, err := join([]*track{&whole.track, other}).Event()
		require.NoError(t, err)
	})
}
