//go:build linux

package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// The processes of TestTruthAtTheServer: a server that logs when requests arrive, a
// generator, and neighbors that do nothing but use a CPU. Each is this test binary once
// more, with the part that it plays and the load in its environment.
const (
	truthPart = "BRUNT_TRUTH_PART"
	truthLoad = "BRUNT_TRUTH_LOAD"
)

// load is what one run sends, the server that answers, and what is planted.
type load struct {
	Rate   float64
	Length time.Duration
	// The service takes Fast, but Slow for slowFor of each slowEvery, from SlowFrom on.
	Fast, Slow, SlowFrom time.Duration

	TLS, HTTP2  bool
	Streams     int // that the server allows on a connection; 0: its default
	NewConns    bool
	Connections int // of the generator; 0: no limit
	MaxInFlight int
	Files       uint64 // that the generator may open; 0: no limit
	Spinners    int    // goroutines of the generator that never block
	Neighbors   int    // processes that never block, on the only CPU that the generator has

	URL string
}

const (
	slowFor   = 1500 * time.Millisecond
	slowEvery = 4 * time.Second
)

// takes returns how long the service takes for a request that arrives at since the
// first.
func (l load) takes(at time.Duration) time.Duration {
	if l.Slow > 0 && at >= l.SlowFrom && (at-l.SlowFrom)%slowEvery < slowFor {
		return l.Slow
	}
	return l.Fast
}

// TestTruthProcess plays the part that its environment names.
func TestTruthProcess(t *testing.T) {
	var l load
	part := os.Getenv(truthPart)
	if part == "" {
		t.Skip("a helper of another test")
	}
	require.NoError(t, json.Unmarshal([]byte(os.Getenv(truthLoad)), &l))
	say := func(v any) { require.NoError(t, json.NewEncoder(os.Stdout).Encode(v)) }
	switch part {
	case "server":
		serveTruth(t, l, say)
	case "generator":
		say(generateTruth(t, l))
	case "neighbor":
		defer spin(1)()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// serveTruth says where it listens, and at the end of its input when requests came.
func serveTruth(t *testing.T, l load, say func(any)) {
	t.Helper()
	var (
		mu       sync.Mutex
		arrivals = make([]int64, 0, 1<<17)
		first    time.Time
	)
	srv := &http.Server{
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: l.Streams},
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			now := time.Now()
			mu.Lock()
			if len(arrivals) == 0 {
				first = now
			}
			arrivals = append(arrivals, now.UnixNano())
			at := now.Sub(first)
			mu.Unlock()
			time.Sleep(l.takes(at))
		}),
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	scheme, serve := "http", srv.Serve
	if l.TLS {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{truthCertificate(t)}}
		scheme, serve = "https", func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	served := make(chan error)
	go func() { served <- serve(listener) }() // ends with Close
	say(scheme + "://" + listener.Addr().String() + "/")
	_, _ = io.Copy(io.Discard, os.Stdin)
	require.NoError(t, srv.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
	mu.Lock()
	defer mu.Unlock()
	say(arrivals)
}

// truthCertificate returns one whose handshake costs little: what is to run out of CPU
// is the generator.
func truthCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func generateTruth(t *testing.T, l load) *EngineResult {
	t.Helper()
	if l.Files > 0 {
		var limit syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
		limit.Cur = l.Files
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	}
	defer spin(l.Spinners)()
	conn := ConnectionConfig{MaxConnections: l.Connections}
	if l.NewConns {
		conn.Pooling = PoolNaive
	}
	if l.TLS {
		conn.TLS = &tls.Config{InsecureSkipVerify: true}
		conn.Protocols = new(http.Protocols)
		conn.Protocols.SetHTTP1(!l.HTTP2)
		conn.Protocols.SetHTTP2(l.HTTP2)
	}
	e := Start(t, ArrivalConfig{Schedule: l.schedule(), MaxInFlight: l.MaxInFlight, Conn: conn})
	r, err := e.Run(t.Context(), Cycle(Get(l.URL)))
	require.NoError(t, err)
	return r
}

func (l load) schedule() pace.Schedule { return pace.Constant(l.Rate).Until(l.Length) }

// spin starts goroutines that never block, and returns what ends them.
func spin(n int) (stop func()) {
	var (
		over  atomic.Bool
		turns atomic.Int64
		wg    sync.WaitGroup
	)
	for range n {
		wg.Go(func() { // ends with stop
			for !over.Load() {
				turns.Add(1)
			}
		})
	}
	return func() { over.Store(true); wg.Wait() }
}

// process is one of the processes of a run.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
	err   bytes.Buffer
}

// startTruth starts a process that plays part, on CPU cpu alone if that is not empty.
func startTruth(ctx context.Context, t *testing.T, part string, l load, cpu string) *process {
	t.Helper()
	args := []string{os.Args[0], "-test.run=^TestTruthProcess$", "-test.timeout=2m"}
	if cpu != "" {
		args = append([]string{"taskset", "-c", cpu}, args...)
	}
	spec, err := json.Marshal(l)
	require.NoError(t, err)
	p := &process{cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	p.cmd.Env = append(os.Environ(), truthPart+"="+part, truthLoad+"="+string(spec), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // nothing races after it
	p.cmd.Stderr = &p.err
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	return p
}

// hear reads what the process says next.
func (p *process) hear(t *testing.T, v any) {
	t.Helper()
	line, err := p.out.ReadBytes('\n')
	require.NoError(t, err, "%s%s", line, &p.err)
	if err := json.Unmarshal(line, v); err != nil {
		rest, _ := io.ReadAll(p.out)
		require.NoError(t, err, "%s%s%s", line, rest, &p.err)
	}
}

// end ends the process, once it has said what it has to say.
func (p *process) end(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(p.out)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Wait(), "%s%s", rest, &p.err)
}

// runTruth returns the result of a run, and when its requests came, as the server saw
// it.
func runTruth(t *testing.T, l load) (*EngineResult, []time.Time) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := startTruth(ctx, t, "server", l, "")
	server.hear(t, &l.URL)
	var cpu string
	if l.Neighbors > 0 {
		cpu = oneCPU(t)
	}
	var neighbors []*process
	for range l.Neighbors {
		neighbors = append(neighbors, startTruth(ctx, t, "neighbor", l, cpu))
	}
	generator := startTruth(ctx, t, "generator", l, cpu)
	r := new(EngineResult)
	generator.hear(t, r)
	for _, n := range neighbors {
		n.stdin.Close()
		n.end(t)
	}
	generator.end(t)
	var nanos []int64
	server.stdin.Close()
	server.hear(t, &nanos)
	server.end(t)
	came := make([]time.Time, len(nanos))
	for i, n := range nanos {
		came[i] = time.Unix(0, n)
	}
	return r, came
}

// oneCPU returns the first of the CPUs that this process may use.
func oneCPU(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	var first int
	_, err = fmt.Sscan(list, &first)
	require.NoError(t, err, "%q", list)
	require.GreaterOrEqual(t, runtime.NumCPU(), 2, "one CPU is for the server")
	return fmt.Sprint(first)
}
