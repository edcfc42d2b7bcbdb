package brunt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippet is a fence of Go, with the fences that continue it, as a Go file.
//
// A fence that declares functions is a file as it stands. Anything else is
// statements, and becomes the body of a test, or of a benchmark if it uses b; the
// prelude's setup then gives it ctx and url, and an error that the next statement
// does not look at fails it. Imports are added. Line directives make compiler and
// testing speak of the Markdown file's lines.
type snippet struct {
	fence
	dir   string   // of its package: one a page, or its own
	name  string   // of its file
	code  string   // the file
	idle  bool     // compile only: nothing of its package runs
	tests []string // what must run
	fails string   // what its failure says; "" if it must pass
}

// imports are the packages that a snippet may use without importing them.
var imports = map[string]string{
	"bufio": "bufio", "bytes": "bytes", "context": "context", "errors": "errors", "fmt": "fmt", "io": "io", "iter": "iter",
	"json": "encoding/json", "slog": "log/slog", "maps": "maps", "math": "math", "rand": "math/rand/v2", "net": "net",
	"http": "net/http", "httptest": "net/http/httptest", "os": "os", "filepath": "path/filepath",
	"slices": "slices", "sql": "database/sql", "strings": "strings", "sync": "sync", "atomic": "sync/atomic",
	"synctest": "testing/synctest", "testing": "testing", "time": "time", "tls": "crypto/tls",

	"goleak": "go.uber.org/goleak", "httpmock": "github.com/jarcoal/httpmock",

	"fixtures": module + "/fixtures", "loadtest": module + "/loadtest", "pace": module + "/loadtest/pace",
	"capacity": module + "/loadtest/capacity", "htmlreport": module + "/loadtest/htmlreport", "progress": module + "/loadtest/progress",
	"check": module + "/loadtest/check", "data": module + "/loadtest/data",
	"live": module + "/loadtest/live", "replay": module + "/loadtest/replay", "shards": module + "/loadtest/shards",
	"sqlitesink": module + "/loadtest/sqlitesink", "resilience": module + "/resilience",
	"resiliencetest": module + "/resilience/resiliencetest",
}

var packageClause = regexp.MustCompile(`(?m)^package \w+`)

// assemble makes snippets of the fences of one page, and reports every fault.
func assemble(fences []fence) ([]*snippet, error) {
	var (
		snippets []*snippet
		bodies   [][]fence
		faults   []error
	)
	for _, f := range fences {
		if f.lang != "go" {
			continue
		}
		if r, ok := f.rule("elsewhere"); ok {
			faults = append(faults, f.isIn(r.a))
			continue
		}
		for _, r := range f.rules {
			if r.verb == "replace" {
				if !strings.Contains(f.text, r.a) {
					faults = append(faults, fmt.Errorf("%s: there is no %s to replace", f.at(), r.a))
				}
				f.text = strings.ReplaceAll(f.text, r.a, r.b)
			}
		}
		if _, ok := f.rule("continued"); ok {
			if len(bodies) == 0 {
				faults = append(faults, fmt.Errorf("%s: there is nothing that it could continue", f.at()))
				continue
			}
			bodies[len(bodies)-1] = append(bodies[len(bodies)-1], f)
			continue
		}
		bodies = append(bodies, []fence{f})
	}
	for _, body := range bodies {
		s, err := newSnippet(body)
		faults = append(faults, err)
		snippets = append(snippets, s)
	}
	return snippets, errors.Join(faults...)
}

// isIn returns an error unless the file has the code of f, letter for letter but for how
// far it is indented. It is one of another module, whose tests run it there.
func (f fence) isIn(file string) error {
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		return fmt.Errorf("%s: %w", f.at(), err)
	}
	flat := regexp.MustCompile(`(?m)^\t+`)
	if !strings.Contains(flat.ReplaceAllString(string(text), ""), "\n"+flat.ReplaceAllString(f.text, "")) {
		return fmt.Errorf("%s: %s does not have it, letter for letter", f.at(), file)
	}
	return nil
}

