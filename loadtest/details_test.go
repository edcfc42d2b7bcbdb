package loadtest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/rawserver"
	"example.com/brunt/resilience"
)

// What the phases of a request to a slowServer take.
const (
	slowDNS, slowConnect, slowTLS, slowHeaders, slowBody = 11 * time.Millisecond, 30 * time.Millisecond,
		7 * time.Millisecond, 50 * time.Millisecond, 20 * time.Millisecond
)

// slowServer is a server in memory, each phase of whose requests takes a time of its own.
type slowServer struct {
	*pipes
	secure bool
	cert   tls.Certificate
}

// serveSlowly serves in the bubble of t. The response for /empty has no body, and the one
// for /elsewhere sends on to another host.
func serveSlowly(t *testing.T, secure bool, cert tls.Certificate) *slowServer {
	s := &slowServer{newPipes(), secure, cert}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(slowHeaders)
		if r.URL.Path == "/elsewhere" {
			w.Header().Set("Location", "http://elsewhere.test/")
			w.WriteHeader(http.StatusFound)
			return
		}
		if r.URL.Path == "/empty" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_ = http.NewResponseController(w).Flush()
		time.Sleep(slowBody)
		fmt.Fprint(w, "hello")
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(s) })
	t.Cleanup(func() {
		require.NoError(t, srv.Shutdown(context.Background())) // after the handlers
		wg.Wait()
	})
	return s
}

func (s *slowServer) Accept() (net.Conn, error) {
	c, err := s.pipes.Accept()
	if err == nil && s.secure {
		cfg := &tls.Config{Certificates: []tls.Certificate{s.cert}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			time.Sleep(slowTLS)
			return nil, nil
		}}
		c = tls.Server(c, cfg)
	}
	return c, err
}

// dial takes as long as to resolve a name and to connect.
func (s *slowServer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	trace := httptrace.ContextClientTrace(ctx)
	trace.DNSStart(httptrace.DNSStartInfo{Host: addr})
	if err := pause(ctx, slowDNS); err != nil {
		return nil, err
	}
	trace.ConnectStart(network, addr)
	if err := pause(ctx, slowConnect); err != nil {
		return nil, err
	}
	return s.pipes.dial(ctx, network, addr)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// phasesOf returns how many requests of r were in each phase, and their longest times. It
// checks that the phases together are as long as the service times.
func phasesOf(t *testing.T, s *Stats) (counts map[Phase]int64, longest map[Phase]time.Duration) {
	t.Helper()
	counts, longest = make(map[Phase]int64), make(map[Phase]time.Duration)
	var sum, service time.Duration
	for p := PhasePool; p <= PhaseBody; p++ {
		if n := s.PhaseCount(p); n > 0 {
			counts[p], longest[p] = n, s.PhaseQuantile(p, 1)
			sum += time.Duration(n) * s.phases[p].Mean()
		}
	}
	for _, h := range []*hist.Histogram{s.good, s.bad} {
		service += time.Duration(h.Count()) * h.Mean()
	}
	require.InDelta(t, service, sum, float64(8*s.Requests), "the phases are as long as the requests") // each mean is a whole number of ns
	return counts, longest
}

// certificate returns one of httptest's.
func certificate() tls.Certificate {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return srv.TLS.Certificates[0]
}

// Each client says of each phase how long requests were in it, to the nanosecond; only
// those that were in it count.
func TestPhasesOfAllClients(t *testing.T) {
	cert := certificate()
	http11 := new(http.Protocols)
	http11.SetHTTP1(true)
	for name, tt := range map[string]struct {
		client func(ConnectionConfig) Client
		cfg    ConnectionConfig
		pool   bool // each request asks a pool for a connection
	}{
		"wire":                {Wire, ConnectionConfig{}, false},
		"nethttp directly":    {NetHTTP, ConnectionConfig{Protocols: http11}, false},
		"nethttp, transport":  {NetHTTP, ConnectionConfig{Protocols: http11, MaxRedirects: 1}, true},
		"nethttp, limited":    {NetHTTP, ConnectionConfig{Protocols: http11, MaxConnections: 1}, true},
		"nethttp, by default": {NetHTTP, ConnectionConfig{Decompress: true}, true},
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+", "+scheme, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := serveSlowly(t, scheme == "https", cert)
					cfg := tt.cfg
					cfg.Phases, cfg.DialContext, cfg.TLS = true, srv.dial, &tls.Config{InsecureSkipVerify: true} //nolint:gosec // ours
					e := Start(t, SyncConfig{Client: tt.client(cfg)})
					first, second, empty := Get(scheme+"://h.test/"), Get(scheme+"://h.test/"), Get(scheme+"://h.test/empty")
					first.Name, second.Name, empty.Name = "first", "second", "empty"
					r, err := e.Run(t.Context(), Times(3, first, second, empty))
					require.NoError(t, err)
					require.EqualValues(t, 3, r.SuccessCount, "%v", r)

					counts, longest := phasesOf(t, &r.Stats)
					wantCounts := map[Phase]int64{PhasePool: 1, PhaseDNS: 1, PhaseConnect: 1, PhaseHeaders: 3, PhaseBody: 2}
					want := map[Phase]time.Duration{PhasePool: 0, PhaseDNS: slowDNS, PhaseConnect: slowConnect, PhaseHeaders: slowHeaders, PhaseBody: slowBody}
					if tt.pool {
						wantCounts[PhasePool] = 3
					}
					if scheme == "https" {
						wantCounts[PhaseTLS], want[PhaseTLS] = 1, slowTLS
					}
					require.Equal(t, wantCounts, counts)
					require.Equal(t, want, longest)

					counts, _ = phasesOf(t, r.Endpoints["first"])
					require.Equal(t, int64(1), counts[PhaseConnect])
					counts, _ = phasesOf(t, r.Endpoints["second"])
					delete(counts, PhasePool)
					require.Equal(t, map[Phase]int64{PhaseHeaders: 1, PhaseBody: 1}, counts, "a kept connection has no connect")
					counts, _ = phasesOf(t, r.Endpoints["empty"])
					delete(counts, PhasePool)
					require.Equal(t, map[Phase]int64{PhaseHeaders: 1}, counts, "without a body there is none to read")
				})
			})
		}
	}
}

