package shards

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest"
)

// format is the version of the files.
const format = 1

// File is what a shard writes.
type File struct {
	Format int    `json:"brunt_shard"`
	Run    string `json:"run"`
	Name   string `json:"name"` // of the test or benchmark
	Shard  int    `json:"shard"`
	Shards int    `json:"shards"`
	// Start is when the load was to begin, and Ready when the shard was ready for it.
	Start time.Time `json:"start"`
	Ready time.Time `json:"ready"`
	Host  string    `json:"host"`
	// Binary is the SHA-256 of the test binary.
	Binary string       `json:"binary"`
	SLO    loadtest.SLO `json:"slo"`
	// Error is why the run did not come to its end; empty if it did.
	Error string `json:"error,omitempty"`
	// Result is nil if nothing was sent.
	Result *loadtest.EngineResult `json:"result"`

	path string // that it was read from
}

// Late returns how long after the start the shard was ready; 0 if it was in time.
func (f *File) Late() time.Duration {
	if f.Start.IsZero() {
		return 0
	}
	return max(0, f.Ready.Sub(f.Start))
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// FileName returns what a file of this shard in Dir is called that belongs to a test or
// benchmark of that name: RUN.NAME.I-of-N and the suffix, such as ".json" of the result.
func (c Config) FileName(name, suffix string) string {
	name = strings.Trim(notInNames.ReplaceAllString(name, "-"), "-")
	return fmt.Sprintf("%s.%s.%d-of-%d%s", c.Name, name[:min(len(name), 100)], c.Shard.Index, c.Shard.Count, suffix)
}

// base returns the name of the file without what makes attempts differ.
func (f *File) base() string {
	return Config{Name: f.Run, Shard: loadtest.Shard{Index: f.Shard, Count: f.Shards}}.FileName(f.Name, "")
}

// write writes f into dir, whole or not at all, and not over another file.
func (f *File) write(dir string) (path string, err error) {
	return writeJSON(dir, f, func(tmp string) (string, error) { return giveName(tmp, filepath.Join(dir, f.base())) })
}

// writeJSON writes v into dir, whole or not at all: place gives what is written, at tmp, its
// path. The directory is made if there is none.
func writeJSON(dir string, v any, place func(tmp string) (string, error)) (path string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("shards: writing into %s: %w", dir, err)
		}
	}()
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(dir, ".*") // what begins with a dot is not read
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(text, '\n'))
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return "", err
	}
	return place(tmp.Name())
}

// giveName gives the file at tmp a name that no file has: base.json, or base.2.json and so on.
func giveName(tmp, base string) (path string, err error) {
	for n := 1; ; n++ {
		path = base + ".json"
		if n > 1 {
			path = fmt.Sprintf("%s.%d.json", base, n)
		}
		err = os.Link(tmp, path)
		if err != nil && !errors.Is(err, fs.ErrExist) { // no file system for links: an empty file keeps the name free
			var file *os.File
			if file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
				err = errors.Join(file.Close(), os.Rename(tmp, path))
			}
		}
		if !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
}

// Read reads the files that shards have written into dir, those of a run if it is not
// empty, in the order of run, name and shard. Other files are passed over, as far as their
// names tell. A file that is not whole is an error that names it, and the others are
// returned nevertheless.
func Read(dir, run string) ([]*File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("shards: %w", err)
	}
	var files []*File
	var faults []error
	for _, entry := range entries {
		name := entry.Name()
		if match, _ := filepath.Match("*-of-*.json", name); !match || run != "" && !strings.HasPrefix(name, run+".") {
			continue
		}
		f, err := readFile(filepath.Join(dir, name))
		switch {
		case err != nil:
			faults = append(faults, err)
		case run == "" || f.Run == run:
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b *File) int {
		return cmp.Or(strings.Compare(a.Run, b.Run), strings.Compare(a.Name, b.Name), cmp.Compare(a.Shard, b.Shard), strings.Compare(a.path, b.path))
	})
	return files, errors.Join(faults...)
}

func readFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("shards: %w", err)
	}
	f := &File{path: path}
	if err := json.Unmarshal(text, f); err != nil {
		if len(text) == 0 || !strings.HasSuffix(string(text), "}\n") {
			err = fmt.Errorf("truncated after %d bytes: %w", len(text), err)
		}
		return nil, &FileError{path, err}
	}
	switch {
	case f.Format != format:
		err = fmt.Errorf("has format %d, not %d: use the brunt of the shards' version", f.Format, format)
	case (loadtest.Shard{Index: f.Shard, Count: f.Shards}).Validate() != nil:
		err = fmt.Errorf("is of shard %d of %d, which is none", f.Shard, f.Shards)
	case f.Result == nil && f.Error == "":
		err = errors.New("has no result")
	case !strings.HasPrefix(filepath.Base(path), f.base()+"."):
		err = fmt.Errorf("has the content of %s.json", f.base())
	}
	if err != nil {
		return nil, &FileError{path, err}
	}
	return f, nil
}

// FileError is why a file is no shard's result.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("shards: %s: %v", e.Path, e.Err) }

// Unwrap returns the reason.
func (e *FileError) Unwrap() error { return e.Err }
