package job

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	yamlv3 "go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 3, 1, 12, 0, 0, 500, time.UTC)

// load returns a job that is right for that kind, once edit, unless it is nil, is done with it.
func load(kind Kind, edit func(*Job)) *Job {
	j := &Job{
		Args: []string{"./load.test", "-test.run", "^TestLoad$"}, Shards: 4, Run: "load", Results: "results",
		StartIn: 30 * time.Second, Timeout: 90 * time.Minute, Env: []string{"TARGET=http://10.0.0.1:8080/"},
	}
	if kind != MPI {
		j.CPUs = 2
	}
	if kind == Kubernetes {
		j.Results, j.Pod = "/results", Pod{Image: "registry.example.com/load:1", Claim: "results", Memory: "512Mi"}
	}
	if edit != nil {
		edit(j)
	}
	return j
}

func text(t *testing.T, kind Kind, edit func(*Job)) string {
	t.Helper()
	got, err := load(kind, edit).Text(kind, now)
	require.NoError(t, err)
	return got
}

func phases(j *Job) { j.Before, j.After = "^TestSetUp$", "^TestTearDown$" }

func TestGolden(t *testing.T) {
	for name, tc := range map[string]struct {
		kind Kind
		edit func(*Job)
	}{
		"kubernetes.yaml":     {Kubernetes, nil},
		"kubernetes-nfs.yaml": {Kubernetes, func(j *Job) { j.Pod.Claim, j.Pod.Volume = "", `{"nfs": {"server": "10.0.0.9", "path": "/results"}}` }},
		"slurm.sh":            {Slurm, func(j *Job) { j.Options = []string{"--partition=load"} }},
		"slurm-phases.sh":     {Slurm, phases},
		"slurm-array.sh":      {Slurm, func(j *Job) { j.Array, j.Options = true, []string{"--partition=load"}; phases(j) }},
		"mpi.sh":              {MPI, func(j *Job) { j.Options = []string{"--hostfile", "my hosts"} }},
		"mpi-phases.sh":       {MPI, func(j *Job) { j.StartAt = now.Truncate(time.Second).Add(time.Hour); phases(j) }},
	} {
		t.Run(name, func(t *testing.T) {
			got := text(t, tc.kind, tc.edit)
			golden := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
		})
	}
}

func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		kind Kind
		edit func(*Job)
		want []string
	}{
		"nothing": {Slurm, func(j *Job) { *j = Job{} }, []string{
			"no test binary: name it and its flags after --", "-shards is 0, want how many", `-run is ""`, `-results is ""`, "-start is 0s, want 1s or more", "-timeout is 0s",
		}},
		"no path":            {MPI, func(j *Job) { j.Args[0] = "load.test" }, []string{`the test binary is "load.test", want a path such as ./load.test`}},
		"lines":              {MPI, func(j *Job) { j.Results, j.Run = "a\nrm b", "a/b" }, []string{`-results is "a\nrm b"`, `-run is "a/b", want at most 100 letters`}},
		"past":               {MPI, func(j *Job) { j.StartAt = now.Add(-time.Minute) }, []string{"-start is 2026-03-01T11:59:00Z, and now it is 2026-03-01T12:00:00Z"}},
		"cpus":               {Slurm, func(j *Job) { j.CPUs = -1 }, []string{"-cpus is -1"}},
		"variables":          {MPI, func(j *Job) { j.Env = []string{"A", "B-=1", "BRUNT_SHARDS=2", "C=1", "C=2"} }, []string{`-env is "A", want NAME=VALUE`, `-env is "B-=1"`, "-env BRUNT_SHARDS: brunt job sets it", "-env C is given twice"}},
		"phases":             {MPI, func(j *Job) { j.Before, j.After = "(", ")" }, []string{`-before is "(", want a regular expression`, `-after is ")", want`}},
		"everything runs":    {Slurm, func(j *Job) { j.Args, j.Before = []string{"./load.test", "-test.v"}, "SetUp" }, []string{"-before needs a -test.run after the binary"}},
		"sbatch's options":   {Slurm, func(j *Job) { j.Options = []string{"--comment=a b", "x", ""} }, []string{`-option is "--comment=a b", want one such as`, `-option is "x"`, `-option is ""`}},
		"mpirun's options":   {MPI, func(j *Job) { j.Options = []string{""} }, []string{"-option is empty"}},
		"no pod":             {Kubernetes, func(j *Job) { j.Pod, j.CPUs = Pod{}, 0 }, []string{"-image is empty", `-claim is "" and -volume is "", want one of them`, `-memory is ""`, "-cpus is 0"}},
		"two volumes":        {Kubernetes, func(j *Job) { j.Pod.Volume = `{"emptyDir": {}}` }, []string{"want one of them"}},
		"no JSON":            {Kubernetes, func(j *Job) { j.Pod.Claim, j.Pod.Volume = "", "nfs" }, []string{`-volume is "nfs", want a JSON object`}},
		"two kinds":          {Kubernetes, func(j *Job) { j.Pod.Claim, j.Pod.Volume = "", `{"a": {}, "b": {}}` }, []string{"2 kinds of volumes"}},
		"no claim's name":    {Kubernetes, func(j *Job) { j.Pod.Claim = "a_b" }, []string{`-claim is "a_b"`}},
		"no Job's name":      {Kubernetes, func(j *Job) { j.Run = "load_1" }, []string{`-run is "load_1", want at most 61 lower-case letters`}},
		"a long name":        {Kubernetes, func(j *Job) { j.Run, j.Shards = strings.Repeat("a", 61), 11 }, []string{"want at most 60 lower-case"}},
		"a relative path":    {Kubernetes, func(j *Job) { j.Results = "results" }, []string{`-results is "results", want an absolute path`}},
		"phases of its own":  {Kubernetes, phases, []string{"-before and -after: Kubernetes keeps no order among Jobs; submit each as a job of its own, with -shards 1"}},
		"not UTF-8":          {Kubernetes, func(j *Job) { j.Env = []string{"A=\xff"} }, []string{`"A=\xff" is not UTF-8`}},
		"no such quantities": {Kubernetes, func(j *Job) { j.Pod.Memory = "512 MB" }, []string{`-memory is "512 MB", want a quantity such as 512Mi`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(tc.kind, tc.edit).Text(tc.kind, now)
			require.Error(t, err)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.Len(t, strings.Split(err.Error(), "\n"), len(tc.want), "each fault once, and no other: %v", err)
		})
	}
}

