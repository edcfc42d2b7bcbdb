package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const actionDir = "../../.github/actions/compare"

type action struct {
	Inputs map[string]struct{ Default string }
	Runs   struct{ Steps []step }
}

type step struct {
	ID, Name, Shell, If, Run, Uses string
	Dir                            string `yaml:"working-directory"`
	Env                            map[string]string
	With                           map[string]string
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, into))
}

// What a pull request can choose reaches the shell through the environment only.
func TestActionIsSafeToTrigger(t *testing.T) {
	var a action
	readYAML(t, filepath.Join(actionDir, "action.yml"), &a)
	ran := 0
	for _, s := range a.Runs.Steps {
		require.NotContains(t, s.Run, "${{", "step %s", s.Name)
		if s.Run != "" {
			require.Equal(t, "bash", s.Shell)
			ran++
		}
		if s.Name == "comment" {
			require.Contains(t, s.If, "inputs.comment == 'true'")
			require.Contains(t, s.If, "github.event.pull_request.head.repo.full_name == github.repository", "a fork has no right to write")
		} else {
			require.NotContains(t, fmt.Sprint(s.Env), "token", "only the step that comments has the token")
		}
	}
	require.Equal(t, 3, ran)

	var w struct {
		On          yaml.Node `yaml:"on"`
		Permissions map[string]string
		Jobs        map[string]struct{ Steps []step }
	}
	readYAML(t, "../../.github/workflows/benchmarks.yml", &w)
	require.Equal(t, map[string]string{"contents": "read", "pull-requests": "write"}, w.Permissions)
	require.Equal(t, "pull_request", w.On.Content[0].Value, "pull_request_target would run a fork's code with our rights")
	used := false
	for _, s := range w.Jobs["compare"].Steps {
		if strings.HasPrefix(s.Uses, "actions/checkout@") {
			require.Equal(t, "0", s.With["fetch-depth"])
		}
		if s.Uses == "./.github/actions/compare" {
			used = true
			for name := range s.With {
				require.Contains(t, a.Inputs, name)
			}
		}
	}
	require.True(t, used)
}

// runner does with the action's steps what GitHub's runner does: it fills in the
// expressions and starts bash with the options that shell: bash stands for.
type runner struct {
	*testing.T
	action   action
	dir      string // of the repository
	temp     string // RUNNER_TEMP
	comments string // the pull request, as the fake gh keeps it
	calls    string // what go was asked to build
	path     string
}

