package benchbuild

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/gittest"
)

// measures is a benchmark that reports a value.
func measures(pkg, value string, imports ...string) string {
	text := "package " + pkg + "\n\nimport (\n\t\"testing\"\n"
	for _, path := range imports {
		text += "\t\"" + path + "\"\n"
	}
	return text + ")\n\nfunc BenchmarkA(b *testing.B) { b.ReportMetric(float64(" + value + "), \"it\") }\n"
}

func module(path string, lines ...string) string {
	return "module " + path + "\n\ngo 1.24\n\n" + strings.Join(lines, "\n") + "\n"
}

func constant(pkg, name string, value int) string {
	return fmt.Sprintf("package %s\n\nconst %s = %d\n", pkg, name, value)
}

// sides is what the one benchmark of a directory of the repository reports at the
// base, which is HEAD, and at the head, and which files the base was lent. Nothing
// of the repository, nor beside it, changes, and nothing is left.
func (r *repo) sides(dir string) (values [2]string, copied []string) {
	r.Helper()
	tmp := r.TempDir()
	root := &repo{&gittest.Repo{T: r.T, Dir: filepath.Dir(r.Dir)}}
	before := root.snapshot()
	dir = filepath.Join(r.Dir, dir)
	open, err := Open(r.Context(), dir)
	require.NoError(r, err)
	w, err := open.Checkout(r.Context(), "HEAD", filepath.Join(tmp, "base"))
	require.NoError(r, err)
	head := Tree{Dir: dir}
	base, err := w.Base(r.Context(), head)
	require.NoError(r, err)
	head, err = head.Detached(r.Context(), filepath.Join(tmp, "head.work"))
	require.NoError(r, err)
	list, err := head.List(r.Context(), []string{"./..."})
	require.NoError(r, err)
	copied, err = w.CopyIgnored(r.Context(), list.Files)
	require.NoError(r, err)
	for side, tree := range []Tree{base, head} {
		list, err := tree.List(r.Context(), []string{"./..."})
		require.NoError(r, err)
		require.Len(r, list.Packages, 1)
		if side == 0 {
			require.NoError(r, w.Check(list))
		}
		out := filepath.Join(tmp, "x.test")
		require.NoError(r, tree.Build(r.Context(), list.Packages[0], out))
		values[side] = strings.Fields(strings.SplitAfter(runIn(r.T, out, list.Packages[0].Dir), "BenchmarkA")[1])[4]
	}
	require.NoError(r, w.Remove(r.Context()))
	for _, name := range []string{"x.test", "head.work", "head.work.sum"} {
		_ = os.Remove(filepath.Join(tmp, name))
	}
	root.unchanged(before)
	return values, copied
}

// beside is where a folder beside the repository is, with the files in it.
func (r *repo) beside(name string, files map[string]string) *repo {
	r.Helper()
	b := &repo{&gittest.Repo{T: r.T, Dir: filepath.Join(filepath.Dir(r.Dir), name)}}
	b.Write(files)
	return b
}

// What a path leads to that leaves the repository, by go.mod, by a link or in a test.
func TestPathsThatLeaveTheRepository(t *testing.T) {
	r := newRepo(t, map[string]string{
		"sub/go.mod":    module("example.com/m/sub", "require example.com/lib v0.0.0", "replace example.com/lib => ../../lib"),
		"sub/m_test.go": measures("sub", "lib.N + read(\"../../data\") + read(\"../linked\") + 1000*1", "example.com/lib"),
		"sub/r_test.go": "package sub\n\nimport \"os\"\n\nfunc read(file string) int { b, err := os.ReadFile(file); if err != nil { panic(err) }; return len(b) }\n",
	})
	r.beside("lib", map[string]string{"go.mod": module("example.com/lib"), "lib.go": constant("lib", "N", 100)})
	r.beside(".", map[string]string{"data": "four", "target": "sixsix"})
	require.NoError(t, os.Symlink("../target", filepath.Join(r.Dir, "linked")))
	r.Commit()
	r.Write(map[string]string{"sub/m_test.go": measures("sub", "lib.N + read(\"../../data\") + read(\"../linked\") + 1000*2", "example.com/lib")})
	values, _ := r.sides("sub")
	require.Equal(t, [2]string{"1110", "2110"}, values)
}

