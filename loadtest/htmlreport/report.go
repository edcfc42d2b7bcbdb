package htmlreport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.com/brunt/loadtest"
)

var (
	// ErrConfig is matched by every fault of Options.
	ErrConfig = errors.New("htmlreport: bad options")
	// ErrNoResult is returned where there is no result to report, or a nil one.
	ErrNoResult = errors.New("htmlreport: no result")
)

// Options say what a report carries besides results. The zero value is ready to
// use.
type Options struct {
	// Title heads the page; empty means "Load test", or "Capacity" of a search.
	Title string
	// Names tell the results apart, in their order. None means the engine and the
	// concurrency of each; otherwise every result needs one, not empty and unlike
	// the others.
	Names []string
	// SLO, if not nil, is what each result is judged by; the page shows the verdict
	// first, and every objective.
	SLO *loadtest.SLO
	// Environment says where the load was made. nil means [Environment] of this
	// process; an empty slice means that nothing is said. Results that come from
	// another machine, or a page that must not change, need one of their own.
	Environment []Fact
}

// Fact is one line of a report's environment.
type Fact struct{ Name, Value string }

// Validate reports every fault of o that does not depend on the results; each
// matches ErrConfig.
func (o Options) Validate() error {
	var errs []error
	seen := make(map[string]bool)
	for i, n := range o.Names {
		switch {
		case n == "":
			errs = append(errs, fmt.Errorf("%w: Names[%d] is empty: must name its result", ErrConfig, i))
		case seen[n]:
			errs = append(errs, fmt.Errorf("%w: Names[%d] is %q: must be unlike the others", ErrConfig, i, n))
		}
		seen[n] = true
	}
	if o.SLO != nil {
		if err := o.SLO.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrConfig, err))
		}
	}
	for i, f := range o.Environment {
		if f.Name == "" {
			errs = append(errs, fmt.Errorf("%w: Environment[%d].Name is empty: must say what %q is", ErrConfig, i, f.Value))
		}
	}
	return errors.Join(errs...)
}

func (o Options) check(results []*loadtest.EngineResult) error {
	errs := []error{o.Validate()}
	if len(results) == 0 {
		errs = append(errs, ErrNoResult)
	}
	for i, r := range results {
		if r == nil {
			errs = append(errs, fmt.Errorf("%w: result %d is nil", ErrNoResult, i))
		}
	}
	if n := len(o.Names); n > 0 && n != len(results) {
		errs = append(errs, fmt.Errorf("%w: Names has %d entries: must have one for each of the %d results, or none", ErrConfig, n, len(results)))
	}
	return errors.Join(errs...)
}

// Write writes a page about results to w, in one call of w.Write; after an error
// of the options or the results, nothing has been written. The results are only
// read, but must not be used by others meanwhile: they are not safe for concurrent
// use. Eight results are told apart by color; further ones repeat the colors.
func Write(w io.Writer, o Options, results ...*loadtest.EngineResult) error {
	if err := o.check(results); err != nil {
		return err
	}
	return write(w, newPage(o, results))
}

// write writes p in one call of w.Write.
func write(w io.Writer, p *page) error {
	var buf bytes.Buffer
	if err := render(&buf, p); err != nil {
		return fmt.Errorf("htmlreport: %w", err)
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("htmlreport: %w", err)
	}
	return nil
}

// WriteFile writes a page about results to the file at path, readable for all.
// The file appears whole or not at all: what was there before stays until the
// new page has reached the disk, and stays after an error.
func WriteFile(path string, o Options, results ...*loadtest.EngineResult) error {
	return writeFile(path, func(w io.Writer) error { return Write(w, o, results...) })
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*.tmp")
	if err != nil {
		return fmt.Errorf("htmlreport: %w", err)
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("htmlreport: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("htmlreport: %w", err)
	}
	return nil
}
