package brunt_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/resilience"
)

// Scenarios of a breaker under 100 % injected errors, driven
// by the async engine. They run in virtual time with the other tests, and
// against a real server with make benchmark-resilience, which sets
// BRUNT_RESILIENCE.

const (
	scenarioRequests = 50
	openFor          = 300 * time.Millisecond
	samplePeriod     = 100 * time.Millisecond
)

// upstream is a server that can be broken and healed.
type upstream struct {
	client func() loadtest.Client // made anew for each engine
	req    *loadtest.Request
	heal   func(well bool)
	hits   func() int64
}

// watched is a breaker whose states are seen in two ways: through its hook,
// which misses nothing, and by looking every 100 ms, as a monitor would.
type watched struct {
	*resilience.CircuitBreaker

	mu          sync.Mutex
	transitions []resilience.Transition
	sampled     []resilience.State
	stop        chan struct{}
	done        sync.WaitGroup
}

// sabotage spoils a breaker's configuration, to see a scenario fail.
type sabotage func(*resilience.BreakerConfig)

func watchBreaker(tb testing.TB, broken sabotage) *watched {
	tb.Helper()
	w := &watched{stop: make(chan struct{})}
	cfg := resilience.BreakerConfig{
		Name: "upstream", FailureThreshold: 5, OpenStateDuration: openFor, HalfOpenMaxCalls: 2, WindowDuration: 10 * time.Second,
		OnStateChange: func(t resilience.Transition) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.transitions = append(w.transitions, t)
		},
	}
	if broken != nil {
		broken(&cfg)
	}
	b, err := resilience.NewCircuitBreaker(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	w.CircuitBreaker = b
	w.done.Go(func() { // ends with close
		ticker := time.NewTicker(samplePeriod)
		defer ticker.Stop()
		for {
			w.sample()
			select {
			case <-ticker.C:
			case <-w.stop:
				return
			}
		}
	})
	return w
}

func (w *watched) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.State(); len(w.sampled) == 0 || w.sampled[len(w.sampled)-1] != s {
		w.sampled = append(w.sampled, s)
	}
}

func (w *watched) close() {
	close(w.stop)
	w.done.Wait()
}

// path is the states in order, the first included.
func (w *watched) path() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	states := []string{resilience.StateClosed.String()}
	for _, t := range w.transitions {
		states = append(states, t.To.String())
	}
	return strings.Join(states, " → ")
}

// verdict is what a scenario found.
type verdict struct {
	name     string
	criteria []criterion
	runs     []row
	timeline string
	path     string
	sampled  string
}

type criterion struct {
	text string
	ok   bool
}

type row struct {
	phase  string
	result *loadtest.EngineResult
	hits   int64
	state  resilience.State
}

func (v *verdict) pass() bool {
	for _, c := range v.criteria {
		if !c.ok {
			return false
		}
	}
	return true
}

func (v *verdict) must(ok bool, format string, args ...any) {
	v.criteria = append(v.criteria, criterion{fmt.Sprintf(format, args...), ok})
}

func (v *verdict) String() string {
	var b strings.Builder
	word := map[bool]string{true: "PASS", false: "FAIL"}
	fmt.Fprintf(&b, "%s  %s\n", word[v.pass()], v.name)
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  phase\tsent\tok\tfailed\trejected\tserver hits\tstate after")
	for _, r := range v.runs {
		fmt.Fprintf(tw, "  %s\t%d\t%d\t%d\t%d\t%d\t%v\n",
			r.phase, r.result.Requests, r.result.SuccessCount, r.result.ErrorCount, r.result.RejectedCount, r.hits, r.state)
	}
	tw.Flush()
	for _, c := range v.criteria {
		fmt.Fprintf(&b, "  %s  %s\n", word[c.ok], c.text)
	}
	fmt.Fprintf(&b, "  by the hook      %s\n  every %v      %s\n", v.path, samplePeriod, v.sampled)
	for line := range strings.Lines(v.timeline) {
		fmt.Fprintf(&b, "    %s", line)
	}
	return b.String()
}

func (v *verdict) finish(w *watched) {
	w.sample()
	w.close()
	v.path, v.timeline = w.path(), w.Timeline().String()
	w.mu.Lock()
	defer w.mu.Unlock()
	var seen []string
	for _, s := range w.sampled {
		seen = append(seen, s.String())
	}
	v.sampled = strings.Join(seen, " → ")
}

// drive sends n requests through the breaker and notes what came of them.
func (v *verdict) drive(tb testing.TB, e loadtest.Engine, up upstream, w *watched, phase string, n int) row {
	tb.Helper()
	before := up.hits()
	r, err := e.Run(tb.Context(), loadtest.Times(n, up.req))
	if err != nil {
		tb.Fatal(err)
	}
	out := row{phase: phase, result: r, hits: up.hits() - before, state: w.State()}
	v.runs = append(v.runs, out)
	return out
}

func scenarioEngine(tb testing.TB, up upstream, w *watched) (e loadtest.Engine, closeEngine func()) {
	tb.Helper()
	e, err := loadtest.NewAsyncEngine(loadtest.AsyncConfig{MaxConcurrent: 10, Client: up.client(), Breaker: w.CircuitBreaker})
	if err != nil {
		tb.Fatal(err)
	}
	return e, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Error(err)
		}
	}
}