// The same with a module beside it that is vendored, and one in a workspace above.
func TestModulesBesideTheRepository(t *testing.T) {
	t.Run("vendored", func(t *testing.T) {
		r := newRepo(t, map[string]string{
			"go.mod":                        module("example.com/m", "require example.com/lib v0.0.0", "replace example.com/lib => ../lib"),
			"vendor/modules.txt":            "# example.com/lib v0.0.0 => ../lib\n## explicit; go 1.24\nexample.com/lib\n# example.com/lib => ../lib\n",
			"vendor/example.com/lib/lib.go": constant("lib", "N", 1),
			"m_test.go":                     measures("m", "lib.N", "example.com/lib"),
		})
		r.Write(map[string]string{"vendor/example.com/lib/lib.go": constant("lib", "N", 2)})
		values, copied := r.sides(".")
		require.Equal(t, [2]string{"1.000", "2.000"}, values)
		require.Empty(t, copied)
	})
	for name, in := range map[string]string{"workspace above": "..", "workspace within": "."} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t, map[string]string{
				"go.mod":    module("example.com/m", "require example.com/lib v0.0.0"),
				"m_test.go": measures("m", "10*lib.N + 1", "example.com/lib"), ".gitignore": "go.work\n",
			})
			r.beside("lib", map[string]string{"go.mod": module("example.com/lib"), "lib.go": constant("lib", "N", 7)})
			repo, lib := "./"+filepath.Base(r.Dir), "./lib"
			if in == "." {
				repo, lib = ".", "../lib"
			}
			r.Write(map[string]string{in + "/go.work": "go 1.24\n\nuse (\n\t" + repo + "\n\t" + lib + "\n)\n"})
			r.Write(map[string]string{"m_test.go": measures("m", "10*lib.N + 2", "example.com/lib")})
			values, _ := r.sides(".")
			require.Equal(t, [2]string{"71.00", "72.00"}, values)
		})
	}
}

// A path that leads from the base to the head's files is refused: the base would be
// the head.
func TestBaseOfTheHeadsFiles(t *testing.T) {
	r := newRepo(t, map[string]string{
		"lib/go.mod": module("example.com/lib"), "lib/lib.go": constant("lib", "N", 1), "m_test.go": measures("m", "lib.N", "example.com/lib"),
	})
	r.Write(map[string]string{"go.mod": module("example.com/m", "require example.com/lib v0.0.0", "replace example.com/lib => "+filepath.ToSlash(filepath.Join(r.Dir, "lib")))})
	r.Commit()
	w, err := r.open().Checkout(t.Context(), "HEAD", filepath.Join(t.TempDir(), "base"))
	require.NoError(t, err)
	base, err := w.Base(t.Context(), Tree{Dir: r.Dir})
	require.NoError(t, err)
	list, err := base.List(t.Context(), []string{"."})
	require.NoError(t, err)
	err = w.Check(list)
	require.ErrorIs(t, err, ErrBuild)
	require.ErrorContains(t, err, "the base would be built from the head's "+filepath.Join(r.Dir, "lib"))
	require.NoError(t, w.Remove(t.Context()))
}

// submodule makes a repository of a module and adds it.
func (r *repo) submodule(name, at string) *repo {
	r.Helper()
	sub := r.beside(name, map[string]string{"go.mod": module("example.com/" + name), "n.go": constant(name, "N", 1)})
	sub.Git("init", "-q", "-b", "main")
	sub.Commit()
	r.addSubmodule(sub, at)
	return sub
}

func (r *repo) addSubmodule(sub *repo, at string) {
	r.Helper()
	r.Git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", sub.Dir, at)
}

