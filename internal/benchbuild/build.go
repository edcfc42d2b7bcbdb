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

func (t Tree) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // fixed verbs
	cmd.Dir = t.Dir
	cmd.Env = append(environ(t.Dir), t.Env...)
	return run(cmd)
}

// Base returns the environment that go needs in the worktree: a go.work file in
// the user's repository has its twin there, any other would lead out of it.
func (w *Worktree) Base(ctx context.Context, head Tree) (Tree, error) {
	base := Tree{Dir: w.Dir, Env: head.Env}
	work, err := head.goTool(ctx, "env", "GOWORK")
	if err != nil {
		return base, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	if work == "" || work == "off" {
		return base, nil
	}
	twin := "off"
	if rel, err := filepath.Rel(w.repo.Top, work); err == nil && filepath.IsLocal(rel) {
		if _, err := os.Stat(filepath.Join(w.Root, rel)); err == nil {
			twin = filepath.Join(w.Root, rel)
		}
	}
	base.Env = append(base.Env[:len(base.Env):len(base.Env)], "GOWORK="+twin)
	return base, nil
}

var benchmark = regexp.MustCompile(`(?m)^func Benchmark`)

// Packages lists the packages that match and declare a benchmark. unmatched are
// the patterns that named nothing: on one side of a comparison that may be right.
func (t Tree) Packages(ctx context.Context, patterns []string) (packages []Package, unmatched []string, err error) {
	out, err := t.goTool(ctx, append([]string{"list", "-e", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles,Error,Match", "--"}, patterns...)...)
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
	if _, err := t.goTool(ctx, "test", "-c", "-vet=off", "-o", out, p.Path); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBuild, p.Path, err)
	}
	if _, err := os.Stat(out); err != nil {
		return fmt.Errorf("%w: %s: go test -c made no binary: %w", ErrBuild, p.Path, err)
	}
	return nil
}
