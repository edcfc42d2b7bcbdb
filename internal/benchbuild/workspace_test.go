package benchbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A go.work file within the repository has its twin in the worktree; one outside
// would lead the base's build back to the head's modules.
func TestWorkFiles(t *testing.T) {
	files := map[string]string{
		"go.work":       "go 1.24\n\nuse (\n\t.\n\t./lib\n)\n",
		"lib/go.mod":    "module example.com/lib\n\ngo 1.24\n",
		"lib/lib.go":    "package lib\n\nconst N = 1\n",
		"m_test.go":     "package m\n\nimport (\n\t\"testing\"\n\n\t\"example.com/lib\"\n)\n\nfunc BenchmarkA(b *testing.B) { b.ReportMetric(lib.N, \"it\") }\n",
		"go.mod":        "module example.com/m\n\ngo 1.24\n",
		"sub/x_test.go": "package sub" + benchSource,
	}
	r := newRepo(t, files)
	r.Write(map[string]string{"lib/lib.go": "package lib\n\nconst N = 2\n"})
	repo, err := Open(t.Context(), r.Dir)
	require.NoError(t, err)
	tmp := t.TempDir()
	w, err := repo.Checkout(t.Context(), "HEAD", filepath.Join(tmp, "base"))
	require.NoError(t, err)
	base, err := w.Base(t.Context(), Tree{Dir: r.Dir})
	require.NoError(t, err)
	require.Contains(t, base.Env, "GOWORK="+filepath.Join(base.Dir, "go.work"))
	out := filepath.Join(tmp, "x.test")
	require.NoError(t, base.Build(t.Context(), Package{"example.com/m", base.Dir}, out))
	require.Contains(t, runIn(t, out, base.Dir), "1.000 it")

	require.NoError(t, w.Remove(t.Context()))
}

// A go.work file that is no part of the repository, in a folder above it or ignored
// in it, counts for both sides: the base's copy has the base's own modules, and the
// others where they are.
func TestWorkFileOutsideTheRepository(t *testing.T) {
	const test = "package m\n\nimport (\n\t\"testing\"\n\n\t\"example.com/lib\"\n\t\"example.com/other\"\n)\n\nfunc BenchmarkA(b *testing.B) { b.ReportMetric(10*lib.N+other.N, \"it\") }\n"
	r := newRepo(t, map[string]string{
		"lib/go.mod": "module example.com/lib\n\ngo 1.24\n", "lib/lib.go": "package lib\n\nconst N = 1\n", "m_test.go": test, ".gitignore": "go.work*\n",
	})
	r.Write(map[string]string{"lib/lib.go": "package lib\n\nconst N = 2\n", "later/go.mod": "module example.com/later\n\ngo 1.24\n"})
	outside, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range map[string]string{"go.mod": "module example.com/other\n\ngo 1.24\n", "other.go": "package other\n\nconst N = 5\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600))
	}
	above, err := filepath.Rel(filepath.Dir(r.Dir), outside)
	require.NoError(t, err)
	uses := func(to string) string {
		return "go 1.24\n\nuse (\n\t" + to + "\n\t" + to + "/lib\n\t" + to + "/later\n)\n\nreplace example.com/other v1.0.0 => " + filepath.ToSlash(outside) + "\n\nuse " + filepath.ToSlash(outside) + "\n"
	}
	parent := filepath.Join(filepath.Dir(r.Dir), "go.work")
	require.NoError(t, os.WriteFile(parent, []byte(strings.Replace(uses("./"+filepath.Base(r.Dir)), "use "+filepath.ToSlash(outside), "use ./"+filepath.ToSlash(above), 1)), 0o600))
	inRepo := filepath.Join(r.Dir, "go.work")
	for _, work := range []string{parent, inRepo} {
		if work == inRepo {
			r.Write(map[string]string{"go.work": uses(".")})
		}
		before := r.snapshot()
		repo := r.open()
		tmp := t.TempDir()
		w, err := repo.Checkout(t.Context(), "HEAD", filepath.Join(tmp, "base"))
		require.NoError(t, err)
		head := Tree{Dir: r.Dir}
		base, err := w.Base(t.Context(), head)
		require.NoError(t, err)
		require.Contains(t, base.Env, "GOWORK="+filepath.Join(tmp, "base", "base.work"), work)
		head, err = head.Detached(t.Context(), filepath.Join(tmp, "head.work"))
		require.NoError(t, err)
		out := filepath.Join(tmp, "x.test")
		for side, want := range []string{"15.00 it", "25.00 it"} {
			tree := []Tree{base, head}[side]
			require.NoError(t, tree.Build(t.Context(), Package{"example.com/m", tree.Dir}, out), work)
			require.Contains(t, runIn(t, out, tree.Dir), want, work)
		}
		require.NoError(t, w.Remove(t.Context()))
		require.NoDirExists(t, filepath.Join(tmp, "base"))
		r.unchanged(before)
	}

	// One that the head's commits have brought is the head's alone; off is off.
	r.Git("add", "-f", "go.work")
	for setting, want := range map[string][]string{"": {"GOWORK=off"}, "off": nil} {
		t.Setenv("GOWORK", setting)
		w, err := r.open().Checkout(t.Context(), "HEAD", filepath.Join(t.TempDir(), "base"))
		require.NoError(t, err)
		base, err := w.Base(t.Context(), Tree{Dir: r.Dir})
		require.NoError(t, err)
		require.Equal(t, want, base.Env)
		require.NoError(t, w.Remove(t.Context()))
	}
}

// In a workspace go writes the checksums it misses to go.work.sum, whatever it is told.
func TestWorkspaceChecksumsAreNotWritten(t *testing.T) {
	version, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "go.uber.org/goleak").Output()
	require.NoError(t, err)
	r := newRepo(t, map[string]string{
		"go.mod":    "module example.com/m\n\ngo 1.24\n\nrequire go.uber.org/goleak " + string(version),
		"go.work":   "go 1.24\n\nuse .\n",
		"m_test.go": "package m\n\nimport (\n\t\"testing\"\n\n\t_ \"go.uber.org/goleak\"\n)\n\nfunc BenchmarkA(b *testing.B) {}\n",
	})
	before, tmp := r.snapshot(), t.TempDir()
	tree, err := Tree{Dir: r.Dir}.Detached(t.Context(), filepath.Join(tmp, "head.work"))
	require.NoError(t, err)
	l, err := tree.List(t.Context(), []string{"./..."})
	require.NoError(t, err)
	require.Len(t, l.Packages, 1)
	require.NoError(t, tree.Build(t.Context(), l.Packages[0], filepath.Join(tmp, "x.test")))
	require.FileExists(t, filepath.Join(tmp, "head.work.sum"), "what go would have written to the tree")
	r.unchanged(before)
}
