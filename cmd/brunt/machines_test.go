//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/schedulertest"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
	"example.com/brunt/loadtest/shards"
)

// The load of these tests, of which each shard is a process of this test binary; so is
// the server. Who is what, is in their environment.
const (
	machinesListen = "BRUNT_TEST_LISTEN"
	machinesTarget = "BRUNT_TEST_TARGET"
	machinesKillAt = "BRUNT_TEST_KILL_AT" // the number of the request at which its shard is killed
	// Requests, in two seconds: 15 a second from each shard. From 20 on it is judged whether
	// they were sent in time, which they are not where the machine has other things to do.
	machinesCount = 120
)

// seen is what the server has seen.
type seen struct {
	Paths, From []string       // of the requests, in their order; the addresses without ports
	Connections map[string]int // by address
}

// TestMachinesServer is the server. It says where it is, and when it is told to end what
// it has seen.
func TestMachinesServer(t *testing.T) {
	address := os.Getenv(machinesListen)
	if address == "" {
		t.Skip("a part of another test")
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	require.NoError(t, err)
	var mu sync.Mutex
	s := seen{Connections: make(map[string]int)}
	host := func(address string) string {
		host, _, _ := net.SplitHostPort(address)
		return host
	}
	srv := &http.Server{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			s.Paths, s.From = append(s.Paths, r.URL.Path), append(s.From, host(r.RemoteAddr))
			if len(s.Paths) == machinesCount/10 {
				assert.NoError(t, os.WriteFile("loaded", []byte("yes"), 0o600))
			}
		}),
		ConnState: func(c net.Conn, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			if state == http.StateNew {
				s.Connections[host(c.RemoteAddr().String())]++
			}
		},
	}
	served := make(chan error)
	go func() { served <- srv.Serve(listener) }() // ends with Close
	require.NoError(t, os.WriteFile("target", []byte("http://"+listener.Addr().String()), 0o600))
	<-ctx.Done()
	require.NoError(t, srv.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	mu.Lock()
	defer mu.Unlock()
	data, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("seen", data, 0o600))
}

// TestMachinesShard is one shard of the load.
func TestMachinesShard(t *testing.T) {
	target := machinesURL(t)
	killAt, _ := strconv.ParseInt(os.Getenv(machinesKillAt), 10, 64)
	src := loadtest.Pick(func(i int64) *loadtest.Request {
		if i == killAt && i > 0 {
			self, err := os.FindProcess(os.Getpid())
			require.NoError(t, errors.Join(err, self.Kill()))
		}
		return loadtest.Get(fmt.Sprintf("%s/%d", target, i))
	})
	schedule := pace.Constant(machinesCount / 2).Until(2 * time.Second)
	shards.Run(t, loadtest.ArrivalConfig{Schedule: schedule}, src, loadtest.SLO{P50: time.Second})
}

func TestMachinesSetUp(t *testing.T)    { machinesVisit(t, "/setup") }
func TestMachinesTearDown(t *testing.T) { machinesVisit(t, "/teardown") }

func machinesURL(t *testing.T) string {
	t.Helper()
	target := os.Getenv(machinesTarget)
	if target == "" {
		t.Skip("a part of another test")
	}
	return target
}

func machinesVisit(t *testing.T, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, machinesURL(t)+path, nil)
	require.NoError(t, err)
	client := http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
}

// newLab skips the test unless the variable is set, which a target of the Makefile does.
func newLab(t *testing.T, variable string) *schedulertest.Lab {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skip(variable + " is not set: see make help")
	}
	return schedulertest.New(t)
}

// machines are a server and those that load it.
type machines struct {
	*schedulertest.Lab
	self, target, results string
	server                *schedulertest.Daemon
}

// serve starts the server, by a command that begins with the words of via.
func serve(lab *schedulertest.Lab, listen string, via ...string) *machines {
	lab.Helper()
	self, err := os.Executable()
	require.NoError(lab, err)
	m := &machines{Lab: lab, self: self, results: filepath.Join(lab.Dir, "results")}
	words := slices.Concat(via, []string{"env", machinesListen + "=" + listen, self, "-test.run", "^TestMachinesServer$"})
	m.server = lab.Start("server", words[0], words[1:]...)
	lab.Wait("the server", func() bool {
		m.target = read(filepath.Join(lab.Dir, "target"))
		return m.target != ""
	}, m.server)
	return m
}

