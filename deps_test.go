package brunt_test

import (
	"go/build"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "example.com/brunt"

// The import arrows of the module: what each package may import of this module
// and of others, outside its tests. Packages form a star, so that a user of one
// pays for no other.
func TestImportArrows(t *testing.T) {
	for dir, allowed := range map[string][]string{
		".": {},
		"loadtest": {
			module + "/resilience",
			"github.com/HdrHistogram/hdrhistogram-go",
		},
		"loadtest/progress": {
			module + "/loadtest",
			"github.com/schollz/progressbar/v3",
			"golang.org/x/term",
		},
		"loadtest/htmlreport": {module + "/loadtest"},
		"loadtest/sqlitesink": {
			module + "/loadtest",
			"github.com/ncruces/go-sqlite3/driver",
		},
		"resilience":                {},
		"resilience/resiliencetest": {module + "/resilience", module + "/fixtures"},
		"fixtures": {
			"go.uber.org/goleak",
			"github.com/jarcoal/httpmock",
		},
		"cmd/brunt": {
			module + "/internal/benchbuild", module + "/internal/benchgate",
			module + "/internal/benchreport", module + "/internal/benchrun",
		},
		"internal/procgroup":  {},
		"internal/gittest":    {"github.com/stretchr/testify/require"},
		"internal/benchbuild": {module + "/internal/procgroup"},
		"internal/benchgate": {
			"golang.org/x/perf/benchfmt", "golang.org/x/perf/benchmath", "golang.org/x/perf/benchunit",
		},
		"internal/benchrun": {
			"golang.org/x/perf/benchfmt", module + "/internal/benchgate", module + "/internal/procgroup",
		},
		"internal/benchrun/internal/fakebench": {},
		"internal/benchreport": {
			"golang.org/x/perf/benchmath", "golang.org/x/perf/benchproc", "golang.org/x/perf/benchunit",
			"github.com/aclements/go-moremath/stats",
			module + "/internal/benchgate", module + "/internal/benchrun",
		},
	} {
		pkg, err := build.ImportDir(dir, 0)
		require.NoError(t, err, dir)
		for _, path := range pkg.Imports {
			if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
				continue // standard library
			}
			require.Contains(t, allowed, path, "%s must not import it", dir)
		}
	}
}