// Without Phases nothing is measured.
func TestPhasesAreOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serveSlowly(t, false, tls.Certificate{})
		for _, client := range []func(ConnectionConfig) Client{Wire, NetHTTP} {
			e := Start(t, SyncConfig{Client: client(ConnectionConfig{DialContext: srv.dial})})
			r, err := e.Run(t.Context(), Times(2, Get("http://h.test/")))
			require.NoError(t, err)
			require.Zero(t, r.details)
			require.Zero(t, r.PhaseCount(PhaseHeaders))
			require.Zero(t, r.PhaseQuantile(PhaseHeaders, 1))
			require.NotContains(t, r.String(), "phase")
		}
	})
}

// Who waits for the only connection waits for as long as the other has it.
func TestPoolWaitIsAPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serveSlowly(t, false, tls.Certificate{})
		for reason, cfg := range map[string]ConnectionConfig{
			"for all hosts": {MaxConnections: 1}, "for one host": {MaxKeepaliveConnections: 1},
		} {
			cfg.Phases, cfg.DialContext = true, srv.dial
			e := Start(t, AsyncConfig{MaxConcurrent: 2, Client: NetHTTP(cfg)})
			r, err := e.Run(t.Context(), Times(2, Get("http://h.test/")))
			require.NoError(t, err)
			counts, longest := phasesOf(t, &r.Stats)
			require.EqualValues(t, 2, counts[PhasePool], reason)
			require.Equal(t, slowDNS+slowConnect+slowHeaders+slowBody, longest[PhasePool], reason)
			require.EqualValues(t, 1, counts[PhaseConnect], reason)
		}
	})
}

