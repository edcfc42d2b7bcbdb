package benchbuild

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/gittest"
	"example.com/brunt/internal/proctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repo is a repository to build from.
type repo struct{ *gittest.Repo }

func newRepo(t *testing.T, files map[string]string) *repo {
	t.Helper()
	return &repo{gittest.New(t, files)}
}

func (r *repo) open() *Repo {
	r.Helper()
	repo, err := Open(r.Context(), r.Dir)
	require.NoError(r, err)
	return repo
}

// script is the path of a shell script.
func (r *repo) script(name, body string) string {
	r.Helper()
	if runtime.GOOS == "windows" {
		r.Skip("needs a shell and process groups")
	}
	path := filepath.Join(r.TempDir(), name)
	require.NoError(r, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

// await waits for a script's note of its process.
func (r *repo) await(file string) (pid int) {
	r.Helper()
	require.Eventually(r, func() bool {
		data, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil
	}, time.Minute, 5*time.Millisecond)
	return pid
}

// gone waits for a process's end.
func (r *repo) gone(pid int) {
	r.Helper()
	require.Eventually(r, func() bool { return proctest.Ended(pid) }, 10*time.Second, 5*time.Millisecond)
}

// snapshot is every file of the repository, git's own included, with its content,
// mode and time.
func (r *repo) snapshot() map[string]string {
	r.Helper()
	files := make(map[string]string)
	require.NoError(r, filepath.WalkDir(r.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(r.Dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			files[rel] = info.Mode().String() // the time of .git changes as worktrees come and go
			return nil
		}
		data, err := os.ReadFile(path)
		files[rel] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano(), "\n", string(data))
		return err
	}))
	return files
}

// unchanged names what differs, not all that does not.
func (r *repo) unchanged(before map[string]string) {
	r.Helper()
	after := r.snapshot()
	for name, was := range before {
		if is := after[name]; is != was {
			r.Errorf("%s was %q, is %q", name, was, is)
		}
		delete(after, name)
	}
	require.Empty(r, slices.Collect(maps.Keys(after)), "new files")
}

// A tree in every state at once: staged, staged and changed again, changed,
// deleted, added, untracked, ignored, and with an index whose cache is stale.
func dirty(t *testing.T) (r *repo, commit string) {
	t.Helper()
	r = newRepo(t, map[string]string{
		"sub/m_test.go": "package m" + benchSource, "staged": "1", "both": "1", "changed": "1", "deleted": "1", "touched": "1", ".gitignore": "ignored\n",
	})
	commit = r.Git("rev-parse", "HEAD")
	r.Write(map[string]string{"staged": "2", "both": "2", "added": "2"})
	r.Git("add", "staged", "both", "added")
	r.Write(map[string]string{"both": "3", "changed": "3", "untracked": "3", "ignored": "3", "intended": "3"})
	r.Git("add", "-N", "intended")
	require.NoError(t, os.Remove(filepath.Join(r.Dir, "deleted")))
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(r.Dir, "touched"), old, old))
	return r, commit
}

func TestNothingOfTheUsersIsTouched(t *testing.T) {
	r, commit := dirty(t)
	// A go that stamps versions asks git for the tree's state.
	t.Setenv("GOFLAGS", "-buildvcs=true -ldflags=-w")
	before := r.snapshot()
	repo, err := Open(t.Context(), filepath.Join(r.Dir, "sub"))
	require.NoError(t, err)
	require.Equal(t, r.Dir, repo.Top)
	require.Equal(t, "sub", repo.Prefix)
	base, err := repo.MergeBase(t.Context(), "main")
	require.NoError(t, err)
	require.Equal(t, commit, base)
	require.Equal(t, commit[:12]+" with uncommitted changes", repo.Head(t.Context()))
	tmp := t.TempDir()
	home := filepath.Join(tmp, "base")
	w, err := repo.Checkout(t.Context(), base, home)
	require.NoError(t, err)
	root := w.Root
	require.Equal(t, filepath.Join(root, "sub"), w.Dir)
	for name, want := range map[string]string{"staged": "1", "both": "1", "changed": "1", "deleted": "1"} {
		got, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
	for _, name := range []string{"added", "untracked", "ignored", "intended"} {
		require.NoFileExists(t, filepath.Join(root, name))
	}
	head := Tree{Dir: filepath.Join(r.Dir, "sub")}
	baseTree, err := w.Base(t.Context(), head)
	require.NoError(t, err)
	for _, tree := range []Tree{baseTree, head} {
		l, err := tree.List(t.Context(), []string{"./..."})
		require.NoError(t, err)
		require.Len(t, l.Packages, 1)
		require.NoError(t, tree.Build(t.Context(), l.Packages[0], filepath.Join(tmp, "x.test")))
	}
	require.NoError(t, w.Remove(t.Context()))
	require.NoDirExists(t, home)
	r.unchanged(before)
}

// Under a hook git names the user's index in the environment, and git worktree add
// writes to the index that is named there.
func TestUnderAHook(t *testing.T) {
	r, _ := dirty(t)
	before := r.snapshot()
	t.Setenv("GIT_INDEX_FILE", filepath.Join(r.Dir, ".git", "index"))
	t.Setenv("GIT_DIR", ".git")
	t.Setenv("GIT_PREFIX", "")
	repo, err := Open(t.Context(), filepath.Join(r.Dir, "sub"))
	require.NoError(t, err)
	w, err := repo.Checkout(t.Context(), "HEAD", filepath.Join(t.TempDir(), "base"))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(w.Root, "changed"))
	require.NoError(t, w.Remove(t.Context()))
	r.unchanged(before)
}