// Submodules come at the commits that the base pins, those within others too, from
// the clones that are there: the protocol of their addresses is not allowed.
func TestSubmodules(t *testing.T) {
	r := newRepo(t, nil)
	outer := r.submodule("outer", "third_party/outer")
	inner := outer.submodule("inner", "deps/inner")
	outer.Commit()
	in := func(at string) *repo { return &repo{&gittest.Repo{T: t, Dir: filepath.Join(r.Dir, at)}} }
	update := func() {
		in("third_party/outer").Git("pull", "-q", outer.Dir, "main")
		in("third_party/outer").Git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
	}
	update()
	r.Write(map[string]string{
		"go.mod": module("example.com/m", "require (", "example.com/outer v0.0.0", "example.com/inner v0.0.0", ")",
			"replace example.com/outer => ./third_party/outer", "replace example.com/inner => ./third_party/outer/deps/inner"),
		"m_test.go": measures("m", "10*outer.N + inner.N", "example.com/outer", "example.com/inner"),
	})
	r.Commit()
	r.Commit() // so that the head is not the base by what git has as well
	// The head pins others, and has changed one besides.
	inner.Write(map[string]string{"n.go": constant("inner", "N", 5)})
	inner.Commit()
	outer.Write(map[string]string{"n.go": constant("outer", "N", 3)})
	(&repo{&gittest.Repo{T: t, Dir: filepath.Join(outer.Dir, "deps/inner")}}).Git("pull", "-q", inner.Dir, "main")
	outer.Commit()
	update()
	r.Git("add", "third_party")
	in("third_party/outer").Write(map[string]string{"n.go": constant("outer", "N", 4)})
	values, copied := r.sides(".")
	require.Equal(t, [2]string{"11.00", "45.00"}, values)
	require.Empty(t, copied)

	// The head has it elsewhere: git has kept its clone.
	in("third_party/outer").Git("checkout", "-q", ".")
	r.Git("mv", "third_party/outer", "moved")
	r.Write(map[string]string{"go.mod": strings.ReplaceAll(module("example.com/m", "require (", "example.com/outer v0.0.0", "example.com/inner v0.0.0", ")",
		"replace example.com/outer => ./third_party/outer", "replace example.com/inner => ./third_party/outer/deps/inner"), "third_party/outer", "moved")})
	values, _ = r.sides(".")
	require.Equal(t, [2]string{"11.00", "35.00"}, values)
}

// A submodule of which there is no clone, or none with the commit, is left out and
// named. It may not be needed.
func TestSubmodulesThatAreNotThere(t *testing.T) {
	r := newRepo(t, map[string]string{"m_test.go": measures("m", "1")})
	r.submodule("docs", "docs")
	r.Commit()
	fresh, lacking := filepath.Join(t.TempDir(), "fresh"), filepath.Join(t.TempDir(), "lacking")
	r.Git("clone", "-q", r.Dir, fresh)
	pinned := r.Git("rev-parse", "HEAD:docs")
	r.Git("clone", "-q", r.Dir, lacking)
	other := &repo{&gittest.Repo{T: t, Dir: filepath.Join(lacking, "docs")}}
	other.Write(map[string]string{"x": "x"})
	other.Git("init", "-q")
	other.Commit()
	for dir, want := range map[string]string{
		fresh:   "submodule docs: it is not cloned; git submodule update --init --recursive does",
		lacking: "submodule docs: the clone lacks its commit " + pinned + "; git fetch in it",
	} {
		repo, err := Open(t.Context(), dir)
		require.NoError(t, err)
		w, err := repo.Checkout(t.Context(), "HEAD", filepath.Join(t.TempDir(), "base"))
		require.NoError(t, err)
		require.Equal(t, []string{want}, w.Lacking)
		require.NoError(t, w.Remove(t.Context()))
	}
}

// A repository that is another's submodule, in a module that begins above it.
func TestWithinASuperproject(t *testing.T) {
	r := newRepo(t, map[string]string{"other/n.go": constant("other", "N", 1)})
	sub := r.beside("part", map[string]string{"a_test.go": measures("part", "10 + other.N", "example.com/m/other")})
	sub.Git("init", "-q", "-b", "main")
	sub.Commit()
	r.addSubmodule(sub, "part")
	r.Commit()
	in := &repo{&gittest.Repo{T: t, Dir: filepath.Join(r.Dir, "part")}}
	in.Write(map[string]string{"a_test.go": measures("part", "20 + other.N", "example.com/m/other")})
	values, _ := in.sides(".")
	require.Equal(t, [2]string{"11.00", "21.00"}, values)
}