// newSnippet makes one snippet of a fence and those that continue it.
func newSnippet(body []fence) (*snippet, error) {
	f := body[0]
	page := strings.NewReplacer("/", "_", ".md", "", "-", "_").Replace(f.file)
	s := &snippet{fence: f, dir: page, name: fmt.Sprintf("line%d_test.go", f.line)}
	if r, ok := f.rule("fails"); ok {
		s.fails = r.a
	}
	_, s.idle = f.rule("compile only")

	var code strings.Builder
	for _, f := range body {
		fmt.Fprintf(&code, "//line %s:%d\n%s", f.file, f.line, f.text)
	}
	// Without a function it is statements, which do not parse as a file.
	decls := packageClause.ReplaceAllString(code.String(), "")
	head := "package docs; "
	file, err := parser.ParseFile(token.NewFileSet(), "", head+"\n"+decls, parser.SkipObjectResolution)
	isFile := slices.ContainsFunc(body, func(f fence) bool {
		return regexp.MustCompile(`(?m)^(func \(?\w|package |import )`).MatchString(f.text)
	})
	if isFile {
		if err != nil {
			return s, err
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && regexp.MustCompile(`^(Test|Benchmark|Example)`).MatchString(fn.Name.Name) {
				s.tests = append(s.tests, fn.Name.Name)
			}
		}
		if len(s.tests) == 0 && !s.idle {
			return s, fmt.Errorf("%s: nothing of it would run: no Test, Benchmark or Example", f.at())
		}
		s.code = head + importsOf(file) + "\n" + decls
		s.tests = slices.DeleteFunc(s.tests, func(name string) bool { return name == "TestMain" })
		if strings.Contains(decls, "func TestMain(") || s.idle || s.fails != "" {
			s.dir = fmt.Sprintf("%s_%d", page, f.line)
		}
		return s, nil
	}
	return s, s.wrap(page, body)
}

// wrap makes statements the body of a function.
func (s *snippet) wrap(page string, body []fence) error {
	kind, tb := "Test", "t *testing.T"
	var code strings.Builder
	for _, f := range body {
		fmt.Fprintf(&code, "//line %s:%d\n%s", f.file, f.line, f.text)
	}
	const head = "package docs; func _() {\n"
	fset := token.NewFileSet()
	src := head + code.String() + "}\n"
	file, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	stmts := file.Decls[len(file.Decls)-1].(*ast.FuncDecl).Body.List
	if mentions(file, "b") && !slices.Contains(defined(stmts), "b") {
		kind, tb = "Benchmark", "b *testing.B"
	}
	v := tb[:1]
	// After a statement that sets err, and before one that does not look at it.
	var out strings.Builder
	done := 0
	for i, stmt := range stmts {
		if assigns(stmt, "err") && (i+1 == len(stmts) || !mentions(stmts[i+1], "err") || assigns(stmts[i+1], "err")) {
			end := fset.PositionFor(stmt.End(), false).Offset
			out.WriteString(src[done:end] + "; must(" + v + ", err)")
			done = end
		}
	}
	out.WriteString(strings.TrimSuffix(src[done:], "}\n"))
	for _, name := range defined(stmts) {
		out.WriteString("_ = &" + name + "\n")
	}
	name := fmt.Sprintf("%s_%s_line%d", kind, page, s.line)
	if s.idle {
		name = "compile" + name
	} else {
		s.tests = []string{name}
	}
	if s.fails != "" {
		s.dir = fmt.Sprintf("%s_%d", page, s.line)
	}
	need := importsOf(file)
	if !strings.Contains(need, `"testing"`) {
		need += `import "testing"; `
	}
	s.code = "package docs; " + need + fmt.Sprintf("func %s(%s) { ctx, url := setup(%s); _, _ = ctx, url\n", name, tb, v) +
		strings.TrimPrefix(out.String(), head) + "}\n"
	return nil
}

// importsOf returns the import declarations that file lacks, on one line.
func importsOf(file *ast.File) string {
	var has, need []string
	for _, spec := range file.Imports {
		has = append(has, strings.Trim(spec.Path.Value, `"`))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && imports[x.Name] != "" && !slices.Contains(has, imports[x.Name]) {
				need = append(need, fmt.Sprintf("import %q; ", imports[x.Name]))
			}
		}
		return true
	})
	slices.Sort(need)
	return strings.Join(slices.Compact(need), "")
}

// defined returns the variables that stmts declare at their own level.
func defined(stmts []ast.Stmt) []string {
	var names []string
	add := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok && id.Name != "_" && !slices.Contains(names, id.Name) {
			names = append(names, id.Name)
		}
	}
	for _, stmt := range stmts {
		switch stmt := stmt.(type) {
		case *ast.AssignStmt:
			if stmt.Tok == token.DEFINE {
				for _, e := range stmt.Lhs {
					add(e)
				}
			}
		case *ast.DeclStmt:
			for _, spec := range stmt.Decl.(*ast.GenDecl).Specs {
				if spec, ok := spec.(*ast.ValueSpec); ok {
					for _, id := range spec.Names {
						add(id)
					}
				}
			}
		}
	}
	return names
}

func assigns(stmt ast.Stmt, name string) bool {
	assign, ok := stmt.(*ast.AssignStmt)
	return ok && slices.ContainsFunc(assign.Lhs, func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return ok && id.Name == name
	})
}

func mentions(n ast.Node, name string) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

