package benchbuild

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// clone is a repository of which the commits are here.
type clone struct {
	gitDir string
	tree   string // the user's checkout of it; there may be none
}

// submodules fills those of a commit that is checked out at the path, from the
// user's clones of them: git submodule would clone them anew, from where that may
// not be allowed or not be reached, and would write it down in the repository.
func (w *Worktree) submodules(ctx context.Context, c clone, commit, path string) error {
	list := filepath.Join(w.Root, path, ".gitmodules")
	if !exists(list) {
		return nil // git takes entries that are not named there for none of its own
	}
	names, err := w.repo.git(ctx, "config", "--null", "--file", list, "--get-regexp", `^submodule\..*\.path$`)
	if err != nil {
		return nil //nolint:nilerr // it names none
	}
	named := make(map[string]string) // by path
	for entry := range strings.SplitSeq(names, "\x00") {
		key, at, _ := strings.Cut(entry, "\n")
		named[at] = strings.TrimSuffix(strings.TrimPrefix(key, "submodule."), ".path")
	}
	tree, err := w.repo.git(ctx, "--git-dir="+c.gitDir, "ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoBase, err)
	}
	for entry := range strings.SplitSeq(tree, "\x00") {
		mode, at, _ := strings.Cut(entry, "\t")
		pinned, ok := strings.CutPrefix(mode, "160000 commit ")
		if name := named[at]; ok && name != "" && filepath.IsLocal(name) {
			if err := w.submodule(ctx, c.submodule(ctx, name, at), pinned, filepath.Join(path, filepath.FromSlash(at))); err != nil {
				return err
			}
		}
	}
	return nil
}

// submodule returns the clone of a submodule: that in the user's tree, or, if the user's
// commit has it no longer or elsewhere, the one that git keeps.
func (c clone) submodule(ctx context.Context, name, at string) clone {
	sub := clone{filepath.Join(c.gitDir, "modules", name), filepath.Join(c.tree, filepath.FromSlash(at))}
	if exists(filepath.Join(sub.tree, ".git")) {
		if gitDir, err := runGit(ctx, sub.tree, nil, "rev-parse", "--absolute-git-dir"); err == nil {
			sub.gitDir = gitDir
		}
	}
	return sub
}

func (w *Worktree) submodule(ctx context.Context, c clone, commit, path string) error {
	lacks := func(why string) error {
		w.Lacking = append(w.Lacking, fmt.Sprintf("submodule %s: %s", filepath.ToSlash(path), why))
		return ctx.Err()
	}
	if !exists(c.gitDir) {
		return lacks("it is not cloned; git submodule update --init --recursive does")
	}
	into := filepath.Join(w.Root, path)
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	git := func(args ...string) error {
		// An index of its own: the clone's is the user's.
		index := "GIT_INDEX_FILE=" + filepath.Join(w.home, "index")
		_, err := runGit(ctx, into, []string{index}, append([]string{"--git-dir=" + c.gitDir, "--work-tree=" + into}, args...)...)
		return err
	}
	if git("cat-file", "-e", commit+"^{commit}") != nil {
		return lacks(fmt.Sprintf("the clone lacks its commit %s; git fetch in it", commit))
	}
	err := git("read-tree", "--reset", commit)
	if err == nil {
		err = git("checkout-index", "--all", "--force")
	}
	if err != nil {
		return fmt.Errorf("%w: submodule %s: %w", ErrNoBase, filepath.ToSlash(path), err)
	}
	return w.submodules(ctx, c, commit, path)
}
