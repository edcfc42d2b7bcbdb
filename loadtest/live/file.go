package live

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// maxLine is the longest line of a file, in bytes.
	maxLine = 64 << 10
	// maxRun is the longest run, which keeps the arithmetic of what is read in range, and
	// maxShards of how many shards.
	maxRun    = 366 * 24 * time.Hour
	maxShards = 999_999
	// fewestRows is how many intervals each of many shards keeps at the least.
	fewestRows = 60
)

// file is the progress of a shard, read as it grows.
type file struct {
	shard
	track
	offset int64     // of what has been read
	lines  int       // that have been read
	seen   time.Time // when a report came last
	fault  error     // what was wrong first
}

// read reads the lines that are whole.
func (f *file) read(path string, now time.Time) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if info.Size() < f.offset {
		*f = file{fault: errors.New("it has become shorter, and was read again from its beginning")}
	}
	if info.Size() == f.offset {
		return nil
	}
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := r.Seek(f.offset, io.SeekStart); err != nil {
		return err
	}
	for b := bufio.NewReaderSize(r, maxLine); ; {
		text, err := b.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		f.offset += int64(len(text))
		f.lines++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if err := f.take(text, filepath.Base(path), now); err != nil && f.fault == nil {
			f.fault = fmt.Errorf("line %d: %w: %.80q", f.lines, err, text)
		}
	}
}

var errForeign = errors.New("not the progress of a run")

// take adds the report on one line of the file of that name.
func (f *file) take(text []byte, name string, now time.Time) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return errForeign
	}
	switch last := l.Last; {
	case l.Format != 1, l.Run == "", l.Began.Year() < 2000, l.Began.Year() > 2200:
		return errForeign
	case l.Elapsed < 0, l.Elapsed > maxRun, last.From < -maxRun, last.To > maxRun, last.To < last.From:
		return fmt.Errorf("out of range: %w", errForeign)
	case l.Index < 0, l.Index >= l.Count, l.Count > maxShards:
		return fmt.Errorf("of shard %d of %d: %w", l.Index, l.Count, errForeign)
	case l.file() != name:
		return fmt.Errorf("it is of %s", l.file())
	case l.Began.Before(f.began):
		return errors.New("another process writes it as well")
	}
	f.add(l.Progress, l.Began, max(mostRows/l.Count, fewestRows))
	f.shard, f.seen = l.shard, now
	return nil
}
