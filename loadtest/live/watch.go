package live

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/loadtest/internal/text"
)

// silence is how long a shard may say nothing while it runs: it reports every second.
const silence = 5 * time.Second

// Watch returns a handler of a page about the run whose shards record their progress in
// dir, see [Show]: side by side, as their clocks say. Where there are several runs, it is
// the one that began last. The page names shards that are missing or silent, and files that
// cannot be read; a last line that is half-written is waited for. The handler answers
// requests for a loopback address only, and has nothing to close.
func Watch(dir string) http.Handler {
	return newHandler((&watcher{dir: dir}).view)
}

type watcher struct {
	dir string

	mu    sync.Mutex // guards the fields below
	files map[string]*file
}

func (w *watcher) view() htmlreport.Live {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	faults := w.poll(now)
	run, runs := w.latest()
	if run == nil {
		return htmlreport.Live{Title: w.dir, State: "waiting for the progress of a run", Result: &loadtest.EngineResult{Warnings: warnings(faults)}}
	}
	shards := make([]*file, run.Count)
	for name, f := range w.files {
		switch {
		case f.Run != run.Run || f.Name != run.Name:
		case f.Count != run.Count:
			faults = append(faults, fmt.Sprintf("%s: of %d shards, where this run has %d", name, f.Count, run.Count))
		default:
			shards[f.Index] = f
		}
	}
	running, done, planned := 0, 0, time.Duration(0)
	tracks := make([]*track, 0, len(shards))
	var missing []int
	for i, f := range shards {
		if f == nil {
			missing = append(missing, i)
			continue
		}
		tracks = append(tracks, &f.track)
		planned = max(planned, f.last.Planned)
		since := now.Sub(f.seen)
		switch f.quiet = !f.last.Done && since > silence; {
		case f.last.Done:
			done++
		case f.quiet:
			faults = append(faults, fmt.Sprintf("shard %d of %d is silent: nothing for %v", i, len(shards), since.Truncate(time.Second)))
		default:
			running++
		}
	}
	if len(missing) > 0 {
		faults = append(faults, fmt.Sprintf("%d of %d shards are missing: %s", len(missing), len(shards), text.Cut(strings.Trim(fmt.Sprint(missing), "[]"), 80)))
	}
	l := join(tracks)
	l.Title = run.Run + " " + run.Name
	switch l.State = fmt.Sprintf("%d of %d shards running", running, len(shards)); done {
	case 0:
		l.State += ": " + extent(l.Result.Elapsed, planned)
	case len(shards):
		l.State = fmt.Sprintf("done: %d shards, after %s", done, extent(l.Result.Elapsed, 0))
	default:
		l.State += fmt.Sprintf(", %d done: %s", done, extent(l.Result.Elapsed, planned))
	}
	if runs > 1 {
		l.State += fmt.Sprintf("; the last of %d runs in %s", runs, w.dir)
	}
	slices.Sort(faults)
	l.Result.Warnings = warnings(faults)
	return l
}

// poll reads what is new, and returns what is wrong with the files.
func (w *watcher) poll(now time.Time) (faults []string) {
	entries, err := os.ReadDir(w.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		faults = append(faults, err.Error())
	}
	files := make(map[string]*file)
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		f := cmp.Or(w.files[name], new(file))
		files[name] = f
		reading := f.read(filepath.Join(w.dir, name), now)
		for _, fault := range []error{reading, f.fault} {
			if fault != nil {
				faults = append(faults, fmt.Sprintf("%s: %v", name, fault))
			}
		}
	}
	if err == nil { // otherwise what was read is better than nothing
		w.files = files
	}
	return faults
}

// latest returns a shard of the run that began last, nil if there is none, and how many
// runs there are.
func (w *watcher) latest() (last *file, runs int) {
	seen := make(map[[2]string]bool)
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		f := w.files[name]
		if f.began.IsZero() {
			continue
		}
		seen[[2]string{f.Run, f.Name}] = true
		if last == nil || f.began.After(last.began) {
			last = f
		}
	}
	return last, len(seen)
}

func warnings(faults []string) (out []loadtest.Warning) {
	for _, fault := range faults {
		out = append(out, loadtest.Warning{Kind: "shards", Text: fault})
	}
	return out
}