// What git ignores and the head is built from, the base gets where it has none of its
// own: source, what is embedded, C, modules. It gets nothing else.
func TestIgnoredFiles(t *testing.T) {
	const embeds = "package m\n\nimport _ \"embed\"\n\n//go:embed dist/page.html\nvar page string\n"
	r := newRepo(t, map[string]string{
		".gitignore": "*_gen.go\n*.tmp\n/dist/\n/client/\n/scratch/\n/.go/\n",
		"go.mod":     module("example.com/m", "require example.com/client v0.0.0", "replace example.com/client => ./client"),
		"m_test.go":  measures("m", "1 + 10*K + 100*len(page) + 1000*client.N + 10000*own.N", "example.com/client", "example.com/m/own"),
		"embed.go":   embeds, "own/own.go": "package own\n",
	})
	r.Write(map[string]string{"own/own_gen.go": constant("own", "N", 1)})
	r.Git("add", "-f", "own/own_gen.go")
	r.Commit()
	r.Write(map[string]string{
		"k_gen.go": constant("m", "K", 2), "dist/page.html": "abc", "dist/unused.js": "x", "notes.tmp": "x", "scratch/s.txt": "x",
		"client/go.mod": module("example.com/client"), "client/api/v1/n.go": constant("v1", "M", 4),
		"client/n.go":    "package client\n\nimport v1 \"example.com/client/api/v1\"\n\nconst N = v1.M\n",
		"own/own_gen.go": constant("own", "N", 9), // the base has its own
		"untracked.go":   "package m\n\nconst Untracked = 1\n",
		"m_test.go":      measures("m", "2 + 10*K + 100*len(page) + 1000*client.N + 10000*own.N + 0*Untracked", "example.com/client", "example.com/m/own"),
	})
	values, copied := r.sides(".")
	require.Equal(t, [2]string{"14321", "94322"}, values)
	require.Equal(t, []string{"client/api/v1/n.go", "client/go.mod", "client/n.go", "dist/page.html", "k_gen.go"}, copied)

	if cgo(t) {
		r := newRepo(t, map[string]string{
			".gitignore": "gen.*\n", "m_test.go": measures("m", "N()"),
			"m.go": "package m\n\n// #include \"gen.h\"\n// int n(void);\nimport \"C\"\n\nfunc N() int { return int(C.n()) + C.M }\n",
		})
		r.Write(map[string]string{"gen.c": "int n(void) { return 40; }\n", "gen.h": "#define M 2\n"})
		values, copied := r.sides(".")
		require.Equal(t, [2]string{"42.00", "42.00"}, values)
		require.Equal(t, []string{"gen.c", "gen.h"}, copied)
	}
}

// Modules that are released ones are everyone's, wherever go keeps them.
func TestModuleCacheInTheRepository(t *testing.T) {
	r := newRepo(t, map[string]string{".gitignore": "/.go/\n/vendor/\n", "m_test.go": "package m\n\nimport (\n\t\"testing\"\n\n\t_ \"go.uber.org/goleak\"\n)\n\nfunc BenchmarkA(b *testing.B) { b.ReportMetric(1, \"it\") }\n"})
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", "go.uber.org/goleak").Output()
	require.NoError(t, err)
	dir, version, _ := strings.Cut(strings.TrimSpace(string(module)), " ")
	cache := filepath.Join(r.Dir, ".go")
	require.NoError(t, os.CopyFS(filepath.Join(cache, "go.uber.org", "goleak@"+version), os.DirFS(dir)))
	from := filepath.Join(filepath.Dir(filepath.Dir(dir)), "cache", "download", "go.uber.org", "goleak")
	require.NoError(t, os.CopyFS(filepath.Join(cache, "cache", "download", "go.uber.org", "goleak"), os.DirFS(from)))
	t.Setenv("GOMODCACHE", cache)
	t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -modcacherw")
	t.Setenv("GONOSUMDB", "*")
	r.Write(map[string]string{"go.mod": "module example.com/m\n\ngo 1.24\n\nrequire go.uber.org/goleak " + version + "\n"})
	sums, err := os.ReadFile("../../go.sum")
	require.NoError(t, err)
	r.Write(map[string]string{"go.sum": string(sums)})
	r.Commit()
	_, copied := r.sides(".")
	require.Empty(t, copied)
}

// The command has the tree for its own, whatever brunt was started with.
func TestPrepare(t *testing.T) {
	r := newRepo(t, map[string]string{"sub/m.go": "package m\n"})
	t.Setenv("GIT_DIR", "nowhere")
	t.Setenv("GIT_INDEX_FILE", "nowhere")
	dir := filepath.Join(r.Dir, "sub")
	tree := Tree{Dir: dir, Env: []string{"GOWORK=off"}}
	r.script("none", "") // only where there is a shell
	require.NoError(t, tree.Prepare(t.Context(), `echo "$PWD $BRUNT_SIDE $GOWORK $GIT_DIR$GIT_INDEX_FILE$(git rev-parse --show-prefix)" >../out`, "base"))
	got, err := os.ReadFile(filepath.Join(r.Dir, "out"))
	require.NoError(t, err)
	require.Equal(t, dir+" base off sub/\n", string(got))
	err = tree.Prepare(t.Context(), "echo it says why >&2; exit 3", "head")
	require.ErrorIs(t, err, ErrBuild)
	require.ErrorContains(t, err, `prepare "echo it says why >&2; exit 3": sh: exit status 3: it says why`)
}
