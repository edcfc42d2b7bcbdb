package brunt_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// shell checks the commands of a page: nothing is run, but the targets, packages
// and flags that are named must be there.
type shell struct {
	makefile string
	brunt    map[string][]string // the commands of brunt, and their flags
}

// newShell builds brunt, once for all tests, and asks it.
var newShell = sync.OnceValues(func() (*shell, error) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		return nil, err
	}
	s := &shell{makefile: string(makefile), brunt: make(map[string][]string)}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "brunt.exe") // the name matters where it has to end so
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "./cmd/brunt").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	for _, command := range []string{"compare", "live", "merge", "job kubernetes", "job slurm", "job mpi"} {
		help, err := exec.Command(binary, append(strings.Fields(command), "-h")...).Output()
		if err != nil {
			return nil, fmt.Errorf("brunt %s -h: %w", command, err)
		}
		for _, m := range regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllStringSubmatch(string(help), -1) {
			s.brunt[command] = append(s.brunt[command], m[1])
		}
		if len(s.brunt[command]) == 0 {
			return nil, fmt.Errorf("brunt %s -h names no flag", command)
		}
	}
	return s, nil
})

// commands returns the command lines of a fence by line, those behind a $ in a
// console; a backslash at the end of a line joins it with the next.
func commands(f fence) map[int]string {
	all := make(map[int]string)
	lines := strings.Split(strings.TrimSuffix(f.text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line, at := lines[i], f.line+i
		if f.lang == "console" {
			var ok bool
			if line, ok = strings.CutPrefix(line, "$ "); !ok {
				continue
			}
		}
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + lines[i]
		}
		all[at] = line
	}
	return all
}

// check returns what is wrong with a command line, one fault each.
func (s *shell) check(line string) (faults []string) {
	words, err := split(line)
	if err != nil {
		return []string{err.Error()}
	}
	for len(words) > 0 {
		n := slices.IndexFunc(words, func(w string) bool { return w == "|" || w == "&&" || w == ";" })
		if n < 0 {
			n = len(words)
		}
		faults = append(faults, s.command(words[:n])...)
		words = words[min(n+1, len(words)):]
	}
	return faults
}

// split makes words of a command line, without quotes and without a comment.
func split(line string) (words []string, err error) {
	var word strings.Builder
	open, quote := false, rune(0)
	end := func() {
		if open {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, open = c, true
		case quote == 0 && c == '#' && !open:
			return words, nil
		case quote == 0 && (c == ' ' || c == '\t'):
			end()
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote is not closed: %s", line)
	}
	end()
	return words, nil
}

var (
	assignment = regexp.MustCompile(`^[A-Z_]+=`)
	redirected = regexp.MustCompile(`^[0-9]?>`)
)

func (s *shell) command(words []string) (faults []string) {
	for len(words) > 0 && assignment.MatchString(words[0]) {
		words = words[1:]
	}
	if n := slices.IndexFunc(words, redirected.MatchString); n >= 0 {
		words = words[:n]
	}
	if len(words) == 0 {
		return nil
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	// flags checks those of args that are flags.
	flags := func(command string, args []string, has func(name string) bool) {
		for _, arg := range args {
			if arg == "-args" || arg == "--" {
				return
			}
			if name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "="); strings.HasPrefix(arg, "-") && name != "" && !has(name) {
				fault("%s has no flag %s", command, arg)
			}
		}
	}
	brunt := func(args []string) {
		command := strings.Join(args[:min(1, len(args))], " ")
		if command == "job" {
			command = strings.Join(args[:min(2, len(args))], " ")
		}
		if known := s.brunt[command]; known != nil {
			flags("brunt "+command, args, func(name string) bool { return name == "h" || slices.Contains(known, name) })
		} else if command != "job" { // by itself it stands for all of them
			fault("brunt has no command %q", strings.Join(args, " "))
		}
	}
	switch words[0] {
	case "make":
		for _, arg := range words[1:] {
			if name, _, ok := strings.Cut(arg, "="); ok {
				if !regexp.MustCompile(`\b` + name + ` *\?=|\$\(` + name + `\)|\$\(or \$\(` + name + `\)`).MatchString(s.makefile) {
					fault("the Makefile knows no %s", name)
				}
			} else if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(arg) + `:`).MatchString(s.makefile) {
				fault("make has no target %s", arg)
			}
		}
	case "brunt":
		brunt(words[1:])
	case "go":
		verb, rest := "", words[min(2, len(words)):]
		if len(words) > 1 {
			verb = words[1]
		}
		switch verb {
		case "test":
			flags("go test", rest, func(name string) bool {
				return flag.Lookup("test."+name) != nil || slices.Contains([]string{"race", "tags", "c", "o", "json", "vet", "mod", "modfile", "exec"}, name)
			})
		case "run", "get", "install":
			for _, arg := range rest {
				path, _, _ := strings.Cut(arg, "@")
				dir, ours := strings.CutPrefix(path, module)
				if ours {
					if _, err := os.Stat("." + dir); err != nil {
						fault("there is no package %s", path)
					}
				}
				if verb == "run" && !strings.HasPrefix(arg, "-") {
					if ours && strings.HasSuffix(path, "/cmd/brunt") {
						brunt(rest[slices.Index(rest, arg)+1:])
					}
					break
				}
			}
		case "tool":
			if len(rest) > 0 && (rest[0] == "brunt" || rest[0] == module+"/cmd/brunt") {
				brunt(rest[1:])
			} else if len(rest) == 0 || rest[0] != "benchstat" && rest[0] != "pprof" {
				fault("unknown command go tool %s", strings.Join(rest, " "))
			}
		case "mod", "doc", "build":
		default:
			fault("unknown command go %s", verb)
		}
	case "git", "benchstat", "cd", "jq", "sqlite3", "tee", "cat", "...", "export", "sh", "sbatch", "kubectl", "./load.test":
	default:
		fault("unknown command %s", words[0])
	}
	return faults
}