// seen stops the server and returns what it has seen.
func (m *machines) seen() (s seen) {
	m.Helper()
	m.server.Stop()
	require.NoError(m, json.Unmarshal([]byte(read(filepath.Join(m.Dir, "seen"))), &s))
	return s
}

// job writes what brunt job prints to a file, and returns its path.
func (m *machines) job(kind string, flags ...string) string {
	m.Helper()
	words := slices.Concat([]string{"job", kind, "-shards", "4", "-start", "4s", "-timeout", "1m", "-results", m.results, "-env", machinesTarget + "=" + m.target},
		flags, []string{"--", m.self, "-test.run", "^TestMachinesShard$"})
	code, out, errs := m.brunt(words...)
	require.Zero(m, code, errs)
	return m.Write("job.sh", out)
}

func (m *machines) brunt(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(m.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// oneLoad asserts that what the shards have measured, merged, is what the server has seen,
// which is every request once.
func (m *machines) oneLoad() seen {
	m.Helper()
	code, out, errs := m.brunt("merge", "-format", "json", m.results)
	require.Zero(m, code, errs)
	var tests []struct {
		Name   string
		Shards int
		Result *loadtest.EngineResult
	}
	require.NoError(m, json.Unmarshal([]byte(out), &tests))
	require.Len(m, tests, 1)
	require.Equal(m, "TestMachinesShard", tests[0].Name)
	require.Equal(m, 4, tests[0].Shards)
	require.EqualValues(m, machinesCount, tests[0].Result.Scheduled)
	require.EqualValues(m, machinesCount, tests[0].Result.SuccessCount)

	s := m.seen()
	times := make(map[string]int)
	connections := 0
	for _, path := range s.Paths {
		times[path]++
	}
	for _, n := range s.Connections {
		connections += n
	}
	for i := range machinesCount {
		require.Equal(m, 1, times[fmt.Sprintf("/%d", i)], "request %d", i)
	}
	for _, path := range []string{"/setup", "/teardown"} {
		if times[path] > 0 {
			require.Equal(m, 1, times[path], path)
			connections--
		}
		delete(times, path)
	}
	require.Len(m, times, machinesCount)
	require.EqualValues(m, connections, tests[0].Result.ConnectionsOpened)
	return s
}

// missing asserts that the results are refused, and that this shard is named as missing.
func (m *machines) missing(shard int) {
	m.Helper()
	code, out, errs := m.brunt("merge", m.results)
	require.Equal(m, 2, code, out)
	require.Empty(m, out, "nothing half merged")
	require.Regexp(m, fmt.Sprintf(`^brunt: TestMachinesShard, run run: of 4 shards, \d wrote no result: .*\b%d\b`, shard), errs)
}

// phases are set-up and tear-down, which requirePhases looks for.
var phases = []string{"-before", "^TestMachinesSetUp$", "-after", "^TestMachinesTearDown$"}

func requirePhases(t *testing.T, s seen) {
	t.Helper()
	require.Equal(t, "/setup", s.Paths[0])
	require.Equal(t, "/teardown", s.Paths[len(s.Paths)-1])
}

// newMPI is for mpirun, which leaves nothing in other directories, and of which the shards
// stay on this machine. It listens on every address of it nevertheless, while it runs.
func newMPI(t *testing.T) *machines {
	t.Helper()
	lab := newLab(t, "BRUNT_MPI")
	lab.Need("apt-get install openmpi-bin", "mpirun")
	for name, value := range map[string]string{
		"OMPI_MCA_oob_tcp_if_include": "lo", "OMPI_MCA_orte_tmpdir_base": lab.Dir, "OMPI_MCA_rmaps_base_oversubscribe": "1",
		"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
	} {
		lab.Setenv(name, value)
	}
	return serve(lab, "127.0.0.1:0")
}

func TestMPI(t *testing.T) {
	m := newMPI(t)
	code, out := m.Run(time.Minute, "sh", m.job("mpi", phases...))
	require.Zero(t, code, out)
	requirePhases(t, m.oneLoad())
}

// Of a shard that is killed mpirun tells with its code, and ends the others.
func TestMPIShardKilled(t *testing.T) {
	m := newMPI(t)
	killAt := machinesCount - 2
	code, out := m.Run(time.Minute, "sh", m.job("mpi", "-env", fmt.Sprintf("%s=%d", machinesKillAt, killAt)))
	require.NotZero(t, code, out)
	m.missing(killAt % 4)
}

func newSlurm(t *testing.T) (*machines, *schedulertest.Slurm) {
	t.Helper()
	t.Parallel() // most of the time is sbatch's, between looking and looking again
	lab := newLab(t, "BRUNT_SLURM")
	cluster := lab.StartSlurm(4)
	return serve(lab, "127.0.0.1:0"), cluster
}

func TestSlurmTasks(t *testing.T) {
	m, _ := newSlurm(t)
	code, out := m.Run(time.Minute, "sbatch", "--wait", m.job("slurm", phases...))
	require.Zero(t, code, out)
	requirePhases(t, m.oneLoad())
	require.Contains(t, m.Must("scontrol", "show", "job", "1"), "NumNodes=4", "a shard on each")
}

func TestSlurmArray(t *testing.T) {
	m, _ := newSlurm(t)
	code, out := m.Run(time.Minute, "sh", m.job("slurm", "-array", "-start", "8s"))
	require.Zero(t, code, out)
	m.oneLoad()
}

// Of five tasks of an array four have room, and the fifth begins when one of them has ended.
func TestSlurmNoRoom(t *testing.T) {
	m, _ := newSlurm(t)
	code, out := m.Run(time.Minute, "sh", m.job("slurm", "-array", "-shards", "5", "-cpus", "2", "-start", "8s"))
	require.Equal(t, 1, code, out)
	code, out, errs := m.brunt("merge", m.results)
	require.Equal(t, 2, code, out)
	require.Empty(t, out, "nothing half merged")
	require.Regexp(t, `^brunt: TestMachinesShard, run run: shard 4 on \S+ was ready [\d.]+m?s after the start: leave more time before it\n$`, errs)
}

// A node is lost in the middle of the load, and Slurm ends with 0.
func TestSlurmNodeLost(t *testing.T) {
	m, cluster := newSlurm(t)
	array := m.Start("array", "sh", m.job("slurm", "-array", "-start", "8s"))
	var running []string
	m.Wait("the tasks", func() bool {
		running = strings.Split(strings.TrimSpace(m.Must("squeue", "-h", "-t", "running", "-o", "%K %A %N")), "\n")
		return len(running) == 4
	}, array)
	var task, job, node int // the number of a task in the array, its job, and its node
	_, err := fmt.Sscanf(running[3], "%d %d n%d", &task, &job, &node)
	require.NoError(t, err, running[3])
	code, out := m.Run(10*time.Second, "scontrol", "requeue", strconv.Itoa(job))
	require.NotZero(t, code, "a task can be run twice: %s", out)
	m.Wait("the load", func() bool { return read(filepath.Join(m.Dir, "loaded")) != "" }, array)
	cluster.Lose(node)
	require.Zero(t, m.Code(array, time.Minute), array.Output())
	m.missing(task)
}

// Each shard is on a machine of its own, by its network, and so is the server.
func TestNetworks(t *testing.T) {
	lab := newLab(t, "BRUNT_NETNS")
	hosts := lab.NewHosts(5)
	m := serve(lab, hosts.Addr(0)+":0", hosts.On(0)...)
	start := time.Now().Add(3 * time.Second).Format(time.RFC3339Nano)
	var all []*schedulertest.Daemon
	for i := range 4 {
		words := hosts.On(i+1, "env", fmt.Sprintf("BRUNT_SHARD=%d/4", i), "BRUNT_START="+start, "BRUNT_RESULTS="+m.results,
			machinesTarget+"="+m.target, m.self, "-test.run", "^TestMachinesShard$")
		all = append(all, lab.Start(fmt.Sprintf("shard%d", i), words[0], words[1:]...))
	}
	for _, shard := range all {
		require.Zero(t, lab.Code(shard, time.Minute), shard.Output())
	}
	s := m.oneLoad()
	for i, path := range s.Paths {
		n, err := strconv.Atoi(path[1:])
		require.NoError(t, err)
		require.Equal(t, hosts.Addr(1+n%4), s.From[i], "who has sent request %d", n)
	}
	require.Len(t, s.Connections, 4, "each shard has its own")
}