// A request that fails was in its last phase until it did.
func TestPhasesOfFailedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serveSlowly(t, false, tls.Certificate{})
		for limit, want := range map[time.Duration]map[Phase]time.Duration{
			slowDNS + 5:                             {PhasePool: 0, PhaseDNS: slowDNS, PhaseConnect: 5},
			slowDNS + slowConnect + 5:               {PhasePool: 0, PhaseDNS: slowDNS, PhaseConnect: slowConnect, PhaseHeaders: 5},
			slowDNS + slowConnect + slowHeaders + 9: {PhasePool: 0, PhaseDNS: slowDNS, PhaseConnect: slowConnect, PhaseHeaders: slowHeaders, PhaseBody: 9},
		} {
			for name, client := range map[string]Client{
				"wire":    Wire(ConnectionConfig{Phases: true, DialContext: srv.dial}),
				"nethttp": NetHTTP(ConnectionConfig{Phases: true, DialContext: srv.dial}),
			} {
				e := Start(t, SyncConfig{Client: client, Timeout: limit})
				r, err := e.Run(t.Context(), Times(1, Get("http://h.test/")))
				require.NoError(t, err)
				require.EqualValues(t, 1, r.ErrorCount)
				_, longest := phasesOf(t, &r.Stats)
				require.Equal(t, want, longest, "%s, %v: %v", name, limit, r)
			}
		}
	})
}

// A redirect has a request go through its phases once more.
func TestPhasesOfRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serveSlowly(t, false, tls.Certificate{})
		e := Start(t, SyncConfig{Client: NetHTTP(ConnectionConfig{Phases: true, DialContext: srv.dial, MaxRedirects: 1})})
		r, err := e.Run(t.Context(), Times(1, Get("http://h.test/elsewhere")))
		require.NoError(t, err)
		counts, longest := phasesOf(t, &r.Stats)
		require.Equal(t, map[Phase]int64{PhasePool: 1, PhaseDNS: 1, PhaseConnect: 1, PhaseHeaders: 1, PhaseBody: 1}, counts, "%v", r)
		require.Equal(t, map[Phase]time.Duration{
			PhasePool: 0, PhaseDNS: 2 * slowDNS, PhaseConnect: 2 * slowConnect, PhaseHeaders: 2 * slowHeaders, PhaseBody: slowBody,
		}, longest)
	})
}

// The phases of all attempts of a request count, once.
func TestPhasesOfRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{MaxAttempts: 3, BaseDelay: time.Second})
		require.NoError(t, err)
		e := Start(t, AsyncConfig{MaxConcurrent: 1, Retry: retry, Client: Func(func(ctx context.Context) error {
			time.Sleep(time.Millisecond)
			CountPhase(ctx, PhaseHeaders, time.Millisecond)
			return &resilience.StatusError{Code: 503}
		})})
		r, err := e.Run(t.Context(), Times(2, Get("")))
		require.NoError(t, err)
		require.EqualValues(t, 4, r.Retries)
		require.EqualValues(t, 2, r.PhaseCount(PhaseHeaders))
		require.Equal(t, 3*time.Millisecond, r.PhaseQuantile(PhaseHeaders, 0))
	})
}

func TestCountPhaseCountsWhatThereIs(t *testing.T) {
	CountPhase(t.Context(), PhaseBody, 1) // no run
	e := Start(t, SyncConfig{Client: Func(func(ctx context.Context) error {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		CountPhase(derived, PhaseTLS, 3)
		CountPhase(derived, PhaseTLS, 4)
		CountPhase(ctx, PhaseConnect, 0)
		CountPhase(ctx, PhaseUnknown, 1)
		CountPhase(ctx, PhaseBody+1, 1)
		CountPhase(ctx, PhaseBody, -1)
		return errors.New("failed requests count as well")
	})})
	r, err := e.Run(t.Context(), Times(5, Get("")))
	require.NoError(t, err)
	require.EqualValues(t, 5, r.PhaseCount(PhaseTLS))
	require.EqualValues(t, 7, r.PhaseQuantile(PhaseTLS, 0.5))
	require.EqualValues(t, 5, r.PhaseCount(PhaseConnect), "a phase may take no time")
	for _, p := range []Phase{PhaseUnknown, PhaseBody, PhaseBody + 1} {
		require.Zero(t, r.PhaseCount(p), "%v", p)
	}
}

