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
	"reflect"
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
func (t Tree) readOnly(ctx context.Context) (flags []string, err error) {
	set, err := t.goTool(ctx, "env", "GOFLAGS")
	for f := range strings.FieldsSeq(set) {
		if mod, ok := strings.CutPrefix(strings.TrimLeft(strings.Trim(f, `'"`), "-"), "mod="); ok {
			flags = nil // the last one counts
			if mod == "mod" {
				flags = []string{"-mod=readonly"}
			}
		}
	}
	return flags, err
}

func (t Tree) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.Dir
	cmd.Env = append(environ(t.Dir), t.Env...)
	return run(cmd)
}

var benchmark = regexp.MustCompile(`(?m)^func Benchmark`)

// Listing is what go finds in a tree.
type Listing struct {
	Packages  []Package // those that match and declare a benchmark
	Unmatched []string  // patterns that named nothing: on one side of a comparison that may be right
	Files     []string  // of the modules that are no released ones, all that builds read
}

// listed is a package as go list has it.
type listed struct {
	ImportPath, Dir, ForTest  string
	Standard, DepOnly         bool
	Match                     []string
	TestGoFiles, XTestGoFiles []string
	Error                     *struct{ Err string }
	Module                    *struct {
		Main    bool
		GoMod   string
		Replace *struct{ Version string }
	}
	// What else it is built from.
	GoFiles, CgoFiles, CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles, SwigFiles, SwigCXXFiles, SysoFiles []string
	EmbedFiles, TestEmbedFiles, XTestEmbedFiles                                                             []string
}

// listedFields are the fields' names, for go list.
var listedFields = func() string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[listed]()) {
		names = append(names, f.Name)
	}
	return strings.Join(names, ",")
}()

// files returns the files of a package whose source is at hand, not a release of it.
func (p *listed) files() (paths []string) {
	m := p.Module
	if p.Standard || m == nil || !m.Main && (m.Replace == nil || m.Replace.Version != "") {
		return nil
	}
	for _, name := range slices.Concat(
		p.TestGoFiles, p.XTestGoFiles, p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.MFiles, p.HFiles, p.FFiles, p.SFiles,
		p.SwigFiles, p.SwigCXXFiles, p.SysoFiles, p.EmbedFiles, p.TestEmbedFiles, p.XTestEmbedFiles,
	) {
		if !filepath.IsAbs(name) { // not in go's cache
			paths = append(paths, filepath.Join(p.Dir, name))
		}
	}
	return append(paths, m.GoMod, filepath.Join(filepath.Dir(m.GoMod), "go.sum"))
}

// List lists the packages that match, and the files that they are built from.
func (t Tree) List(ctx context.Context, patterns []string) (*Listing, error) {
	mod, err := t.readOnly(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	args := append([]string{"list", "-e", "-deps", "-test", "-json=" + listedFields}, mod...)
	out, err := t.goTool(ctx, append(append(args, "--"), patterns...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	l, matched := new(Listing), make(map[string]bool)
	dec := json.NewDecoder(strings.NewReader(out))
	for {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			for _, pattern := range patterns {
				if !matched[pattern] {
					l.Unmatched = append(l.Unmatched, pattern)
				}
			}
			slices.Sort(l.Files)
			l.Files = slices.Compact(l.Files)
			return l, nil
		case err != nil:
			return nil, fmt.Errorf("%w: go list: %w", ErrBuild, err)
		}
		l.Files = append(l.Files, p.files()...)
		files := slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		if p.DepOnly || p.ForTest != "" || len(files) == 0 && p.Error != nil {
			continue
		}
		for _, m := range p.Match {
			matched[m] = true
		}
		for _, f := range files {
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrBuild, err)
			}
			if benchmark.Match(src) {
				l.Packages = append(l.Packages, Package{p.ImportPath, p.Dir})
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
