// Package benchbuild makes test binaries of two states of a repository: the base,
// in a temporary git worktree, and the head, which is the user's own tree as it
// is, uncommitted changes and all. Neither that tree nor its index is written to.
package benchbuild

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/brunt/internal/procgroup"
)

var (
	// ErrNoRepository means that the directory is in no git work tree.
	ErrNoRepository = errors.New("not in a git repository")
	// ErrNoBase means that the base revision cannot be found.
	ErrNoBase = errors.New("no such base")
	// ErrShallow means that a shallow clone lacks the commits needed.
	ErrShallow = errors.New("shallow clone")
	// ErrBuild means that a package does not list or build.
	ErrBuild = errors.New("build failed")
)

// Repo is a git work tree. It is safe for concurrent use by multiple goroutines.
type Repo struct {
	Top    string // its root
	Prefix string // from there to the directory it was opened at; "." is the root

	dir string
}

// Open finds the work tree around dir.
func Open(ctx context.Context, dir string) (*Repo, error) {
	r := &Repo{dir: dir}
	out, err := r.git(ctx, "rev-parse", "--show-toplevel", "--show-prefix")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRepository, err)
	}
	top, prefix, _ := strings.Cut(out, "\n")
	r.Top, r.Prefix = filepath.FromSlash(top), filepath.Clean(filepath.FromSlash(strings.TrimSpace(prefix)))
	return r, nil
}

// git runs one command in the repository. It is in the background, where a
// question would stop it for good, so it may not ask any.
func (r *Repo) git(ctx context.Context, args ...string) (string, error) {
	return runGit(ctx, r.dir, nil, args...)
}

func runGit(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(append(environ(dir), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "SSH_ASKPASS_REQUIRE=force"), env...)
	return run(cmd)
}

// environ returns the process's own environment for a command in dir, without what git
// tells its hooks: under a pre-commit hook, git worktree add would write the new
// worktree's index over the user's. Optional locks are off, so that not even the
// index's cache is refreshed, be it by git or by a go that asks git for a version.
func environ(dir string) []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		key, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_IMPLICIT_WORK_TREE"}, key)
	})
	return append(env, "GIT_OPTIONAL_LOCKS=0", "PWD="+dir)
}

// run reports what a command said as its error. A canceled command is asked to
// end first, so that it can put its own files away.
func run(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := procgroup.Run(cmd, os.Interrupt); err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
		if text := cmp.Or(strings.TrimSpace(stderr.String()), strings.TrimSpace(stdout.String())); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return "", err
	}
	return strings.TrimSpace(stdout.String()), nil
}

