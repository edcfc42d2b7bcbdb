package brunt_test

import (
	"errors"
	"go/build"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "example.com/brunt"

// arrows are the import arrows of the module: what each package may import of this
// module and of others, outside its tests. Packages form a star, so that a user of
// one pays for no other.
var arrows = map[string][]string{
	".": {},
	"loadtest": {
		module + "/internal/ghactions",
		module + "/internal/scheduler",
		module + "/loadtest/internal/deadline",
		module + "/loadtest/internal/heap",
		module + "/loadtest/internal/hist",
		module + "/loadtest/internal/http1",
		module + "/loadtest/internal/httpreq",
		module + "/loadtest/internal/jsonl",
		module + "/loadtest/internal/label",
		module + "/loadtest/internal/lines",
		module + "/loadtest/internal/openloop",
		module + "/loadtest/internal/placeholder",
		module + "/loadtest/internal/servertiming",
		module + "/loadtest/internal/text",
		module + "/loadtest/internal/transport",
		module + "/loadtest/internal/wake",
		module + "/loadtest/pace",
		module + "/resilience",
	},
	"loadtest/internal/deadline":     {},
	"loadtest/internal/heap":         {},
	"loadtest/internal/hist":         {"github.com/HdrHistogram/hdrhistogram-go"},
	"loadtest/internal/http1":        {module + "/loadtest/internal/ring"},
	"loadtest/internal/httpreq":      {module + "/loadtest/internal/http1"},
	"loadtest/internal/jsonl":        {},
	"loadtest/internal/label":        {module + "/loadtest/internal/text"},
	"loadtest/internal/lines":        {},
	"loadtest/internal/openloop":     {module + "/loadtest/pace"},
	"loadtest/internal/placeholder":  {},
	"loadtest/internal/rawserver":    {},
	"loadtest/internal/ring":         {},
	"loadtest/internal/servertiming": {module + "/loadtest/internal/http1"},
	"loadtest/internal/text":         {},
	"loadtest/internal/transport":    {module + "/loadtest/internal/http1"},
	"loadtest/internal/wake":         {module + "/loadtest/internal/ring"},
	"loadtest/pace":                  {},
	"loadtest/capacity": {
		module + "/internal/ghactions", module + "/loadtest", module + "/loadtest/internal/text", module + "/loadtest/pace", module + "/loadtest/shards",
	},
	"loadtest/progress": {
		module + "/loadtest", module + "/loadtest/internal/text",
		"github.com/schollz/progressbar/v3",
		"golang.org/x/term",
	},
	"loadtest/replay": {
		module + "/loadtest", module + "/loadtest/internal/http1", module + "/loadtest/internal/lines", module + "/loadtest/pace",
	},
	"loadtest/check": {
		module + "/loadtest",
		"github.com/theory/jsonpath",
	},
	"loadtest/data":       {module + "/loadtest"},
	"loadtest/htmlreport": {module + "/loadtest", module + "/loadtest/capacity", module + "/loadtest/internal/text"},
	"loadtest/shards":     {module + "/internal/scheduler", module + "/loadtest"},
	"loadtest/live": {
		module + "/loadtest", module + "/loadtest/htmlreport", module + "/loadtest/internal/hist", module + "/loadtest/internal/text",
		module + "/loadtest/shards",
	},
	"loadtest/sqlitesink": {
		module + "/loadtest",
		"github.com/ncruces/go-sqlite3/driver",
	},
	"resilience":                {},
	"resilience/resiliencetest": {module + "/resilience", module + "/fixtures", module + "/internal/bubbles"},
	"fixtures": {
		module + "/fixtures/internal/memnet", module + "/internal/bubbles",
		"go.uber.org/goleak",
		"github.com/jarcoal/httpmock",
	},
	"fixtures/internal/memnet": {},
	"cmd/brunt": {
		module + "/internal/benchbuild", module + "/internal/benchgate",
		module + "/internal/benchreport", module + "/internal/benchrun", module + "/internal/ghactions", module + "/internal/job",
		module + "/loadtest", module + "/loadtest/htmlreport", module + "/loadtest/live", module + "/loadtest/shards",
	},
	"internal/bubbles":   {},
	"internal/ghactions": {},
	"internal/job":       {module + "/internal/scheduler"},
	"internal/procgroup": {},
	"internal/scheduler": {},
	"internal/waive":     {},
	"internal/faketb":    {},
	"internal/gittest":   {"github.com/stretchr/testify/require"},
	"internal/proctest":  {},
	"internal/race":      {},
	"internal/schedulertest": {
		"github.com/stretchr/testify/require", module + "/internal/procgroup", module + "/internal/proctest",
	},
	"internal/benchbuild": {module + "/internal/procgroup"},
	"internal/benchgate": {
		"golang.org/x/perf/benchfmt", "golang.org/x/perf/benchmath", "golang.org/x/perf/benchunit",
	},
	"internal/benchrun": {
		"golang.org/x/perf/benchfmt", module + "/internal/benchgate", module + "/internal/procgroup",
	},
	"internal/benchrun/internal/fakebench": {},
	"internal/benchreport": {
		"golang.org/x/perf/benchunit", module + "/internal/benchgate", module + "/internal/benchrun", module + "/internal/ghactions",
	},
}

// forTests are the packages that only tests may import.
var forTests = []string{
	module + "/internal/faketb", module + "/internal/gittest", module + "/internal/proctest", module + "/internal/race", module + "/internal/schedulertest", module + "/loadtest/internal/rawserver",
}

func TestImportArrows(t *testing.T) {
	dirs := packageDirs(t, ".")
	require.ElementsMatch(t, dirs, slices.Collect(maps.Keys(arrows)), "each package has its row in arrows, and each row its package")
	for _, dir := range dirs {
		for _, path := range foreignImports(t, dir) {
			require.Contains(t, arrows[dir], path, "%s must not import it", dir)
			if !slices.Contains(forTests, module+"/"+dir) {
				require.NotContains(t, forTests, path, "%s: only tests may import it", dir)
			}
		}
	}
}

// The map in doc.go names whatever a user may import.
func TestTheMapIsWhole(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, dir := range packageDirs(t, ".") {
		if dir != "." && !strings.Contains("/"+dir+"/", "/internal/") {
			require.Contains(t, string(text), "["+module+"/"+dir+"]")
		}
	}
}

// packageDirs lists the folders below root with Go files, but for those of other
// modules and those that the go command leaves out.
func packageDirs(t *testing.T, root string) (dirs []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil || !d.IsDir():
			return err
		case path != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")):
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
			return filepath.SkipDir
		}
		if files, err := filepath.Glob(filepath.Join(path, "*.go")); err != nil || len(files) == 0 {
			return err
		}
		dir, err := filepath.Rel(root, path)
		dirs = append(dirs, filepath.ToSlash(dir))
		return err
	}))
	return dirs
}

// foreignImports lists what the package in dir imports from outside the standard library,
// on any system.
func foreignImports(t *testing.T, dir string) []string {
	t.Helper()
	all := make(map[string]bool)
	for _, system := range []string{"linux", "darwin", "windows", "plan9"} {
		on := build.Default
		on.GOOS = system
		pkg, err := on.ImportDir(dir, 0)
		var none *build.NoGoError
		if errors.As(err, &none) {
			continue
		}
		require.NoError(t, err, dir)
		for _, path := range pkg.Imports {
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				all[path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// A package that nobody has given arrows is found, wherever it is.
func TestPackageDirsFindsEveryPackage(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{"a.go", "x/y/b.go", "x/empty.txt", "x/testdata/c.go", "other/go.mod", "other/d.go", ".hidden/e.go", "_off/f.go"} {
		path := filepath.Join(root, filepath.FromSlash(file))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	require.Equal(t, []string{".", "x/y"}, packageDirs(t, root))
}
