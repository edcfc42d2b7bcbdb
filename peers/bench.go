package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

// ErrWork is matched by the error about a contestant whose account of its work is
// not the server's.
var ErrWork = errors.New("peers: not the work that was asked for")

// Bench is where and how contestants are measured, each in a process of its own.
type Bench struct {
	// URL is the server's. If it is empty, each process has one inside: that of
	// net/http.
	URL string
	// CPUs are those that the process is bound to; none means that it is not.
	CPUs []int
	// Threads is how many CPUs it may use at once.
	Threads int
	// Duration is how long it sends; tools round it up to what they take.
	Duration time.Duration
	// Rate is as in [Work].
	Rate int
	// Tools is where to look for programs before the PATH, if not empty.
	Tools string
	// Profiles is the directory for CPU profiles of the contestants that are not
	// tools, if not empty; a later round overwrites the profile of an earlier one.
	Profiles string
}

// start is what a process takes besides its work, for estimates.
const start = 150 * time.Millisecond

// grace is how much longer than its work a process may take.
const grace = 30 * time.Second

// Takes is about how long a measurement of c will take; none if its tool is not
// installed.
func (b Bench) Takes(c Contestant) time.Duration {
	if c.Tool == nil {
		return b.Duration + start
	}
	if _, err := c.Tool.find(b.Tools); err != nil {
		return 0
	}
	return c.Tool.duration(b.Duration) + start
}

// Measure runs c once. It fails if c does, or if the server has not seen the
// requests that c says it has sent: there is no number without the work. Nothing
// else may use the server meanwhile. An error about a tool that is not there
// matches [ErrNotInstalled].
func (b Bench) Measure(ctx context.Context, c Contestant, connections int) (Measurement, error) {
	m := Measurement{Contestant: c.Name, Connections: connections}
	work := Work{URL: b.URL, Connections: connections, Duration: b.Duration, Threads: b.Threads, Rate: b.Rate}
	ctx, cancel := context.WithTimeoutCause(ctx, b.Duration+grace, fmt.Errorf("peers: %s does not end", c.Name))
	defer cancel()
	cmd, parse, err := b.command(ctx, c, work)
	if err != nil {
		return m, err
	}
	var before, after target.Count
	if b.URL != "" {
		if before, err = target.ReadCount(ctx, b.URL); err != nil {
			return m, fmt.Errorf("peers: before %s: %w", c.Name, err)
		}
	}
	stdout, err := b.run(ctx, cmd, &m)
	if err != nil {
		return m, fmt.Errorf("peers: %s: %w", c.Name, err)
	}
	a, err := parse(stdout)
	if err != nil {
		return m, err
	}
	if b.URL != "" {
		if after, err = target.ReadCount(ctx, b.URL); err != nil {
			return m, fmt.Errorf("peers: after %s: %w", c.Name, err)
		}
		a.Hits, a.Open = after.Hits-before.Hits, after.Open
	}
	m.Succeeded, m.Failed, m.Elapsed, m.Unsent, m.Latency = a.Succeeded, a.Failed, a.Elapsed, a.Unsent, a.Latency
	m.Memory, m.Allocs, m.Open, m.ServerCPU = a.Memory, a.Allocs, a.Open, after.CPU-before.CPU
	return m, audit(c, connections, a)
}

// audit compares what a contestant says with what the server has counted.
func audit(c Contestant, connections int, a account) error {
	slack := 0
	if c.Loose {
		slack = connections
	}
	missing := a.Hits - int64(a.Succeeded)
	if a.Succeeded < 1 || missing < 0 || missing > int64(a.Failed+slack) {
		return fmt.Errorf("%w: %s says that %d requests succeeded and %d failed, and the server has answered %d",
			ErrWork, c.Name, a.Succeeded, a.Failed, a.Hits)
	}
	return nil
}

// command is the process that does the work, and what reads its output.
func (b Bench) command(ctx context.Context, c Contestant, w Work) (*exec.Cmd, func([]byte) (account, error), error) {
	path, err := b.program(c)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	if t := c.Tool; t != nil && t.Own == "" {
		w.Duration = t.duration(w.Duration)
		cmd := exec.CommandContext(ctx, path, t.Args(w)...)
		cmd.Stdin = strings.NewReader(t.Stdin)
		cmd.Env = os.Environ()
		return cmd, func(stdout []byte) (account, error) {
			o, err := t.Parse(stdout)
			return account{Outcome: o}, err
		}, nil
	}
	o := order{Contestant: c.Name, Work: w}
	if b.Profiles != "" {
		o.Profile = filepath.Join(b.Profiles, fmt.Sprintf("%s-%d.pprof", c.Name, w.Connections))
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, nil, fmt.Errorf("peers: write the order: %w", err)
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	return cmd, func(stdout []byte) (a account, err error) {
		if err := json.Unmarshal(stdout, &a); err != nil {
			return a, fmt.Errorf("peers: read the account of %s: %w", c.Name, err)
		}
		return a, nil
	}, nil
}

// program is what c runs in.
func (b Bench) program(c Contestant) (string, error) {
	if c.Tool != nil {
		return c.Tool.find(b.Tools)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return self, nil
}

// run runs cmd, and notes what its process has used.
func (b Bench) run(ctx context.Context, cmd *exec.Cmd, m *Measurement) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", b.Threads))
	began := time.Now()
	if err := proc.StartOn(cmd, b.CPUs...); err != nil {
		return nil, err
	}
	peak := watchRSS(cmd.Process.Pid)
	err := cmd.Wait()
	m.Lifetime, m.RSS = time.Since(began), peak()
	m.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(append(stdout.Bytes(), stderr.Bytes()...)))
	}
	return stdout.Bytes(), nil
}

// watchRSS looks at the peak memory of a process ten times a second, since nobody
// can ask afterwards, and returns what stops it and tells the last answer.
func watchRSS(pid int) (peak func() int64) {
	var most int64
	end, ended := make(chan struct{}), make(chan struct{})
	// peak ends it.
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if rss, err := proc.PeakRSS(pid); err == nil {
					most = max(most, rss)
				}
			case <-end:
				return
			}
		}
	}()
	return func() int64 {
		close(end)
		<-ended
		return most
	}
}