// DefaultBase returns the first of the usual names of a main branch that exists.
func (r *Repo) DefaultBase(ctx context.Context) (string, error) {
	names := []string{"origin/HEAD", "origin/main", "origin/master", "main", "master"}
	for _, name := range names {
		if _, err := r.git(ctx, "rev-parse", "--verify", "--quiet", name+"^{commit}"); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: none of %s exists; name one with -base%s", ErrNoBase, strings.Join(names, ", "), r.shallowHint(ctx))
}

// MergeBase returns the commit at which the head left ref: what came into ref since is
// not the head's doing.
func (r *Repo) MergeBase(ctx context.Context, ref string) (string, error) {
	if strings.HasPrefix(ref, "-") {
		return "", fmt.Errorf("%w: %q", ErrNoBase, ref)
	}
	commit, err := r.git(ctx, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		if r.shallow(ctx) {
			return "", fmt.Errorf("%w: %w: %q is not in it%s", ErrShallow, ErrNoBase, ref, r.shallowHint(ctx))
		}
		return "", fmt.Errorf("%w: %q names no commit; is it fetched?", ErrNoBase, ref)
	}
	base, err := r.git(ctx, "merge-base", "HEAD", commit)
	switch {
	case err == nil:
		return base, nil
	case r.shallow(ctx):
		return "", fmt.Errorf("%w: it does not reach back to where the head left %q%s", ErrShallow, ref, r.shallowHint(ctx))
	}
	return "", fmt.Errorf("%w: the head and %q have no commit in common: %w", ErrNoBase, ref, err)
}

func (r *Repo) shallow(ctx context.Context) bool {
	out, err := r.git(ctx, "rev-parse", "--is-shallow-repository")
	return err == nil && out == "true"
}

func (r *Repo) shallowHint(ctx context.Context) string {
	if !r.shallow(ctx) {
		return ""
	}
	return "; this is a shallow clone: run git fetch --unshallow, or check out with fetch-depth: 0"
}

// Head describes the head: the commit, and whether anything is uncommitted.
func (r *Repo) Head(ctx context.Context) string {
	commit, err := r.git(ctx, "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changes, err := r.git(ctx, "status", "--porcelain"); err == nil && changes != "" {
		commit += " with uncommitted changes"
	}
	return commit
}

// Worktree is a checkout of one commit.
type Worktree struct {
	Root string
	Dir  string // the directory that corresponds to the one the Repo was opened at
	// Lacking says which submodules of the commit are left empty, and why.
	Lacking []string

	repo *Repo
	home string // everything of it is in here
}

// Checkout makes a detached worktree of the commit, with its submodules, within
// home, which must not exist. No hook runs, and nothing comes over the network.
// Remove must follow, also after an error.
//
// The worktree stands in a likeness of the directories above the repository, made
// of links, so that a path that leads out of the repository, in a go.mod or go.work
// file, a cgo flag or a test, leads to the same from there.
func (r *Repo) Checkout(ctx context.Context, commit, home string) (*Worktree, error) {
	root := filepath.Join(home, "root", r.Top[len(filepath.VolumeName(r.Top)):])
	w := &Worktree{Root: root, Dir: filepath.Join(root, r.Prefix), repo: r, home: home}
	if err := w.mirror(); err != nil {
		return w, err
	}
	if _, err := r.git(ctx, "-c", "core.hooksPath="+os.DevNull, "worktree", "add", "--quiet", "--detach", root, commit); err != nil {
		return w, fmt.Errorf("%w: %w", ErrNoBase, err)
	}
	gitDir, err := r.git(ctx, "rev-parse", "--absolute-git-dir")
	if err == nil {
		err = w.submodules(ctx, clone{gitDir, r.Top}, commit, ".")
	}
	return w, err
}

// mirror makes the directories above the worktree. What cannot be read or linked is
// not there: go, or the test, says so if it needs it.
func (w *Worktree) mirror() error {
	from, to := w.repo.Top, w.Root
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	for filepath.Dir(from) != from {
		name := filepath.Base(from)
		from, to = filepath.Dir(from), filepath.Dir(to)
		entries, _ := os.ReadDir(from)
		for _, e := range entries {
			if e.Name() != name {
				_ = os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
			}
		}
	}
	return nil
}

// Remove removes the worktree and git's record of it. The context's end does not
// stop it: this is what comes after an interrupt.
func (w *Worktree) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := os.RemoveAll(w.home); err != nil {
		return err
	}
	// Pruning would take records of the user's own with it. An interrupted checkout has
	// taken its own back, and then there is none to remove.
	if _, err := w.repo.git(ctx, "worktree", "remove", "--force", "--force", w.Root); err != nil {
		list, listErr := w.repo.git(ctx, "worktree", "list", "--porcelain")
		if listErr != nil || strings.Contains(list, filepath.ToSlash(w.Root)) {
			return err
		}
	}
	// git forgets its directory of records when interrupted; one with records stays.
	if dir, err := w.repo.git(ctx, "rev-parse", "--path-format=absolute", "--git-common-dir"); err == nil {
		_ = os.Remove(filepath.Join(filepath.FromSlash(dir), "worktrees"))
	}
	return nil
}
