package benchbuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Tree is a directory to run go in.
type Tree struct {
	Dir string
	Env []string // added to the process's own
}

// Package is one that declares benchmarks.
type Package struct {
	Path string // import path
	Dir  string
}

// readOnly is the flag that keeps go from writing to go.mod and go.sum. GOFLAGS may
// say -mod=mod, in the environment or in go env's file; -mod=vendor and go's own
// choice write nothing, and stay.
func (t Tree) readOnly(ctx context.Context) ([]string, error) {
	flags, err := t.goTool(ctx, "env", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	mod := ""
	for f := range strings.FieldsSeq(flags) {
		if value, ok := strings.CutPrefix(strings.TrimLeft(strings.Trim(f, `'"`), "-"), "mod="); ok {
			mod = value // the last one counts
		}
	}
	if mod == "mod" {
		return []string{"-mod=readonly"}, nil
	}
	return nil, nil
}

func (t Tree) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // fixed verbs
	cmd.Dir = t.Dir
	cmd.Env = append(environ(t.Dir), t.Env...)
	return run(cmd)
}

// Base returns the environment that go needs in the worktree: its own go.work file
// where the repository has one, and a copy of the user's where that is no part of
// the repository, with the worktree in place of the user's tree.
func (w *Worktree) Base(ctx context.Context, head Tree) (Tree, error) {
	base := Tree{Dir: w.Dir, Env: head.Env}
	work, err := head.goTool(ctx, "env", "GOWORK")
	if err != nil {
		return base, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	if work == "" || work == "off" {
		return base, nil
	}
	twin, err := w.workFile(ctx, work)
	if err != nil {
		return base, fmt.Errorf("%w: %s: %w", ErrBuild, work, err)
	}
	base.Env = append(base.Env[:len(base.Env):len(base.Env)], "GOWORK="+twin)
	return base, nil
}

// workFile is what the base has for the user's go.work file.
func (w *Worktree) workFile(ctx context.Context, work string) (string, error) {
	if rel, ok := within(w.repo.Top, work); ok {
		if own := filepath.Join(w.Root, rel); exists(own) {
			return own, nil
		}
		if out, err := w.repo.git(ctx, "ls-files", "--", work); err != nil || out != "" {
			return "off", err // the head's commits have brought it
		}
	}
	twin := w.Root + ".work" // beside the worktree
	return twin, copyWork(ctx, work, twin, func(path string) string {
		if rel, ok := within(w.repo.Top, path); ok {
			return filepath.Join(w.Root, rel)
		}
		return path
	})
}

// Detached is the tree with a copy of its go.work file, if it has one, at the given
// path, which must end in .work: go writes the checksums that it misses to a file
// beside it, whatever -mod says. A vendored workspace it only reads.
func (t Tree) Detached(ctx context.Context, twin string) (Tree, error) {
	work, err := t.goTool(ctx, "env", "GOWORK")
	if err == nil && work != "" && work != "off" && !exists(filepath.Join(filepath.Dir(work), "vendor", "modules.txt")) {
		t.Env = append(t.Env[:len(t.Env):len(t.Env)], "GOWORK="+twin)
		err = copyWork(ctx, work, twin, func(path string) string { return path })
	}
	if err != nil {
		return t, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	return t, nil
}

// copyWork copies a go.work file and its checksums; moved says where the copy is to
// look for what the file names. What is not there is left out.
func copyWork(ctx context.Context, work, twin string, moved func(path string) string) error {
	for from, to := range map[string]string{work: twin, work + ".sum": twin + ".sum"} {
		data, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) && from != work {
			continue
		}
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	tree := Tree{Dir: filepath.Dir(twin)}
	text, err := tree.goTool(ctx, "work", "edit", "-json", twin)
	if err != nil {
		return err
	}
	var file struct {
		Use     []struct{ DiskPath string }
		Replace []struct {
			Old, New struct{ Path, Version string }
		}
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		return err
	}
	locate := func(path string) string {
		if path = filepath.FromSlash(path); !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(work), path)
		}
		return moved(path)
	}
	edit := []string{"work", "edit"}
	for _, u := range file.Use {
		edit = append(edit, "-dropuse="+u.DiskPath)
		if dir := locate(u.DiskPath); exists(filepath.Join(dir, "go.mod")) {
			edit = append(edit, "-use="+dir)
		}
	}
	for _, r := range file.Replace {
		if r.New.Version == "" { // a directory
			old := r.Old.Path
			if r.Old.Version != "" {
				old += "@" + r.Old.Version
			}
			edit = append(edit, "-replace="+old+"="+locate(r.New.Path))
		}
	}
	_, err = tree.goTool(ctx, append(edit, twin)...)
	return err
}

// within is path seen from top, if that is above it.
func within(top, path string) (rel string, ok bool) {
	rel, err := filepath.Rel(top, path)
	return rel, err == nil && filepath.IsLocal(rel)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

var benchmark = regexp.MustCompile(`(?m)^func Benchmark`)

// Packages lists the packages that match and declare a benchmark. unmatched are
// the patterns that named nothing: on one side of a comparison that may be right.
func (t Tree) Packages(ctx context.Context, patterns []string) (packages []Package, unmatched []string, err error) {
	mod, err := t.readOnly(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	args := append([]string{"list", "-e", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles,Error,Match"}, mod...)
	out, err := t.goTool(ctx, append(append(args, "--"), patterns...)...)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	matched := make(map[string]bool)
	dec := json.NewDecoder(strings.NewReader(out))
	for {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
			Match                     []string
			Error                     *struct{ Err string }
		}
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			for _, pattern := range patterns {
				if !matched[pattern] {
					unmatched = append(unmatched, pattern)
				}
			}
			return packages, unmatched, nil
		case err != nil:
			return nil, nil, fmt.Errorf("%w: go list: %w", ErrBuild, err)
		}
		files := slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		if len(files) == 0 && p.Error != nil {
			continue
		}
		for _, m := range p.Match {
			matched[m] = true
		}
		for _, f := range files {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrBuild, err)
			}
			if benchmark.Match(src) {
				packages = append(packages, Package{p.ImportPath, p.Dir})
				break
			}
		}
	}
}

// Build compiles a package's tests to the file out. go is interrupted with the
// context, and keeps its own temporary files in the directory of out. Vet is off:
// what a newer go finds in an older base is no reason not to measure it.
func (t Tree) Build(ctx context.Context, p Package, out string) error {
	t.Env = append(t.Env[:len(t.Env):len(t.Env)], "GOTMPDIR="+filepath.Dir(out))
	mod, err := t.readOnly(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	args := append([]string{"test", "-c", "-vet=off", "-o", out}, mod...)
	if _, err := t.goTool(ctx, append(args, p.Path)...); err != nil {
		if len(mod) > 0 {
			err = fmt.Errorf("%w\n(built with -mod=readonly, not with -mod=mod as in GOFLAGS: a comparison does not edit go.mod or go.sum)", err)
		}
		return fmt.Errorf("%w: %s: %w", ErrBuild, p.Path, err)
	}
	if _, err := os.Stat(out); err != nil {
		return fmt.Errorf("%w: %s: go test -c made no binary: %w", ErrBuild, p.Path, err)
	}
	return nil
}
