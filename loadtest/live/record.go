package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/shards"
)

const suffix = ".progress.jsonl"

// line is one report in a shard's file.
type line struct {
	Format int `json:"brunt_progress"` // 1
	shard
	Began time.Time `json:"began"` // the run
	loadtest.Progress
}

// shard is one of the processes that a run is made of.
type shard struct {
	Run   string `json:"run"`
	Name  string `json:"name"` // of the test
	Index int    `json:"shard"`
	Count int    `json:"shards"`
}

// file returns the name of its file.
func (s shard) file() string {
	return shards.Config{Name: s.Run, Shard: loadtest.Shard{Index: s.Index, Count: s.Count}}.FileName(s.Name, suffix)
}

// record returns a function that appends each report to the shard's file, which is closed
// when the test ends. A file that cannot be written costs the view, not the run.
func record(tb testing.TB, c shards.Config) func(loadtest.Progress) {
	tb.Helper()
	s := shard{c.Name, tb.Name(), c.Shard.Index, c.Shard.Count}
	f, err := openShard(filepath.Join(c.Dir, s.file()))
	if err != nil {
		tb.Logf("live: the progress of this shard is not shown: %v", err)
		return nil
	}
	tb.Cleanup(func() { f.Close() })
	var began clock
	failed := false
	return func(p loadtest.Progress) {
		if failed {
			return
		}
		data, err := json.Marshal(line{1, s, began.start(p, time.Now()), p})
		if err == nil {
			_, err = f.Write(append(data, '\n')) // in one call: whole, also beside another writer
		}
		if failed = err != nil; failed {
			tb.Logf("live: the progress of this shard is not shown any more: %v", err)
		}
	}
}

// openShard opens the file at path to append lines. A line that another process has left
// half-written there ends.
func openShard(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		_, err = f.WriteString("\n")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
