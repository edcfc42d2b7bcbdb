package brunt_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
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
	dir   string   // of its package: its page's or its own, until gather puts several in one
	kind  string   // of its package: "main", "idle", "fails", or "" for its page's
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
		switch {
		case strings.Contains(decls, "func TestMain("):
			s.kind = "main"
		case s.idle:
			s.kind = "idle"
		}
		s.apart()
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
	s.apart()
	need := importsOf(file)
	if !strings.Contains(need, `"testing"`) {
		need += `import "testing"; `
	}
	s.code = "package docs; " + need + fmt.Sprintf("func %s(%s) { ctx, url := setup(%s); _, _ = ctx, url\n", name, tb, v) +
		strings.TrimPrefix(out.String(), head) + "}\n"
	return nil
}

// apart gives s a package of its own unless its page's will do.
func (s *snippet) apart() {
	if s.kind == "" && s.fails != "" {
		s.kind = "fails"
	}
	if s.kind != "" {
		s.dir += fmt.Sprintf("_%d", s.line)
	}
}

// gather puts packages of one kind together, for each takes time to link. Those with
// benchmarks are a kind too: go test runs none where a test has failed. What one of them
// declares no other names: so nothing of one page makes another's compile.
func gather(snippets []*snippet) {
	type group struct {
		dir, kind          string
		declares, mentions map[string]bool
	}
	var groups []*group
	byDir := make(map[string][]*snippet)
	for _, s := range snippets {
		byDir[s.dir] = append(byDir[s.dir], s)
	}
	overlap := func(a, b map[string]bool) bool {
		for name := range a {
			if b[name] {
				return true
			}
		}
		return false
	}
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		unit := group{kind: byDir[dir][0].kind, declares: make(map[string]bool), mentions: make(map[string]bool)}
		for _, s := range byDir[dir] {
			s.names(unit.declares, unit.mentions)
			if unit.kind == "" && slices.ContainsFunc(s.tests, func(name string) bool { return strings.HasPrefix(name, "Benchmark") }) {
				unit.kind = "bench"
			}
		}
		unit.kind = cmp.Or(unit.kind, "tests")
		i := slices.IndexFunc(groups, func(g *group) bool {
			return g.kind == unit.kind && unit.kind != "main" && !overlap(g.declares, unit.mentions) && !overlap(unit.declares, g.mentions)
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{dir: fmt.Sprintf("%s%d", unit.kind, i), kind: unit.kind, declares: make(map[string]bool), mentions: make(map[string]bool)})
		}
		maps.Copy(groups[i].declares, unit.declares)
		maps.Copy(groups[i].mentions, unit.mentions)
		for _, s := range byDir[dir] {
			s.dir, s.name = groups[i].dir, dir+"_"+s.name
		}
	}
}

// names adds what s declares for all of its package, and every name in it.
func (s *snippet) names(declares, mentions map[string]bool) {
	file, err := parser.ParseFile(token.NewFileSet(), "", s.code, parser.SkipObjectResolution)
	if err != nil {
		return // the compiler will say so
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				declares[decl.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					declares[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						declares[id.Name] = true
					}
				}
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			mentions[id.Name] = true
		}
		return true
	})
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
	write("docs.go", "package docs\n")
	for _, s := range snippets {
		write(filepath.Join(s.dir, s.name), s.code)
		write(filepath.Join(s.dir, "prelude_test.go"), prelude)
		if s.idle && len(s.tests) > 0 {
			write(filepath.Join(s.dir, "main_test.go"), "package docs; import \"testing\"; func TestMain(*testing.M) {}\n")
		}
	}

	// No package runs before all are built, nor beside another: -bench sees to that.
	args := []string{"test", "-json", "-count=1", "-bench=.", "-benchtime=20x", "-timeout=2m", "-ldflags=-s -w"}
	// The race detector makes of seconds most of a minute: make soak has it.
	info, ok := debug.ReadBuildInfo()
	if ok && os.Getenv("BRUNT_SOAK") != "" && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
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

// busy reports whether the output of a test that failed says that it did for one reason:
// this machine was too busy for the load of an open loop, which says nothing of the snippet.
func busy(output string) bool {
	var (
		logged = regexp.MustCompile(`(?m)^ +\S+\.\w+:\d+: .*`).FindAllString(output, -1)
		causes = regexp.MustCompile(`(?m)^ +cause +(.+?)(?: in \d+ of \d+ seconds)?: `).FindAllStringSubmatch(output, -1)
		has    = func(attr string) bool {
			return regexp.MustCompile(`(?m)^=== ATTR +\S+ ` + attr + `$`).MatchString(output)
		}
	)
	return has("brunt.verdict INVALID") && has("brunt.error-rate 0") &&
		len(logged) == 1 && strings.Contains(logged[0], ": loadtest: INVALID: ") &&
		len(causes) == 1 && causes[0][1] == string(loadtest.CauseCPU)
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
			// Of a benchmark there is no more; a test also ends.
			tests[key] = outcome{ran: strings.HasPrefix(top, "Benchmark"), failed: tests[key].failed}
		case "fail":
			if e.Test == "" {
				failed[dir], ended[dir] = true, true
			} else {
				tests[key] = outcome{ran: true, failed: true}
			}
		case "pass":
			switch e.Test {
			case "":
				ended[dir] = true
			case top: // and not one that skips itself
				tests[key] = outcome{ran: true}
			}
		}
	}
	var (
		accounted = make(map[string]bool)     // packages of which a test fails, as it should or not
		blamed    = make(map[string]bool)     // those of which one fails that should not
		missing   = make(map[string][]string) // what did not run of a package, by its directory
		files     = make(map[string][]string)
	)
	for _, s := range snippets {
		if !slices.Contains(files[s.dir], s.file) {
			files[s.dir] = append(files[s.dir], s.file)
		}
		for _, name := range s.tests {
			if s.idle {
				break
			}
			key := s.dir + "." + name
			got := tests[key]
			if !got.ran {
				missing[s.dir] = append(missing[s.dir], fmt.Sprintf("%s: %s did not run", s.at(), name))
				continue
			}
			accounted[s.dir] = accounted[s.dir] || got.failed
			switch {
			case s.fails == "" && got.failed && !busy(output[key]):
				blamed[s.dir] = true
				faults = append(faults, fmt.Sprintf("%s: %s failed:\n%s", s.at(), name, output[key]))
			case s.fails != "" && (!got.failed || !strings.Contains(output[key], s.fails)):
				blamed[s.dir] = true
				faults = append(faults, fmt.Sprintf("%s: %s was to fail with %q:\n%s", s.at(), name, s.fails, output[key]))
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(files)) {
		switch {
		case blamed[dir]:
			// A test that fails may end the process, and no benchmark runs after it.
		case !ended[dir] || failed[dir] && !accounted[dir]:
			// The compiler speaks of dir/README.md:55, for the directory is where the file lies.
			text := output[dir+"."]
			for _, page := range files[dir] {
				text = strings.NewReplacer("./"+dir+"/"+page, page, dir+"/"+page, page).Replace(text)
			}
			faults = append(faults, fmt.Sprintf("the snippets of %s did not compile or did not end:\n%s", strings.Join(files[dir], ", "), text))
		default:
			faults = append(faults, missing[dir]...)
		}
	}
	return faults
}