func newRunner(t *testing.T, dir string) *runner {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins for gh and go are shell scripts")
	}
	for _, tool := range []string{"bash", "git", "python3", "jq", "tee", "tail"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the action cannot be run here: %v", err)
		}
	}
	r := &runner{T: t, dir: dir, temp: t.TempDir()}
	readYAML(t, filepath.Join(sourceDir, actionDir, "action.yml"), &r.action)
	self, err := os.Executable()
	require.NoError(t, err)
	goTool, err := exec.LookPath("go")
	require.NoError(t, err)
	bin := t.TempDir()
	r.comments, r.calls = filepath.Join(bin, "comments.json"), filepath.Join(bin, "calls.txt")
	for name, text := range map[string]string{
		"gh": `BRUNT_TEST_GH="` + r.comments + `" exec "` + self + `" "$@"`,
		// brunt is this very binary, so it is not built again.
		"go": `case "$1" in
			build) dir=$3 ;;
			install) dir=$GOBIN ;;
			*) exec "` + goTool + `" "$@" ;;
			esac
			echo "$@" >>"` + r.calls + `"
			case "$*" in *nonesuch*) echo "package nonesuch is not in std" >&2; exit 1 ;; esac
			printf '#!/bin/sh\nBRUNT_TEST_MAIN=1 exec "` + self + `" "$@"\n' >"$dir/brunt"
			chmod +x "$dir/brunt"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	r.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	return r
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

// ran is what a step leaves.
type ran struct {
	code    int
	text    string // standard output and error
	outputs map[string]string
	summary string
}

func (r *runner) step(name string, values map[string]string) ran {
	r.Helper()
	for _, s := range r.action.Runs.Steps {
		if s.Name != name {
			continue
		}
		fill := func(text string) string {
			return expression.ReplaceAllStringFunc(text, func(e string) string {
				key := expression.FindStringSubmatch(e)[1]
				if key == "runner.temp" {
					return r.temp
				}
				v, ok := values[key]
				require.True(r, ok, "the expression %s has no value here", e)
				return v
			})
		}
		files := r.TempDir()
		file := func(name string) string { return filepath.Join(files, name) }
		require.NoError(r, os.WriteFile(file("summary"), nil, 0o600)) // as the runner does
		require.NoError(r, os.WriteFile(file("script.sh"), []byte(fill(s.Run)), 0o600))
		cmd := exec.CommandContext(r.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", file("script.sh"))
		cmd.Dir = r.dir
		if dir := fill(s.Dir); dir != "" {
			cmd.Dir = filepath.Join(r.dir, dir)
		}
		cmd.Env = append(os.Environ(), "PATH="+r.path, "RUNNER_TEMP="+r.temp,
			"GITHUB_ACTIONS=true", "GITHUB_OUTPUT="+file("output"), "GITHUB_STEP_SUMMARY="+file("summary"), "GITHUB_ENV="+file("env"))
		for key, value := range s.Env {
			cmd.Env = append(cmd.Env, key+"="+fill(value))
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			var exit *exec.ExitError
			require.ErrorAs(r, err, &exit)
		}
		got := ran{code: cmd.ProcessState.ExitCode(), text: out.String(), outputs: make(map[string]string)}
		for line := range strings.Lines(read(file("output"))) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			got.outputs[key] = value
		}
		got.summary = read(file("summary"))
		return got
	}
	r.Fatalf("no step %q", name)
	return ran{}
}

func read(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

// compare is the action's first step; inputs not given are the defaults.
func (r *runner) compare(inputs map[string]string) ran {
	r.Helper()
	values := make(map[string]string)
	for name, in := range r.action.Inputs {
		values["inputs."+name] = in.Default
	}
	for name, v := range inputs {
		values["inputs."+name] = v
	}
	compared := r.step("compare", values)
	require.Zero(r, compared.code, "what follows must run: %s", compared.text)
	return compared
}

// run is a whole run of the action.
func (r *runner) run(inputs map[string]string) (compared ran, verdict int) {
	r.Helper()
	compared = r.compare(inputs)
	commented := r.step("comment", pullRequest)
	require.Zero(r, commented.code, commented.text)
	return compared, r.step("verdict", map[string]string{"steps.compare.outputs.exit-code": compared.outputs["exit-code"]}).code
}

var pullRequest = map[string]string{"github.token": "secret", "github.repository": "o/r", "github.event.pull_request.number": "7"}

type comment struct {
	ID   int `json:"id"`
	User struct {
		Type string `json:"type"`
	} `json:"user"`
	Body string `json:"body"`
}

func said(id int, who, body string) (c comment) {
	c.ID, c.User.Type, c.Body = id, who, body
	return c
}

func (r *runner) keep(comments []comment) {
	r.Helper()
	data, err := json.Marshal(comments)
	require.NoError(r, err)
	require.NoError(r, os.WriteFile(r.comments, data, 0o600))
}

func (r *runner) pullRequest() (comments []comment) {
	r.Helper()
	require.NoError(r, json.Unmarshal([]byte(read(r.comments)), &comments))
	return comments
}

// fakeGH answers as gh api does about the comments of o/r's pull request 7. Pages
// are of two comments, and each is filtered on its own.
func fakeGH(file string, args []string) error {
	var comments []comment
	if err := json.Unmarshal([]byte(read(file)), &comments); err != nil {
		return err
	}
	input := func() (c comment, err error) {
		if len(args) != 6 || args[4] != "--input" {
			return c, fmt.Errorf("arguments %q", args)
		}
		return c, json.Unmarshal([]byte(read(args[5])), &c)
	}
	const of = "repos/o/r/issues/"
	switch {
	case os.Getenv("GH_TOKEN") != "secret":
		return fmt.Errorf("no token")
	case len(args) == 5 && args[0] == "api" && args[1] == "--paginate" && args[2] == of+"7/comments" && args[3] == "--jq":
		for len(comments) > 0 {
			n := min(2, len(comments))
			page, err := json.Marshal(comments[:n])
			if err != nil {
				return err
			}
			comments = comments[n:]
			jq := exec.Command("jq", "-r", args[4]) //nolint:noctx // the action's own filter
			jq.Stdin, jq.Stdout, jq.Stderr = bytes.NewReader(page), os.Stdout, os.Stderr
			if err := jq.Run(); err != nil {
				return err
			}
		}
		return nil
	case len(args) > 3 && args[2] == "POST" && args[3] == of+"7/comments":
		c, err := input()
		if err != nil {
			return err
		}
		comments = append(comments, said(100+len(comments), "Bot", c.Body))
	case len(args) > 3 && args[2] == "PATCH" && strings.HasPrefix(args[3], of+"comments/"):
		c, err := input()
		if err != nil {
			return err
		}
		known := false
		for i := range comments {
			if fmt.Sprint(of, "comments/", comments[i].ID) == args[3] {
				comments[i].Body, known = c.Body, true
			}
		}
		if !known {
			return fmt.Errorf("no comment %s", args[3])
		}
	default:
		return fmt.Errorf("arguments %q", args)
	}
	data, err := json.Marshal(comments)
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// The action, run as GitHub would, three times on one pull request: something
// worse, nothing worse, nothing that can be judged.
func TestAction(t *testing.T) {
	plain := func(times string) string {
		return "package m\n\nimport \"testing\"\n\nvar sink []byte\n\nfunc BenchmarkA(b *testing.B) {\n" + allocate(times) + "\n}\n"
	}
	repo := newRepo(t, map[string]string{"code/m_test.go": plain("1"), "go.mod": "module example.com/m\n\ngo 1.24\n"})
	r := newRunner(t, repo.Dir)
	others := []comment{
		said(1, "User", "<!-- brunt compare -->\nquoted by a person"), said(2, "Bot", "another bot"), said(3, "User", "fine"),
	}
	r.keep(others)
	inputs := map[string]string{
		"base": "main", "working-directory": "code", "brunt": "./cmd/brunt", "packages": "\n.\n",
		"args": "-count=6\n-max=6\n-aa=0\n\n-benchtime=20x\n-threshold=sec/op=off\n-threshold=B/op=off@Not one | of these\n",
	}

	repo.Write(map[string]string{"code/m_test.go": plain("2")})
	got, verdict := r.run(inputs)
	require.Equal(t, 1, verdict)
	require.Equal(t, map[string]string{"exit-code": "1"}, got.outputs)
	require.Contains(t, got.summary, "### 🔴 Benchmarks: 1 worse (2 metrics)")
	require.Equal(t, 1, strings.Count(got.summary, "<!-- brunt compare -->"))
	require.Contains(t, got.text, "\n::error file="+filepath.Join(repo.Dir, "code", "m_test.go")+",line=7,title=example.com/m/code.A-")
	require.Contains(t, got.text, "allocs/op: 1.000 ± 0% -> 2.000 ± 0%, +100.00%")
	require.Contains(t, got.text, "building example.com/m/code at head", "the log has the progress")
	require.Equal(t, "build -o "+r.temp+"/brunt-bin/ ./cmd/brunt\n", read(r.calls))
	for _, name := range []string{"base.txt", "head.txt", "report.md", "report.json", "table.txt", "profiles/example.com_m_code.A.alloc.diff.txt"} {
		require.FileExists(t, filepath.Join(r.temp, "brunt-compare", name))
	}
	comments := r.pullRequest()
	require.Equal(t, others, comments[:3])
	require.Len(t, comments, 4, "one comment is posted")
	require.Contains(t, comments[3].Body, "### 🔴 Benchmarks: 1 worse (2 metrics)")
	mine := comments[3].ID

	repo.Write(map[string]string{"code/m_test.go": plain("1")})
	inputs["brunt"] = "example.com/brunt/cmd/brunt@v1.2.3"
	got, verdict = r.run(inputs)
	require.Equal(t, 0, verdict, got.text)
	require.Regexp(t, "### (✅|❔) Benchmarks: 0 worse", got.summary)
	require.Contains(t, read(r.calls), "install example.com/brunt/cmd/brunt@v1.2.3\n")
	comments = r.pullRequest()
	require.Len(t, comments, 4, "the comment is renewed, no other is posted")
	require.Equal(t, mine, comments[3].ID)
	require.Regexp(t, "### (✅|❔) Benchmarks: 0 worse", comments[3].Body)

	with := func(key, value string) map[string]string {
		changed := maps.Clone(inputs)
		changed[key] = value
		return changed
	}
	got, verdict = r.run(with("base", "nonesuch"))
	require.Equal(t, 2, verdict)
	comments = r.pullRequest()
	require.Len(t, comments, 4)
	require.Contains(t, comments[3].Body, `"nonesuch" names no commit`, "not what an earlier run said")
	for name, c := range map[string]struct{ key, value, want string }{
		"does not build":   {"brunt", "./nonesuch", "package nonesuch is not in std"},
		"bad flag":         {"args", "-count=2", "-count is 2, want 6 or more"},
		"no such package":  {"packages", "./none", `"./none" matches no package`},
		"base runs a line": {"base", "$(touch pwned)`touch pwned`\";touch pwned;'", "names no commit"},
		"args run a line":  {"args", "-bench=$(touch pwned)`touch pwned`\n-count=$(touch pwned)\";touch pwned;'", "invalid value"},
		"packages run one": {"packages", "$(touch pwned) `touch pwned` ; touch pwned ;", "matches no package"},
	} {
		got = r.compare(with(c.key, c.value))
		require.Equal(t, map[string]string{"exit-code": "2"}, got.outputs, name)
		require.Contains(t, got.summary, "### ⚠️ Benchmarks: could not be judged", name)
		require.Contains(t, got.summary, c.want, name)
		require.Equal(t, 1, strings.Count(got.summary, "<!-- brunt compare -->"), name)
		require.Contains(t, got.text, c.want, name)
	}
	require.NoFileExists(t, filepath.Join(repo.Dir, "code", "pwned"))
	require.NoFileExists(t, filepath.Join(repo.Dir, "pwned"))
	require.Equal(t, others, comments[:3], "nobody else's comment is touched")
}

// A report longer than a comment may be is cut where Markdown survives it.
func TestActionCutsLongComments(t *testing.T) {
	r := newRunner(t, t.TempDir())
	r.keep([]comment{})
	out := filepath.Join(r.temp, "brunt-compare")
	require.NoError(t, os.MkdirAll(out, 0o755))
	report := "<!-- brunt compare -->\n**Worse**\n\n<details><summary>x</summary>\n\n```\n" + strings.Repeat("± 12345678\n", 8000) + "```\n</details>\n"
	require.NoError(t, os.WriteFile(filepath.Join(out, "report.md"), []byte(report), 0o600))
	got := r.step("comment", pullRequest)
	require.Zero(t, got.code, got.text)
	body := r.pullRequest()[0].Body
	require.Less(t, len([]rune(body)), 65536)
	require.True(t, strings.HasSuffix(body, "± 12345678\n```\n\n</details>\n\n… cut here; the artifact has all of it\n"), body[len(body)-200:])
}