// A transport of the user's that tells nothing has had no connection to wait for.
func TestPhasesOfATransportThatTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mock := roundTripper(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(&sleepyReader{})}, nil
		})
		e := Start(t, SyncConfig{Client: NetHTTP(ConnectionConfig{Transport: mock, Phases: true})})
		r, err := e.Run(t.Context(), Times(3, Get("http://h.test/")))
		require.NoError(t, err)
		_, longest := phasesOf(t, &r.Stats)
		require.Equal(t, map[Phase]time.Duration{PhaseHeaders: time.Second, PhaseBody: time.Minute}, longest)
	})
}

// sleepyReader takes a minute to end.
type sleepyReader struct{}

func (sleepyReader) Read([]byte) (int, error) {
	time.Sleep(time.Minute)
	return 0, io.EOF
}

// A merged result has the details that a single run of all requests would have, and so
// has one read back.
func TestDetailsMergeExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	names := []string{"a", "b"}
	asks := &Request{ServerTime: &ServerTime{}}
	of := func(samples []sample, seeds []uint64) *EngineResult {
		r := record(epoch, 10*time.Second, names, samples)
		rec := newRecorder(2)
		for i, s := range samples {
			if s.class == ClassRejected {
				continue
			}
			rng := rand.New(rand.NewPCG(seeds[i], 1))
			req, out, phases := asks, outcome{resp: Response{StatusCode: 200}}, new(phaseTimes)
			if rng.IntN(3) > 0 {
				out.resp.Header = http.Header{"Server-Timing": {fmt.Sprintf("x;dur=%d", rng.IntN(5000))}}
			} else if rng.IntN(2) == 0 {
				req = new(Request)
			}
			for p := range phases.been {
				if p > 0 && rng.IntN(3) == 0 {
					phases.any, phases.been[p], phases.spent[p] = true, true, time.Duration(rng.IntN(1e9))
				}
			}
			rec.shards[i%len(rec.shards)].record(s.endpoint, req, &out, phases)
			require.False(t, phases.any, "taken")
			if i%100 == 99 {
				rec.harvest(false)
			}
		}
		rec.harvest(true)
		apart := rec.result(endpointNames(names))
		r.details = apart.details
		for name, s := range apart.Endpoints {
			r.Endpoints[name].details = s.details
		}
		return r
	}
	for range max(1, race.Fewer(3)) {
		all := randomSamples(rng, 100+rng.IntN(500), len(names))
		seeds := make([]uint64, len(all))
		for i := range seeds {
			seeds[i] = rng.Uint64()
		}
		whole, cut := of(all, seeds), rng.IntN(len(all))
		a, b := of(all[:cut], seeds[:cut]), of(all[cut:], seeds[cut:])
		merged := new(EngineResult)
		merged.Merge(a)
		before, err := json.Marshal(a)
		require.NoError(t, err)
		merged.Merge(b)
		after, err := json.Marshal(a)
		require.NoError(t, err)
		require.JSONEq(t, string(before), string(after), "what was merged is not changed")
		data, err := json.Marshal(merged)
		require.NoError(t, err)
		var back EngineResult
		require.NoError(t, json.Unmarshal(data, &back))
		for _, got := range []*EngineResult{merged, &back} {
			for name, pair := range map[string][2]*Stats{
				"total": {&whole.Stats, &got.Stats}, "a": {whole.Endpoints["a"], got.Endpoints["a"]}, "b": {whole.Endpoints["b"], got.Endpoints["b"]},
			} {
				sameDetails(t, name, pair[0], pair[1])
			}
		}
	}
}