// No hook of the user's runs for a worktree that is not the user's.
func TestNoHookRuns(t *testing.T) {
	r := newRepo(t, nil)
	ran := filepath.Join(t.TempDir(), "ran")
	hook := filepath.Join(r.Dir, ".git", "hooks", "post-checkout")
	require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\necho >"+ran+"\n"), 0o755))
	w, err := r.open().Checkout(t.Context(), "HEAD", filepath.Join(t.TempDir(), "base"))
	require.NoError(t, err)
	require.NoError(t, w.Remove(t.Context()))
	require.NoFileExists(t, ran)
}

// The base is where the head left the branch, not what the branch is by now.
func TestMergeBase(t *testing.T) {
	r := newRepo(t, nil)
	fork := r.Commit()
	r.Git("checkout", "-q", "-b", "feature")
	r.Commit()
	r.Git("checkout", "-q", "main")
	later := r.Commit()
	r.Git("tag", "later")
	r.Git("checkout", "-q", "feature")
	for _, ref := range []string{"main", "later", later, fork, "feature~1"} {
		got, err := r.open().MergeBase(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, fork, got, ref)
	}
	r.Git("checkout", "-q", "--orphan", "alone")
	r.Commit()
	_, err := r.open().MergeBase(t.Context(), "main")
	require.ErrorIs(t, err, ErrNoBase)
	require.ErrorContains(t, err, "no commit in common")
}

func TestBadReferences(t *testing.T) {
	r := newRepo(t, nil)
	for _, ref := range []string{"nonesuch", "", "-x", "--upload-pack=touch x", "main:go.mod", "main..main"} {
		_, err := r.open().MergeBase(t.Context(), ref)
		require.ErrorIs(t, err, ErrNoBase, "%q", ref)
		require.NotErrorIs(t, err, ErrShallow)
	}
	_, err := Open(t.Context(), t.TempDir())
	require.ErrorIs(t, err, ErrNoRepository)
}

func TestDefaultBase(t *testing.T) {
	r := newRepo(t, nil)
	base, err := r.open().DefaultBase(t.Context())
	require.NoError(t, err)
	require.Equal(t, "main", base)
	r.Git("update-ref", "refs/remotes/origin/master", "HEAD")
	base, err = r.open().DefaultBase(t.Context())
	require.NoError(t, err)
	require.Equal(t, "origin/master", base)
	r.Git("update-ref", "-d", "refs/remotes/origin/master")
	r.Git("branch", "-m", "trunk")
	_, err = r.open().DefaultBase(t.Context())
	require.ErrorIs(t, err, ErrNoBase)
	require.ErrorContains(t, err, "name one with -base")
}

func TestShallowClone(t *testing.T) {
	r := newRepo(t, nil)
	r.Commit()
	r.Git("checkout", "-q", "-b", "feature")
	r.Commit()
	clone := filepath.Join(t.TempDir(), "clone")
	r.Git("clone", "-q", "--depth=1", "--no-single-branch", "file://"+filepath.ToSlash(r.Dir), clone)
	repo, err := Open(t.Context(), clone)
	require.NoError(t, err)
	for ref, want := range map[string]string{
		"origin/main": "does not reach back to where the head left", // there, but unconnected
		"HEAD~1":      `"HEAD~1" is not in it`,
	} {
		_, err := repo.MergeBase(t.Context(), ref)
		require.ErrorIs(t, err, ErrShallow, ref)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "run git fetch --unshallow, or check out with fetch-depth: 0")
	}
}

func TestFailedCheckoutIsCleanedUp(t *testing.T) {
	r := newRepo(t, nil)
	r.Write(map[string]string{"late/m_test.go": "package m" + benchSource})
	before := r.snapshot()
	repo, err := Open(t.Context(), filepath.Join(r.Dir, "late"))
	require.NoError(t, err)
	root := filepath.Join(t.TempDir(), "base")
	w, err := repo.Checkout(t.Context(), "HEAD", root)
	require.NoError(t, err)
	base, err := w.Base(t.Context(), Tree{Dir: filepath.Join(r.Dir, "late")})
	require.NoError(t, err)
	require.Equal(t, Tree{}, base, "the base has no such directory")
	require.NoError(t, w.Remove(t.Context()))
	w, err = repo.Checkout(t.Context(), strings.Repeat("0", 40), root)
	require.ErrorIs(t, err, ErrNoBase)
	require.NoError(t, w.Remove(t.Context()))
	require.NoDirExists(t, root)
	r.unchanged(before)
}

// A checkout that is interrupted half-way, in a filter that takes its time.
func TestCanceledCheckout(t *testing.T) {
	r := newRepo(t, map[string]string{".gitattributes": "slow filter=slow\n", "a": "1", "slow": "1", "z": "1"})
	started := filepath.Join(t.TempDir(), "started")
	r.Git("config", "filter.slow.smudge", r.script("smudge", "echo $$ >"+started+"; sleep 600; cat"))
	before := r.snapshot()
	ctx, cancel := context.WithCancel(t.Context())
	root := filepath.Join(t.TempDir(), "base")
	repo := r.open()
	type result struct {
		w   *Worktree
		err error
	}
	ended := make(chan result, 1)
	go func() { // ends with Checkout, which ends with the context
		w, err := repo.Checkout(ctx, "HEAD", root)
		ended <- result{w, err}
	}()
	pid := r.await(started)
	require.Contains(t, r.Git("worktree", "list"), root)
	cancel()
	got := <-ended
	require.Error(t, got.err)
	r.gone(pid)
	require.NoError(t, got.w.Remove(ctx), "the context's end does not keep it from cleaning up")
	require.NoDirExists(t, root)
	require.NotContains(t, r.Git("worktree", "list"), root)
	r.unchanged(before)
}
