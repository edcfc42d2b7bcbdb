package loadtest

import (
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// crowd is a server whose connections cost next to nothing: each answers its
// first request, and takes no second until all have been sent one. So nobody
// holds a buffer to read into, as nobody does who waits on a socket.
type crowd struct {
	waiting sync.WaitGroup // for the second requests
	release chan struct{}
}

func (s *crowd) dial(context.Context, string, string) (net.Conn, error) {
	return &crowdConn{server: s}, nil
}

type crowdConn struct {
	server *crowd
	asked  int
}

func (c *crowdConn) Write(p []byte) (int, error) {
	if c.asked++; c.asked == 2 {
		c.server.waiting.Done()
		<-c.server.release
	}
	return len(p), nil
}

func (c *crowdConn) Read(p []byte) (int, error)       { return copy(p, okResponse), nil }
func (c *crowdConn) Close() error                     { return nil }
func (c *crowdConn) LocalAddr() net.Addr              { return nil }
func (c *crowdConn) RemoteAddr() net.Addr             { return nil }
func (c *crowdConn) SetDeadline(time.Time) error      { return nil }
func (c *crowdConn) SetReadDeadline(time.Time) error  { return nil }
func (c *crowdConn) SetWriteDeadline(time.Time) error { return nil }

// What a worker takes up that waits for its server, with its session and all
// that is ours of its connection; and what getting so far has left to collect.
func TestAWaitingWorkerIsSmall(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector's own memory drowns the engine's")
	}
	const workers = 4000
	server := &crowd{release: make(chan struct{})}
	server.waiting.Add(workers)
	e := Start(t, ThreadedConfig{MaxWorkers: workers, Client: Wire(ConnectionConfig{DialContext: server.dial})})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	ended := make(chan *EngineResult)
	go func() { // ends with the run
		r, err := e.Run(t.Context(), Times(2*workers, Get("http://192.0.2.1/")))
		if err != nil {
			t.Error(err)
		}
		ended <- r
	}()
	server.waiting.Wait()
	runtime.ReadMemStats(&after)
	made := float64(after.TotalAlloc-before.TotalAlloc) / workers
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / workers
	stack := (float64(after.StackInuse) - float64(before.StackInuse)) / workers
	close(server.release)
	require.EqualValues(t, 2*workers, (<-ended).SuccessCount)

	t.Logf("bytes for each worker: %.0f of heap, %.0f of stack, %.0f made", kept, stack, made)
	require.Less(t, kept, 3000.0, "bytes of heap for each worker")
	require.Less(t, made, 4500.0, "bytes allocated for each worker")
	require.Less(t, stack, 5000.0, "bytes of stack for each worker: 4 KiB, and what the runtime keeps in reserve")
}

// What 63 names cost a run beyond its totals, on a machine with eight processors:
// latencies from 100 µs to 100 ms and a tenth of them failures.
func TestNamesAreSmall(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	allocated := func(names int) (total uint64) {
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int64
			client := Func(func(context.Context) error {
				i := n.Add(1)
				time.Sleep(time.Duration(float64(100*time.Microsecond) * math.Pow(1000, float64(i%997)/997)))
				if i%10 == 0 {
					return errTest
				}
				return nil
			})
			e := newEngine(t, AsyncConfig{MaxConcurrent: 100, Client: client})
			reqs := make([]*Request, 63)
			for i := range reqs {
				reqs[i] = &Request{Name: fmt.Sprint(i % names)}
				if names == 1 {
					reqs[i].Name = ""
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := e.Run(t.Context(), Times(20_000, reqs...))
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.EqualValues(t, 20_000, r.Requests)
			if names > 1 {
				require.Len(t, r.Endpoints, names)
			}
			total = after.TotalAlloc - before.TotalAlloc
		})
		return total
	}
	unnamed, named := allocated(1), allocated(63)
	t.Logf("%.1f MB unnamed, %.1f MB with 63 names", float64(unnamed)/1e6, float64(named)/1e6)
	require.Less(t, float64(named)-float64(unnamed), 10e6)
}
