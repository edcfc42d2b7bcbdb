package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func jobCommand(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = ended(0, printJob(args, &out, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), &errs)
	return code, out.String(), errs.String()
}

// Each flag has its place in what is printed; what it looks like there, the golden files
// of internal/job show.
func TestJobFlags(t *testing.T) {
	binary := []string{"--", "./load.test", "-test.run", "TestLoad", "-start=x"}
	common := "-shards 3 -run r1 -results /r -start 5s -timeout 2m -env A=b=c -env D="
	for _, tc := range []struct {
		flags string
		wants []string
	}{
		{"mpi " + common + " -option --hostfile -option hosts -after Down", []string{
			"mpirun -n 3", "--timeout 120", "export BRUNT_RUN=r1", "export BRUNT_RESULTS=/r", "+ 5))", "export A='b=c'", "export D=''", " --hostfile hosts ./load.test -test.run TestLoad -start=x\n", "-test.run Down",
		}},
		{"slurm " + common + " -cpus 4 -option --partition=p -before Up", []string{
			"--ntasks=3", "#SBATCH --partition=p", "--cpus-per-task=4", "--time=0:02:00", "-test.run Up",
		}},
		{"slurm " + common + " -array -start 2026-03-01T14:00:00+01:00 -start 1m", []string{"--array=0-2", "+ 60))"}},
		{"slurm " + common + " -array -start 2026-03-01T14:00:00+01:00", []string{"--array=0-2", "BRUNT_START=2026-03-01T14:00:00+01:00"}},
		{"kubernetes " + common + " -image i -claim c -memory 1Gi -cpus 2", []string{
			`image: "i"`, `claimName: "c"`, `memory: "1Gi"`, "cpu: 2", `"2026-03-01T12:00:05Z"`, `- "-start=x"`, `mountPath: "/r"`,
		}},
		{`kubernetes -shards 1 -image i -volume {"emptyDir":{}}`, []string{`"emptyDir": {}`, `mountPath: "/results"`, `name: "run"`}},
	} {
		code, out, errs := jobCommand(append(strings.Fields(tc.flags), binary...)...)
		require.Zero(t, code, errs)
		for _, want := range tc.wants {
			require.Contains(t, out, want, tc.flags)
		}
	}
}

func TestJobFaults(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"", `brunt job "": want kubernetes, slurm or mpi`},
		{"k8s -shards 2", `brunt job "k8s": want kubernetes, slurm or mpi`},
		{"mpi -shard 2", "flag provided but not defined: -shard (brunt job mpi -h lists the flags)"},
		{"mpi -start noon -- ./x", `invalid value "noon" for flag -start: want a duration such as 30s, or a time such as`},
		{"mpi -image x", "not defined: -image"},
		{"slurm -shards 2", "no test binary"},
		{"slurm -- ./load.test", "brunt: -shards is 0"},
	} {
		code, out, errs := jobCommand(strings.Fields(tc.args)...)
		require.Equal(t, 2, code, tc.args)
		require.Empty(t, out)
		require.Contains(t, errs, tc.want)
		require.True(t, strings.HasPrefix(errs, "brunt: "))
	}
}

func TestJobHelp(t *testing.T) {
	code, out, _ := jobCommand("-h")
	require.Zero(t, code)
	require.Contains(t, out, "usage: brunt job kubernetes")
	for kind, flag := range map[string]string{"kubernetes": "-image", "slurm": "-array", "mpi": "-option"} {
		code, out, _ = jobCommand(kind, "-h")
		require.Zero(t, code)
		require.Contains(t, out, "\n  "+flag)
	}
}