// transitionsScenario sends 50 requests, all of which the
// server fails; at least two transitions must be seen, CLOSED → OPEN → HALF_OPEN.
func transitionsScenario(tb testing.TB, up upstream, broken sabotage) *verdict {
	tb.Helper()
	v := &verdict{name: "test 1: the breaker opens and probes under 100 % errors"}
	w := watchBreaker(tb, broken)
	e, closeEngine := scenarioEngine(tb, up, w)
	up.heal(false)
	first := v.drive(tb, e, up, w, "100 % errors", scenarioRequests)
	time.Sleep(openFor)
	v.drive(tb, e, up, w, "after the open state", 1)
	closeEngine()
	v.finish(w)
	v.must(first.result.RejectedCount > 0 && first.hits < scenarioRequests,
		"the server is spared: %d of %d requests reached it", first.hits, scenarioRequests)
	v.must(len(w.transitions) >= 2, "at least 2 transitions: %d", len(w.transitions))
	v.must(strings.HasPrefix(v.path, "CLOSED → OPEN → HALF_OPEN"), "in the order CLOSED → OPEN → HALF_OPEN")
	return v
}

// recoveryScenario is test 2: open under errors, rejecting while open; then the
// server heals, and the breaker must close again, reject nothing, leave nothing.
func recoveryScenario(tb testing.TB, up upstream, broken sabotage) *verdict {
	tb.Helper()
	v := &verdict{name: "test 2: the breaker heals with the server"}
	w := watchBreaker(tb, broken)
	e, closeEngine := scenarioEngine(tb, up, w)
	up.heal(false)
	v.drive(tb, e, up, w, "100 % errors", scenarioRequests)
	open := v.drive(tb, e, up, w, "while open", 10)
	up.heal(true)
	time.Sleep(openFor)
	deadline := time.Now().Add(20 * openFor)
	for w.State() != resilience.StateClosed && time.Now().Before(deadline) {
		v.drive(tb, e, up, w, "healed, probing", 2)
		time.Sleep(samplePeriod / 10)
	}
	after := v.drive(tb, e, up, w, "healed", scenarioRequests)
	closeEngine()
	v.finish(w)
	m := w.Metrics()
	v.must(open.result.RejectedCount == 10 && open.hits == 0, "while open, 10 of 10 rejected: %d, and none reached the server", open.result.RejectedCount)
	v.must(after.state == resilience.StateClosed, "recovered: %v", after.state)
	v.must(after.result.SuccessCount == scenarioRequests && after.result.RejectedCount == 0,
		"afterwards %d of %d succeed, %d rejected", after.result.SuccessCount, scenarioRequests, after.result.RejectedCount)
	v.must(m.Pending == 0, "nothing pending: %d", m.Pending)
	v.must(strings.HasSuffix(v.path, "OPEN → HALF_OPEN → CLOSED"), "by way of OPEN → HALF_OPEN → CLOSED")
	return v
}

var scenarios = []struct {
	name string
	run  func(testing.TB, upstream, sabotage) *verdict
}{
	{"Transitions", transitionsScenario},
	{"Recovery", recoveryScenario},
}

// virtual is an upstream in the test's bubble: 5 ms a request.
func virtual() upstream {
	var (
		mu   sync.Mutex
		well bool
		hits int64
	)
	transport := transportFunc(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		hits++
		code := http.StatusInternalServerError
		if well {
			code = http.StatusOK
		}
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		return &http.Response{StatusCode: code, Body: http.NoBody, Request: r}, nil
	})
	return upstream{
		client: func() loadtest.Client { return loadtest.NetHTTP(loadtest.ConnectionConfig{Transport: transport}) },
		req:    loadtest.Get("http://upstream.test/"),
		heal:   func(w bool) { mu.Lock(); defer mu.Unlock(); well = w },
		hits:   func() int64 { mu.Lock(); defer mu.Unlock(); return hits },
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// In virtual time the scenarios take milliseconds and come out the same always.
func TestResilienceScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := s.run(t, virtual(), nil)
				require.True(t, v.pass(), v.String())
			})
		})
	}
}

// Each scenario must fail when the breaker does not do its work.
func TestResilienceScenariosFailWithABrokenBreaker(t *testing.T) {
	for name, tt := range map[string]struct {
		broken sabotage
		fails  []string // of the scenarios
	}{
		"never opens": {func(c *resilience.BreakerConfig) { c.IsFailure = func(error) bool { return false } }, []string{"Transitions", "Recovery"}},
		"trips too late": {func(c *resilience.BreakerConfig) {
			c.FailureThreshold, c.ErrorRateThreshold = 1000, 1
			c.IsIgnored = func(error) bool { return true }
		}, []string{"Transitions", "Recovery"}},
		"never probes": {func(c *resilience.BreakerConfig) { c.OpenStateDuration = time.Hour }, []string{"Transitions", "Recovery"}},
		"never heals":  {func(c *resilience.BreakerConfig) { c.HalfOpenMaxCalls = 1_000_000 }, []string{"Recovery"}},
	} {
		for _, s := range scenarios {
			t.Run(name+"/"+s.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := s.run(t, virtual(), tt.broken)
					want := true
					for _, f := range tt.fails {
						want = want && f != s.name
					}
					require.Equal(t, want, v.pass(), v.String())
				})
			})
		}
	}
}

// TestResilienceAgainstAServer is make benchmark-resilience.
func TestResilienceAgainstAServer(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			srv := fixtures.NewServer(t)
			v := s.run(t, upstream{
				client: func() loadtest.Client { return loadtest.NetHTTP(loadtest.ConnectionConfig{}) },
				req:    loadtest.Get(srv.URL + "/get"),
				heal: func(well bool) {
					srv.SetErrorRate(map[bool]float64{true: 0, false: 1}[well])
				},
				hits: srv.Hits,
			}, nil)
			if os.Getenv("BRUNT_RESILIENCE") != "" {
				fmt.Println(v)
			}
			require.True(t, v.pass(), v.String())
		})
	}
}
