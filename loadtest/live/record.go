package live

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/shards"
)

// shard is one of the processes that a run is made of, as the name of its file has it.
type shard struct {
	run, name    string
	index, count int
}

const suffix = ".progress.jsonl"

var (
	notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
	fileName   = regexp.MustCompile(`^([A-Za-z0-9_.-]+)\.([A-Za-z0-9_-]+)\.([0-9]{1,6})-of-([0-9]{1,6})` + regexp.QuoteMeta(suffix) + `$`)
)

// file returns the name of the file, which begins as that of the shard's result.
func (s shard) file() string {
	name := strings.Trim(notInNames.ReplaceAllString(s.name, "-"), "-")
	return fmt.Sprintf("%s.%s.%d-of-%d%s", s.run, name[:min(len(name), 100)], s.index, s.count, suffix)
}

// parseShard returns the shard whose file has that name.
func parseShard(name string) (s shard, ok bool) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return s, false
	}
	s.run, s.name = m[1], m[2]
	s.index, _ = strconv.Atoi(m[3])
	s.count, _ = strconv.Atoi(m[4])
	return s, s.index < s.count
}

// line is one report in a shard's file.
type line struct {
	Format int       `json:"brunt_progress"` // 1
	Began  time.Time `json:"began"`          // the run
	loadtest.Progress
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
		data, err := json.Marshal(line{1, began.start(p, time.Now()), p})
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