func sameDetails(t *testing.T, name string, want, got *Stats) {
	t.Helper()
	r1, m1 := want.ServerTimes()
	r2, m2 := got.ServerTimes()
	require.Equal(t, [2]int64{r1, m1}, [2]int64{r2, m2}, name)
	require.Positive(t, r1, name)
	for q := range 101 {
		require.Equal(t, want.ServerQuantile(float64(q)/100), got.ServerQuantile(float64(q)/100), name)
	}
	for p := PhasePool; p <= PhaseBody; p++ {
		require.Equal(t, want.PhaseCount(p), got.PhaseCount(p), "%s, %v", name, p)
		require.Positive(t, want.PhaseCount(p))
		require.InDelta(t, want.phases[p].Mean(), got.phases[p].Mean(), 1)
		for q := range 101 {
			require.Equal(t, want.PhaseQuantile(p, float64(q)/100), got.PhaseQuantile(p, float64(q)/100), "%s, %v", name, p)
		}
	}
}

func TestDetailsThatDoNotAddUpAreRefused(t *testing.T) {
	e := Start(t, SyncConfig{Client: Func(func(ctx context.Context) error {
		CountPhase(ctx, PhaseTLS, 3)
		return nil
	})})
	r, err := e.Run(t.Context(), Times(5, Get("")))
	require.NoError(t, err)
	data, err := json.Marshal(r)
	require.NoError(t, err)
	for want, change := range map[string]func(map[string]any){
		"": func(map[string]any) {},
		"5 requests, 0 server times and 6 without":         func(j map[string]any) { j["no_server_time"] = 6 },
		"5 requests, 0 server times and -1 without":        func(j map[string]any) { j["no_server_time"] = -1 },
		`a phase "headers2": must be one of ["pool" "dns"`: func(j map[string]any) { j["phases"] = map[string]any{"headers2": map[string]any{}} },
		`a phase ""`: func(j map[string]any) { j["phases"] = map[string]any{"": map[string]any{}} },
		"5 requests, 1 of them in phase connect, and 0 times": func(j map[string]any) { j["phases"] = map[string]any{"connect": map[string]any{"requests": 1}} },
		"4 requests, 5 of them in phase tls, and 5 times":     func(j map[string]any) { j["requests"], j["success_count"] = 4, 4 },
	} {
		var j map[string]any
		require.NoError(t, json.Unmarshal(data, &j))
		j = maps.Clone(j)
		change(j)
		if j["requests"] == 4 { // its latencies are checked before
			var s statsJSON
			require.NoError(t, json.Unmarshal(data, &s))
			s.Requests = 4
			require.ErrorContains(t, new(details).readPhases(&s), want)
			continue
		}
		text, err := json.Marshal(j)
		require.NoError(t, err)
		err = json.Unmarshal(text, new(EngineResult))
		if want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

// So many responses without a time that a sum with those that have one overflows.
func TestServerTimesThatOverflowAreRefused(t *testing.T) {
	var s Stats
	s.Requests, s.SuccessCount, s.unsaid = 1, 1, math.MaxInt64
	hist.Made(&s.good).Record(time.Second)
	hist.Made(&s.server).Record(time.Second)
	data, err := json.Marshal(&s)
	require.NoError(t, err)
	require.ErrorContains(t, json.Unmarshal(data, new(Stats)), "1 requests, 1 server times and 9223372036854775807 without")
}

func TestReportOfPhases(t *testing.T) {
	e := Start(t, SyncConfig{Client: Func(func(ctx context.Context) error {
		CountPhase(ctx, PhaseConnect, 3*time.Millisecond)
		CountPhase(ctx, PhaseBody, time.Second)
		return nil
	})})
	r, err := e.Run(t.Context(), Times(5, Get("")))
	require.NoError(t, err)
	require.Contains(t, r.String(), `
  phase     connect  p50 3ms  p95 3ms  p99 3ms  max 3ms, 5 requests
  phase     body     p50 1s  p95 1s  p99 1s  max 1s, 5 requests
`)
}

// Phases cost no allocation either, beyond what a session makes once.
func TestPhasesAllocateNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	l := listenOn(t, "tcp", "127.0.0.1:0")
	respond(t, l, typicalResponse)
	s := wireSessionOf(t, ConnectionConfig{Phases: true})
	w := new(worker)
	ctx := context.WithValue(t.Context(), workerKey{}, w)
	req := Get("http://" + l.Addr().String() + "/")
	require.Zero(t, testing.AllocsPerRun(500, func() {
		if _, err := s.Do(ctx, req); err != nil {
			t.Error(err)
		}
	}))
	require.Positive(t, w.phases.spent[PhaseHeaders])
}

// instantConn is a connection on which the answer to what is written can be read at once.
type instantConn struct {
	crowdConn
	text string
}

func (c *instantConn) Write(p []byte) (int, error) { return len(p), nil }
func (c *instantConn) Read(p []byte) (int, error)  { return copy(p, c.text), nil }

// BenchmarkDetails is what a request costs without any network, and what is asked for
// adds to that.
func BenchmarkDetails(b *testing.B) {
	text := strings.Replace(typicalResponse, "\r\n", "\r\nServer-Timing: db;dur=53.2, total;dur=61.7;desc=\"all of it\"\r\n", 1)
	for _, client := range []struct {
		name string
		make func(ConnectionConfig) Client
	}{{"nethttp", NetHTTP}, {"wire", Wire}} {
		for _, ask := range []string{"nothing", "phases", "server"} {
			b.Run(fmt.Sprintf("client=%s/ask=%s", client.name, ask), func(b *testing.B) {
				cfg := ConnectionConfig{Phases: ask == "phases", DialContext: func(context.Context, string, string) (net.Conn, error) {
					return &instantConn{text: text}, nil
				}}
				req := Get("http://h.test/")
				if ask == "server" {
					req.ServerTime = new(ServerTime)
				}
				e := Start(b, SyncConfig{Client: client.make(cfg)})
				b.ReportAllocs()
				b.ResetTimer()
				r, err := e.Run(b.Context(), Times(b.N, req))
				require.NoError(b, err)
				require.EqualValues(b, b.N, r.SuccessCount)
			})
		}
	}
}

// Over HTTP/2 requests wait for a stream, also on a connection of which they cannot know
// yet how many it has.
func TestStreamWaitIsAPhase(t *testing.T) {
	for _, proto := range []string{"h2", "h2c", "http/1.1"} {
		t.Run(proto, func(t *testing.T) {
			const takes, workers = 30 * time.Millisecond, 3
			url, speaks := rawserver.Speaking(t, proto, 1, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(takes)
				fmt.Fprint(w, "hello")
			})
			cfg := ConnectionConfig{MaxConnections: 1, Phases: true, Protocols: speaks.Protocols, TLS: speaks.TLSClientConfig}
			e := Start(t, AsyncConfig{MaxConcurrent: workers, Client: NetHTTP(cfg)})
			r, err := e.Run(t.Context(), Times(4*workers, Get(url)))
			require.NoError(t, err)
			require.EqualValues(t, 4*workers, r.SuccessCount, "%v", r)
			for _, p := range []Phase{PhasePool, PhaseHeaders, PhaseBody} {
				require.EqualValues(t, 4*workers, r.PhaseCount(p), "%v", p)
			}
			// Of HTTP/2 another may take the place of the first, seldom: see transport's
			// TestRequestsOvertakenByTheSettingsAreSentAgain.
			require.Equal(t, r.ConnectionsOpened, r.PhaseCount(PhaseConnect), "%v", r)
			most := map[string]int64{"http/1.1": 1, "h2": 2, "h2c": 2}[proto]
			require.True(t, 1 <= r.ConnectionsOpened && r.ConnectionsOpened <= most, "%v", r)
			require.GreaterOrEqual(t, r.PhaseQuantile(PhasePool, 1), takes/2, "somebody waited for another's")
			// The server may be at work before this process has noted that it has written.
			require.GreaterOrEqual(t, r.PhaseQuantile(PhaseHeaders, 0), takes/2)
			var sum time.Duration
			for _, h := range r.phases {
				sum += time.Duration(h.Count()) * h.Mean()
			}
			require.LessOrEqual(t, sum, time.Duration(r.Requests)*(r.Mean()+1)) // a mean is a whole number of ns
		})
	}
}