// goTest compiles and runs snippets in a module of their own that lies in dir and
// requires this one: what a reader does who has nothing else. It returns the
// events of one go test -json.
func goTest(t *testing.T, dir string, snippets []*snippet) []testEvent {
	t.Helper()
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	read := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	// With this module's requirements and sums there is nothing to look up.
	gomod := strings.Replace(read("go.mod"), "module "+module+"\n", "module docs.test\n", 1)
	gomod = regexp.MustCompile(`(?m)^tool .*\n`).ReplaceAllString(gomod, "")
	write("go.mod", gomod+fmt.Sprintf("\nrequire %s v0.0.0\nreplace %s => %q\n", module, module, root))
	write("go.sum", read("go.sum"))
	prelude := read("testdata/docs/prelude_test.go")
	// With -bench, a build that fails takes the first package with it: this one.
	write("prelude_test.go", prelude)
	for _, s := range snippets {
		write(filepath.Join(s.dir, s.name), s.code)
		write(filepath.Join(s.dir, "prelude_test.go"), prelude)
		if s.idle && len(s.tests) > 0 {
			write(filepath.Join(s.dir, "main_test.go"), "package docs; import \"testing\"; func TestMain(*testing.M) {}\n")
		}
	}

	args := []string{"test", "-json", "-count=1", "-bench=.", "-benchtime=20x", "-timeout=2m"}
	// The same flags as this binary's: then everything but the snippets is in the cache.
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./...")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output() // the verdict is in the events
	var events []testEvent
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e testEvent
		if derr := d.Decode(&e); derr == io.EOF {
			break
		} else if derr != nil {
			t.Fatalf("go test: %v\n%s%s", errors.Join(err, derr), out, &stderr)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		t.Fatalf("go test: %v\n%s", err, &stderr)
	}
	return events
}

// testEvent is one line of go test -json.
type testEvent struct {
	Action, Package, ImportPath, Test, Output, Key, Value string
}

// judge says what went wrong with snippets, each with its line, or nothing.
func judge(snippets []*snippet, events []testEvent) []string {
	type outcome struct{ ran, failed bool }
	var (
		tests  = make(map[string]outcome) // by "dir.name"
		output = make(map[string]string)
		failed = make(map[string]bool) // packages
		ended  = make(map[string]bool)
		faults []string
	)
	for _, e := range events {
		dir := strings.TrimPrefix(e.Package, "docs.test/")
		if e.ImportPath != "" { // build output, of "docs.test/dir [docs.test/dir.test]" and the like
			dir, _, _ = strings.Cut(strings.TrimPrefix(e.ImportPath, "docs.test/"), " ")
			dir, _ = strings.CutSuffix(dir, ".test")
		}
		top, _, _ := strings.Cut(e.Test, "/")
		key := dir + "." + top
		switch e.Action {
		case "output", "build-output":
			output[key] += e.Output
		case "run":
			tests[key] = outcome{ran: true, failed: tests[key].failed}
		case "fail":
			if e.Test == "" {
				failed[dir], ended[dir] = true, true
			} else {
				tests[key] = outcome{ran: true, failed: true}
			}
		case "skip":
			if e.Test != "" && e.Test == top {
				tests[key] = outcome{} // a snippet that skips itself was not run
			}
		case "pass":
			if e.Test == "" {
				ended[dir] = true
			}
		}
	}
	said := make(map[string]bool) // packages that a snippet has been blamed for
	for _, s := range snippets {
		for _, name := range s.tests {
			if s.idle {
				break
			}
			key := s.dir + "." + name
			switch got := tests[key]; {
			case !got.ran && failed[s.dir]:
				// It did not compile, or another one ended the process before.
			case !got.ran:
				faults = append(faults, fmt.Sprintf("%s: %s did not run", s.at(), name))
			case s.fails == "" && got.failed:
				said[s.dir] = true
				faults = append(faults, fmt.Sprintf("%s: %s failed:\n%s", s.at(), name, output[key]))
			case s.fails != "":
				said[s.dir] = true
				if !got.failed || !strings.Contains(output[key], s.fails) {
					faults = append(faults, fmt.Sprintf("%s: %s was to fail with %q:\n%s", s.at(), name, s.fails, output[key]))
				}
			}
		}
	}
	var dirs []string
	for _, s := range snippets {
		if !slices.Contains(dirs, s.dir) {
			dirs = append(dirs, s.dir)
		}
	}
	for _, dir := range dirs {
		if !ended[dir] || failed[dir] && !said[dir] {
			page := snippets[slices.IndexFunc(snippets, func(s *snippet) bool { return s.dir == dir })].file
			// The compiler speaks of dir/README.md:55, for the directory is where the file lies.
			text := strings.NewReplacer("./"+dir+"/"+page, page, dir+"/"+page, page).Replace(output[dir+"."])
			faults = append(faults, fmt.Sprintf("the snippets of %s did not compile or did not end:\n%s", page, text))
		}
	}
	return faults
}
