package brunt_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/resilience"
)

// The load of TestVirtualSustained: clients, each of which sends one request after another,
// to a server that takes serviceTime, and answers 503 from a third of the run to a
// half of it.
const (
	serviceTime = 50 * time.Millisecond
	trips       = 5                      // failures that open the breaker
	probes      = 3                      // successes that close it
	refusesFor  = 100 * time.Millisecond // before it lets one try
	// apart is how long after one client the next one connects: no two do anything at the
	// same instant, at which either could come first.
	apart = 10 * time.Microsecond
	// refusalPause is how long an engine's worker pauses when its breaker has refused it.
	refusalPause = 10 * time.Millisecond
)

// A run of load through an outage, in virtual time: requests that succeed, that fail and that
// the breaker refuses are counted exactly, and it changes its state at exact instants, as those
// of a model are; and whatever is written of it is the same in each repetition, byte by byte,
// the connections of TLS included.
//
// With make soak it takes a virtual minute, ten times, and otherwise less; under the race
// detector there are fewer clients.
func TestVirtualSustained(t *testing.T) {
	clients, d, repetitions := race.Fewer(200), 1200*time.Millisecond, 3
	if os.Getenv("BRUNT_SOAK") != "" {
		d, repetitions = time.Minute, 10
	}
	for _, tt := range []struct {
		name string
		opts []fixtures.ServerOption
	}{
		{"HTTP", nil},
		{"TLS", []fixtures.ServerOption{fixtures.WithTLS()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := modelSustained(clients, d)
			require.Positive(t, want.rejected)
			var first string
			for i := range repetitions {
				began := time.Now()
				got, written := sustainVirtually(t, clients, d, tt.opts...)
				t.Logf("%v took %v", d, time.Since(began).Round(time.Millisecond))
				require.Equal(t, want, got)
				if i == 0 {
					first = written
				}
				require.Equal(t, first, written, "repetition %d", i)
			}
		})
	}
}

// sustained is what came of a run.
type sustained struct {
	ok, failed, rejected int64
	transitions          []string // with the time since the beginning
}

func (s *sustained) transition(to resilience.State, at time.Duration) {
	s.transitions = append(s.transitions, fmt.Sprintf("%v at %v", to, at))
}

// modelSustained says what comes of a run by its rules, one event after another.
func modelSustained(clients int, d time.Duration) (s sustained) {
	type event struct {
		at      time.Duration
		client  int
		pending bool // a request of it ends, with a result
		failed  bool
		era     int // of the breaker, in which it was admitted
	}
	var events []event
	for i := range clients {
		events = append(events, event{client: i})
	}
	state, era, failures, successes := resilience.StateClosed, 0, 0, 0
	var until time.Duration
	probing := false
	move := func(to resilience.State, at time.Duration) {
		state, failures, successes, probing = to, 0, 0, false
		era++
		if to == resilience.StateOpen {
			until = at + refusesFor
		}
		s.transition(to, at)
	}
	for len(events) > 0 {
		i := slices.Index(events, slices.MinFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) }))
		e := events[i]
		if e.pending {
			if e.failed {
				s.failed++
			} else {
				s.ok++
			}
			switch {
			case e.era != era: // too late to count
			case state == resilience.StateHalfOpen && e.failed:
				move(resilience.StateOpen, e.at)
			case state == resilience.StateHalfOpen:
				probing = false
				if successes++; successes == probes {
					move(resilience.StateClosed, e.at)
				}
			case e.failed:
				if failures++; failures == trips {
					move(resilience.StateOpen, e.at)
				}
			}
		}
		if e.at >= d {
			events = slices.Delete(events, i, i+1)
			continue
		}
		if state == resilience.StateOpen && e.at >= until {
			move(resilience.StateHalfOpen, e.at)
		}
		if state == resilience.StateOpen || probing {
			s.rejected++
			events[i] = event{at: e.at + refusalPause, client: e.client}
			continue
		}
		probing = state == resilience.StateHalfOpen
		sent := e.at
		if sent == 0 {
			sent = time.Duration(e.client+1) * apart
		}
		events[i] = event{sent + serviceTime, e.client, true, sent >= d/3 && sent < d/2, era}
	}
	return s
}

