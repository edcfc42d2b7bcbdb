package peers

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

// ErrWork is matched by the error about a contestant that has not done exactly
// what it was asked to.
var ErrWork = errors.New("peers: not the work that was asked for")

// Measurement is one contestant's run.
type Measurement struct {
	Contestant  string
	Concurrency int
	Requests    int
	// Wall is the time from the call of Run to its return.
	Wall time.Duration
	// CPU is the user and system time of the client's process meanwhile, with
	// the collections of garbage it caused; 0 where the system cannot tell.
	CPU time.Duration
	// Allocs is how many objects were allocated.
	Allocs uint64
	// ServerCPU is the CPU time of the server's process; 0 where it cannot tell.
	ServerCPU time.Duration
}

// Rate is requests per second of wall time.
func (m Measurement) Rate() float64 { return float64(m.Requests) / m.Wall.Seconds() }

// CPUPerRequest is in microseconds.
func (m Measurement) CPUPerRequest() float64 {
	return float64(m.CPU) / float64(time.Microsecond) / float64(m.Requests)
}

// AllocsPerRequest is in objects.
func (m Measurement) AllocsPerRequest() float64 { return float64(m.Allocs) / float64(m.Requests) }

// ServerBusy is the server's CPU time as a share of wall time. Near 1, a server
// on one CPU was the limit, and Rate says nothing about the client.
func (m Measurement) ServerBusy() float64 { return float64(m.ServerCPU) / float64(m.Wall) }

// ClientBusy is the client's CPU time as a share of wall time. Well below 1 on one
// CPU, the client was waiting: for the server, or because other programs had the
// CPU. Then Rate says less about it than CPUPerRequest does.
func (m Measurement) ClientBusy() float64 { return float64(m.CPU) / float64(m.Wall) }

// PerCPUSecond is requests per second of the client's CPU time: the rate that the
// client would reach on a CPU to itself beside a server that is not the limit.
func (m Measurement) PerCPUSecond() float64 {
	if m.CPU == 0 {
		return 0
	}
	return float64(m.Requests) / m.CPU.Seconds()
}

// Measure runs c once against the server at url. It fails if c does, or if the
// server has not seen exactly the requests that c was to send: there is no number
// without the work. Nothing else may use the server meanwhile.
func Measure(ctx context.Context, c Contestant, url string, concurrency, requests int) (Measurement, error) {
	if concurrency < 1 || requests < concurrency {
		return Measurement{}, fmt.Errorf("peers: %d requests on %d workers: each must have one to send", requests, concurrency)
	}
	m := Measurement{Contestant: c.Name, Concurrency: concurrency, Requests: requests}
	before, err := target.ReadCount(ctx, url)
	if err != nil {
		return m, fmt.Errorf("peers: before %s: %w", c.Name, err)
	}
	// What the last contestant has left behind is not this one's to clean up.
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	allocs := memory.Mallocs
	cpu, err := cpuTime()
	if err != nil {
		return m, err
	}
	start := time.Now()

	out, runErr := c.Run(ctx, url, concurrency, requests)

	m.Wall = time.Since(start)
	used, err := cpuTime()
	if err != nil {
		return m, err
	}
	m.CPU = used - cpu
	runtime.ReadMemStats(&memory)
	m.Allocs = memory.Mallocs - allocs
	if runErr != nil {
		return m, fmt.Errorf("peers: %s: %w", c.Name, runErr)
	}
	after, err := target.ReadCount(ctx, url)
	if err != nil {
		return m, fmt.Errorf("peers: after %s: %w", c.Name, err)
	}
	m.ServerCPU = after.CPU - before.CPU
	if hits := after.Hits - before.Hits; out.Succeeded != requests || hits != int64(requests) {
		return m, fmt.Errorf("%w: %s was to send %d requests, says that %d succeeded, and the server has answered %d",
			ErrWork, c.Name, requests, out.Succeeded, hits)
	}
	return m, nil
}

// cpuTime is proc.CPUTime, with 0 for a system that has no answer.
func cpuTime() (time.Duration, error) {
	t, err := proc.CPUTime()
	if errors.Is(err, proc.ErrUnsupported) {
		return 0, nil
	}
	return t, err
}
