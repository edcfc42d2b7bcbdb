// Package gittest makes git repositories for tests.
package gittest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Repo is a git repository made for one test. Use it in that test's goroutine.
type Repo struct {
	*testing.T
	Dir string // without symbolic links

	commits int // so that no two are the same
}

// New returns a repository of a module example.com/m with the files, committed to
// its branch main. For the rest of the test no other git configuration counts, and
// go builds quickly and without looking for a workspace.
func New(t *testing.T, files map[string]string) *Repo {
	t.Helper()
	for _, tool := range []string{"git", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	for key, value := range map[string]string{
		"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com",
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1", "GOFLAGS": "-buildvcs=false -ldflags=-w", "GOWORK": "",
	} {
		t.Setenv(key, value)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	r := &Repo{T: t, Dir: dir}
	r.Git("init", "-q", "-b", "main")
	r.Write(map[string]string{"go.mod": "module example.com/m\n\ngo 1.24\n"})
	r.Write(files)
	r.Commit()
	return r
}

// Git runs one command in the repository and returns what it prints.
func (r *Repo) Git(args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "git", args...)
	cmd.Dir = r.Dir
	out, err := cmd.CombinedOutput()
	require.NoError(r, err, string(out))
	return strings.TrimSpace(string(out))
}

// Write writes files, by their paths in the repository.
func (r *Repo) Write(files map[string]string) {
	r.Helper()
	for name, text := range files {
		path := filepath.Join(r.Dir, name)
		require.NoError(r, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(r, os.WriteFile(path, []byte(text), 0o644))
	}
}

// Commit commits everything, or nothing, and returns the commit.
func (r *Repo) Commit() string {
	r.Helper()
	r.Git("add", "-A")
	r.commits++
	r.Git("commit", "-q", "--allow-empty", "-m", strconv.Itoa(r.commits))
	return r.Git("rev-parse", "HEAD")
}