// sustainVirtually makes the run, and returns what came of it and all that is written of it.
func sustainVirtually(t *testing.T, clients int, d time.Duration, opts ...fixtures.ServerOption) (s sustained, written string) {
	t.Helper()
	fixtures.Virtual(t, func(t *testing.T, n *fixtures.Network) {
		cryptotest.SetGlobalRandom(t, 1)
		began := time.Now()
		l, err := n.Listen("api.test:443")
		require.NoError(t, err)
		srv := fixtures.NewServer(t, append(opts,
			fixtures.WithListener(l, n.DialContext),
			fixtures.WithLatency(fixtures.Constant(serviceTime)),
			fixtures.WithFaults(fixtures.Status(503).During(d/3, d/2)))...)
		breaker, err := resilience.NewCircuitBreaker(resilience.BreakerConfig{
			FailureThreshold: trips, ErrorRateThreshold: resilience.NoThreshold,
			OpenStateDuration: refusesFor, HalfOpenMaxCalls: probes, WindowDuration: d,
			OnStateChange: func(tr resilience.Transition) { s.transition(tr.To, tr.At.Sub(began)) },
		})
		require.NoError(t, err)
		var protocols http.Protocols
		protocols.SetHTTP1(true) // of HTTP/2 all would share a connection, and an instant
		var wire wireLog
		e := loadtest.Start(t, loadtest.AsyncConfig{
			MaxConcurrent: clients, Breaker: breaker,
			Conn: loadtest.ConnectionConfig{TLS: srv.TLSConfig(), Protocols: &protocols, DialContext: wire.dial(n)},
		})
		r, err := e.Run(t.Context(), loadtest.For(d, loadtest.Get(srv.URL+"/get")))
		require.NoError(t, err)
		s.ok, s.failed, s.rejected = r.SuccessCount, r.ErrorCount, r.RejectedCount
		written = writeAll(t, r) + wire.sum()
	})
	return s, written
}

// writeAll returns what is written of a result, without what it says of this process and its
// memory, which have no virtual clock.
func writeAll(t *testing.T, r *loadtest.EngineResult) string {
	t.Helper()
	r.PeakMemory, r.Generator = 0, loadtest.Generator{}
	for i := range r.Intervals {
		r.Intervals[i].HeapBytes = 0
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, r)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	b.Write(text)
	require.NoError(t, loadtest.WriteBenchmark(&b, "BenchmarkSustained", r))
	require.NoError(t, htmlreport.Write(&b, htmlreport.Options{Environment: []htmlreport.Fact{}}, r))
	return b.String()
}

// wireLog keeps a sum of what each connection has sent.
type wireLog struct {
	mu   sync.Mutex // never held while anything waits
	sums []*wireConn
}

func (w *wireLog) dial(n *fixtures.Network) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		w.mu.Lock()
		c := &wireConn{sum: sha256.New()}
		w.sums = append(w.sums, c)
		number := len(w.sums)
		w.mu.Unlock()
		time.Sleep(time.Duration(number) * apart)
		conn, err := n.DialContext(ctx, network, addr)
		c.Conn = conn
		return c, err
	}
}

func (w *wireLog) sum() string {
	var b bytes.Buffer
	for _, c := range w.sums {
		fmt.Fprintf(&b, "%x\n", c.sum.Sum(nil))
	}
	return b.String()
}

type wireConn struct {
	net.Conn
	sum hash.Hash
}

func (c *wireConn) Write(p []byte) (int, error) {
	c.sum.Write(p)
	return c.Conn.Write(p)
}
