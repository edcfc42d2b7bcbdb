package htmlreport

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"example.com/brunt/loadtest"
)

// Attach writes a page about results into tb.ArtifactDir and logs its path, which
// it returns: report.html, or report-2.html and so on where a test attaches
// several. The directory outlives the test only under go test -artifacts. A
// failure is an error of the test, which goes on, and the path is then empty.
func Attach(tb testing.TB, o Options, results ...*loadtest.EngineResult) string {
	tb.Helper()
	return attach(tb, "Attach", func(path string) error { return WriteFile(path, o, results...) })
}

func attach(tb testing.TB, verb string, writeFile func(path string) error) string {
	tb.Helper()
	path, err := freeName(tb.ArtifactDir())
	if err == nil {
		err = writeFile(path)
	}
	if err != nil {
		tb.Errorf("htmlreport: %s: %v", verb, err)
		return ""
	}
	hint := " (removed with the test; go test -artifacts keeps it)"
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		hint = ""
	}
	tb.Logf("report: %s%s", path, hint)
	return path
}

// freeName is the first name in dir that no earlier report of the test has taken.
func freeName(dir string) (string, error) {
	for i := 1; ; i++ {
		name := "report.html"
		if i > 1 {
			name = fmt.Sprintf("report-%d.html", i)
		}
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
	}
}