// TestDocsShell checks everything in README.md and docs/*.md that is not Go:
// commands, also those within a line, data, and links.
func TestDocsShell(t *testing.T) {
	s, err := newShell()
	require.NoError(t, err)
	for file, fences := range pages(t) {
		for _, f := range fences {
			switch f.lang {
			case "go", "text":
			case "sh", "console":
				for line, command := range commands(f) {
					for _, fault := range s.check(command) {
						t.Errorf("%s:%d: %s", file, line, fault)
					}
				}
			case "json":
				if !json.Valid([]byte(f.text)) {
					t.Errorf("%s: not JSON", f.at())
				}
			case "yaml":
				var v any
				if err := yaml.Unmarshal([]byte(f.text), &v); err != nil {
					t.Errorf("%s: %v", f.at(), err)
				}
			default:
				t.Errorf("%s: unknown language %q", f.at(), f.lang)
			}
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, fault := range s.prose(file, string(text)) {
			t.Error(fault)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	command = regexp.MustCompile("`((?:make|brunt|go (?:test|tool|run|get)) [^`]+)`")
)

// prose checks the links and the commands within lines, outside of fences.
func (s *shell) prose(file, text string) (faults []string) {
	mark := ""
	for i, line := range strings.Split(text, "\n") {
		if m := fenceMark(strings.TrimSpace(line)); mark == "" && m != "" {
			mark = m
		} else if mark != "" {
			if closes(line, mark) {
				mark = ""
			}
			continue
		}
		for _, m := range command.FindAllStringSubmatch(line, -1) {
			for _, fault := range s.check(m[1]) {
				faults = append(faults, fmt.Sprintf("%s:%d: %s", file, i+1, fault))
			}
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); err != nil {
				faults = append(faults, fmt.Sprintf("%s:%d: there is no %s", file, i+1, m[1]))
			} else if anchor != "" && !slices.Contains(anchors(target), anchor) {
				faults = append(faults, fmt.Sprintf("%s:%d: %s has no heading #%s", file, i+1, target, anchor))
			}
		}
	}
	return faults
}

// anchors returns the anchors that GitHub gives the headings of a page.
func anchors(file string) (all []string) {
	text, _ := os.ReadFile(file)
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(string(text), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

func TestDocsShellFindsFaults(t *testing.T) {
	s, err := newShell()
	require.NoError(t, err)
	for _, tc := range []struct{ line, want string }{
		{"make benchmark LATENCY=10ms COUNT=3   # slower", ""},
		{"make bench", "make has no target bench"},
		{"make benchmark WORKER=3", "the Makefile knows no WORKER"},
		{"go test -run '^$' -bench Shop -benchtime=2000x -race ./...", ""},
		{"go test -benchtimes 3x", "go test has no flag -benchtimes"},
		{"BRUNT_X=1 go test -artifacts -args -anything > out.txt", ""},
		{"go tool brunt compare -base origin/main -threshold req/s=10", ""},
		{"go run " + module + "/cmd/brunt compare -bases x", "brunt compare has no flag -bases"},
		{"go run " + module + "/cmd/brunts compare", "there is no package " + module + "/cmd/brunts"},
		{"go get -tool " + module + "/cmd/brunt@latest", ""},
		{"brunt split a b", `brunt has no command "split a b"`},
		{"brunt merge -form html results", "brunt merge has no flag -form"},
		{"brunt live -addr 127.0.0.1:8089 results", ""},
		{"brunt live -port 8089 results", "brunt live has no flag -port"},
		{"brunt job slurm -array -shards 4 -- ./load.test -test.anything | sh", ""},
		{"brunt job mpi -array", "brunt job mpi has no flag -array"},
		{"brunt job k8s", `brunt has no command "job k8s"`},
		{"go test ./... | tee new.txt && brunt compare -basis x", "brunt compare has no flag -basis"},
		{"go test -run 'x", "a quote is not closed: go test -run 'x"},
		{"brnt compare", "unknown command brnt"},
	} {
		require.Equal(t, tc.want, strings.Join(s.check(tc.line), "; "), tc.line)
	}
	require.Equal(t, map[int]string{7: "a b", 10: "c"}, commands(fence{line: 7, lang: "console", text: "$ a \\\nb\nout\n$ c\n"}))
	require.Equal(t, []string{
		"README.md:1: make has no target nothing",
		"README.md:2: there is no docs/nothing.md",
		"README.md:3: README.md has no heading #no-such-heading",
	}, s.prose("README.md", "run `make nothing`\n[a](docs/nothing.md) [b](https://x.test/) [c](LICENSE)\n"+
		"[d](#no-such-heading) [e](#what-is-in-it)\n```sh\n`make nothing`\n```\n"))
}
