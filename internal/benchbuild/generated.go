package benchbuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// Prepare runs a command line in the tree's directory, by sh or, on Windows, cmd.
// It has the environment of a build in that tree, and BRUNT_SIDE besides.
func (t Tree) Prepare(ctx context.Context, line, side string) error {
	shell := []string{"sh", "-c"}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/c"}
	}
	cmd := exec.CommandContext(ctx, shell[0], shell[1], line)
	cmd.Dir = t.Dir
	cmd.Env = append(append(environ(t.Dir), t.Env...), "BRUNT_SIDE="+side)
	if _, err := run(cmd); err != nil {
		return fmt.Errorf("%w: prepare %q: %w", ErrBuild, line, err)
	}
	return nil
}

// CopyIgnored gives the worktree those of the files, which the head is built from,
// that git ignores in the user's tree and that the commit lacks: generated ones, as
// a rule. It returns their paths in the repository, with slashes.
func (w *Worktree) CopyIgnored(ctx context.Context, files []string) (copied []string, err error) {
	out, err := w.repo.git(ctx, "-C", w.repo.Top, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	ignored := make(map[string]bool)
	for name := range strings.SplitSeq(out, "\x00") {
		ignored[strings.TrimSuffix(name, "/")] = true // a directory stands for all in it
	}
	for _, file := range files {
		rel, ok := within(w.repo.Top, physical(file))
		if !ok {
			continue
		}
		rel = filepath.ToSlash(rel)
		at := rel
		for at != "." && !ignored[at] {
			at = path.Dir(at)
		}
		into := filepath.Join(w.Root, filepath.FromSlash(rel))
		if at == "." || exists(into) {
			continue
		}
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // go.sum
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(into), 0o755)
		}
		if err == nil {
			err = os.WriteFile(into, data, 0o644)
		}
		if err != nil {
			return copied, fmt.Errorf("%w: %w", ErrBuild, err)
		}
		copied = append(copied, rel)
	}
	return copied, nil
}

// physical returns the path of a file without symbolic links above it.
func physical(file string) string {
	if dir, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil {
		return filepath.Join(dir, filepath.Base(file))
	}
	return file
}
