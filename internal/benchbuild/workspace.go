package benchbuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Base returns the tree to build the base in: with its own go.work file where the
// repository has one, and a copy of the user's where that is no part of the
// repository, with the worktree in place of the user's tree. It is the zero Tree if
// the base has no such directory or no module there: then all of the head is new.
func (w *Worktree) Base(ctx context.Context, head Tree) (Tree, error) {
	if !exists(w.Dir) {
		return Tree{}, nil
	}
	base := Tree{Dir: w.Dir, Env: head.Env}
	work, err := head.goTool(ctx, "env", "GOWORK")
	if err != nil {
		return base, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	if work != "" && work != "off" {
		twin, err := w.workFile(ctx, physical(work))
		if err != nil {
			return base, fmt.Errorf("%w: %s: %w", ErrBuild, work, err)
		}
		base.Env = append(base.Env[:len(base.Env):len(base.Env)], "GOWORK="+twin)
	}
	var mods [2]string
	for i, tree := range []Tree{base, head} {
		if mods[i], err = tree.goTool(ctx, "env", "GOMOD"); err != nil {
			return base, fmt.Errorf("%w: %w", ErrBuild, err)
		}
	}
	if none := func(mod string) bool { return mod == "" || mod == os.DevNull }; none(mods[0]) && !none(mods[1]) {
		return Tree{}, nil
	}
	return base, nil
}

// Check reports that the base would be built from files of the user's tree, as it
// would if a go.mod file named it by an absolute path: that is no comparison.
func (w *Worktree) Check(base *Listing) error {
	home := physical(w.home)
	for _, file := range base.Files {
		at := physical(file)
		_, users := within(w.repo.Top, at)
		if _, own := within(home, at); users && !own && exists(at) {
			return fmt.Errorf("%w: the base would be built from the head's %s: a replace or use directive of its go.mod or go.work file leads there; a relative path would lead to its own", ErrBuild, at)
		}
	}
	return nil
}

// workFile returns what the base has for the user's go.work file.
func (w *Worktree) workFile(ctx context.Context, work string) (string, error) {
	if rel, ok := within(w.repo.Top, work); ok {
		if own := filepath.Join(w.Root, rel); exists(own) {
			return own, nil
		}
		if out, err := w.repo.git(ctx, "ls-files", "--", work); err != nil || out != "" {
			return "off", err // the head's commits have brought it
		}
	}
	twin := filepath.Join(w.home, "base.work")
	return twin, copyWork(ctx, work, twin, func(path string) string {
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			target = path
		}
		if rel, ok := within(w.repo.Top, target); ok {
			return filepath.Join(w.Root, rel)
		}
		return path
	})
}

// Detached returns the tree with a copy of its go.work file, if it has one, at the given
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

// within returns path seen from top, if that is above it.
func within(top, path string) (rel string, ok bool) {
	rel, err := filepath.Rel(top, path)
	return rel, err == nil && filepath.IsLocal(rel)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