func TestOnly(t *testing.T) {
	for _, tc := range []struct {
		args, want string
		found      bool
	}{
		{"x", "x", false},
		{"x -test.v", "x -test.v", false},
		{"x -test.run A -test.v", "x -test.run B -test.v", true},
		{"x -test.run=A", "x -test.run=B", true},
		{"x --test.run=A=C", "x --test.run=B", true},
		{"x -test.run", "x -test.run", true},
		{"-test.run A", "-test.run A", false},
		{"x -test.bench . -test.run ^$", "x -test.bench ^$ -test.run B", true},
		{"x -test.bench=. --test.run ^$", "x -test.bench=^$ --test.run B", true},
	} {
		args := strings.Fields(tc.args)
		got, found := only(args, "B")
		require.Equal(t, tc.want, strings.Join(got, " "))
		require.Equal(t, tc.found, found, tc.args)
		require.Equal(t, tc.args, strings.Join(args, " "), "left as it was")
	}
}

// hostile are words that mean something to a shell, to YAML or to Kubernetes.
var hostile = []string{
	"", " ", "a b", "it's", `"`, `\`, "$HOME", "$(id)", "$$(id)", "`id`", "*", "~", "#", "a#b", "!x", "a\nb", "\r\n", "\t", "-", "--", "=", "A=b", "-x=y z",
	"&", ";", "|", "<", ">", "{a,b}", "[a]", "%s", "yes", "null", "0x10", "1e3", "- a", "a: b", "'", "''", "\x7f", "\u2028", "é", "😀", "{{.Run}}", "$", "$$", "^T$", "\a\b\x1b",
}

// Each word comes out of a shell as it went in.
func FuzzShell(f *testing.F) {
	if runtime.GOOS == "windows" {
		f.Skip("there is no sh")
	}
	for _, word := range hostile {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) {
			t.Skip("no word has it")
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", Shell("printf", `%s\0`, word, word)).Output()
		require.NoError(t, err)
		require.Equal(t, word+"\x00"+word+"\x00", string(out))
	})
}

// Arguments and variables come to a container as they were given, and change nothing else.
func FuzzManifest(f *testing.F) {
	for _, word := range hostile {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if !utf8.ValidString(word) {
			t.Skip("is refused")
		}
		got := parse(t, text(t, Kubernetes, func(j *Job) { j.Args, j.Env = append(j.Args, word), []string{"WORD=" + word} }))
		container := got.Spec.Template.Spec.Containers[0]
		require.Len(t, container.Command, 4)
		require.Equal(t, word, expand(container.Command[3]))
		require.Len(t, container.Env, 5)
		require.Equal(t, word, expand(container.Env[2].Value))
	})
}

// expand does what Kubernetes does to commands and variables.
func expand(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "$$"):
			b.WriteByte('$')
			text = text[2:]
		case strings.HasPrefix(text, "$("):
			b.WriteString("EXPANDED")
			text = text[2:]
		default:
			b.WriteByte(text[0])
			text = text[1:]
		}
	}
	return b.String()
}

type manifest struct {
	Kind string
	Spec struct {
		CompletionMode           string `yaml:"completionMode"`
		Completions, Parallelism int
		BackoffLimit             *int `yaml:"backoffLimit"`
		ActiveDeadlineSeconds    int  `yaml:"activeDeadlineSeconds"`
		Template                 struct {
			Spec struct {
				RestartPolicy string `yaml:"restartPolicy"`
				Containers    []struct {
					Command []string
					Env     []struct{ Name, Value string }
				}
				Volumes []map[string]any
			}
		}
	}
}

// parse reads a manifest; none of it may be unknown to YAML twice.
func parse(t *testing.T, text string) (m manifest) {
	t.Helper()
	require.NoError(t, yamlv3.Unmarshal([]byte(text), &m), text)
	return m
}

func TestManifest(t *testing.T) {
	m := parse(t, text(t, Kubernetes, nil))
	spec := m.Spec.Template.Spec
	require.Equal(t, "Job Indexed 4 4 0 5400 Never", strings.Join(strings.Fields(
		strings.Join([]string{m.Kind, m.Spec.CompletionMode, strconv.Itoa(m.Spec.Completions), strconv.Itoa(m.Spec.Parallelism), strconv.Itoa(*m.Spec.BackoffLimit), strconv.Itoa(m.Spec.ActiveDeadlineSeconds), spec.RestartPolicy}, " ")), " "))
	env := make(map[string]string)
	for _, e := range spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	require.Equal(t, map[string]string{
		"BRUNT_SHARDS": "4", "BRUNT_RUN": "load", "BRUNT_RESULTS": "/results", "TARGET": "http://10.0.0.1:8080/",
		"BRUNT_START": "2026-03-01T12:00:31Z", // the next whole second
	}, env)
	require.Equal(t, []map[string]any{{"name": "results", "persistentVolumeClaim": map[string]any{"claimName": "results"}}}, spec.Volumes)
}
