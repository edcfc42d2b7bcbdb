package loadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// record makes a result of samples as an engine would.
func record(start time.Time, elapsed time.Duration, names []string, samples []sample) *EngineResult {
	rec := newRecorder(3)
	bufs := []*buffer{rec.buffer(), rec.buffer(), rec.buffer()}
	for i, s := range samples {
		b := bufs[i%3]
		s.bytes += 10
		if s.class != ClassNone {
			b.example(s.class, fmt.Errorf("example of %v", s.class))
		}
		b.add(s)
	}
	rec.harvest(true)
	r := rec.result(endpointNames(names))
	r.Engine, r.Concurrency, r.pooled = "async", 100, true
	r.StartedAt, r.Elapsed = start, elapsed
	r.spans = []span{{start, start.Add(elapsed)}}
	r.Warnings = r.assess()
	return r
}

// endpointNames are names of requests.
func endpointNames(names []string) []endpointName {
	out := make([]endpointName, len(names))
	for i, n := range names {
		out[i].name = n
	}
	return out
}

func randomSamples(rng *rand.Rand, n, names int) []sample {
	out := make([]sample, n)
	for i := range out {
		s := sample{latency: time.Duration(rng.Int64N(int64(time.Second))), endpoint: int8(rng.IntN(names+1)) - 1}
		switch rng.IntN(5) {
		case 0:
			s.class = ErrorClass(1 + rng.IntN(int(numClasses)-1))
		case 1:
			s.status, s.class = uint16(400+rng.IntN(300)), ClassStatus
		default:
			s.status = uint16(200 + rng.IntN(200))
		}
		out[i] = s
	}
	return out
}

func sameResult(t *testing.T, want, got *EngineResult) {
	t.Helper()
	a, err := json.Marshal(want)
	require.NoError(t, err)
	b, err := json.Marshal(got)
	require.NoError(t, err)
	if !bytes.Equal(a, b) {
		require.JSONEq(t, string(a), string(b))
	}
	for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1} {
		require.Equal(t, want.Quantile(q), got.Quantile(q), "q=%v", q)
	}
}

// A merged result must be the one that a single run of all requests would give.
func TestMergeIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	names := []string{"a", "b"}
	for range 3 {
		all := randomSamples(rng, 1+rng.IntN(3000), len(names))
		whole := record(epoch, 10*time.Second, names, all)
		merged := new(EngineResult)
		cut := rng.IntN(len(all) + 1)
		parts := []*EngineResult{
			record(epoch, 6*time.Second, names, all[:cut]),
			record(epoch.Add(6*time.Second), 4*time.Second, names, all[cut:]),
		}
		for _, i := range rng.Perm(2) {
			requests, p99 := parts[i].Requests, parts[i].P99()
			merged.Merge(parts[i])
			require.Equal(t, requests, parts[i].Requests, "the argument is not changed")
			require.Equal(t, p99, parts[i].P99())
		}
		sameResult(t, whole, merged)
		require.InEpsilon(t, whole.RPS(), merged.RPS(), 1e-12)
		merged.Merge(nil)
		sameResult(t, whole, merged)
	}
}

func TestMergedElapsedIsTheTimeInWhichSomethingRan(t *testing.T) {
	at := func(from, to int) *EngineResult {
		return record(epoch.Add(time.Duration(from)*time.Second), time.Duration(to-from)*time.Second, nil, []sample{{status: 200, endpoint: noEndpoint}})
	}
	for _, tt := range []struct {
		reason      string
		runs        []*EngineResult
		elapsed     time.Duration
		concurrency int
	}{
		{"side by side", []*EngineResult{at(0, 10), at(0, 10)}, 10 * time.Second, 200},
		{"one after the other, with a pause", []*EngineResult{at(0, 10), at(30, 40)}, 20 * time.Second, 100},
		{"overlapping, in any order", []*EngineResult{at(5, 15), at(0, 10)}, 15 * time.Second, 200},
		{"one inside the other", []*EngineResult{at(0, 10), at(2, 3)}, 10 * time.Second, 200},
		{"a bridge between two", []*EngineResult{at(0, 2), at(4, 6), at(2, 4)}, 6 * time.Second, 100},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			sum := new(EngineResult)
			for _, r := range tt.runs {
				sum.Merge(r)
			}
			require.Equal(t, tt.elapsed, sum.Elapsed)
			require.Equal(t, epoch, sum.StartedAt)
			require.Equal(t, tt.concurrency, sum.Concurrency)
			require.InDelta(t, float64(len(tt.runs))/tt.elapsed.Seconds(), sum.RPS(), 1e-9)
		})
	}
}

func TestMergeOfDifferentEnginesSaysSo(t *testing.T) {
	a, b := record(epoch, 1, nil, nil), record(epoch, 1, nil, nil)
	b.Engine = "sync"
	a.PeakMemory, b.PeakMemory = 7, 9
	a.Retries, b.Retries = 2, 3
	a.Unsent, b.Unsent = 20, 30
	a.ConnectionsOpened, b.ConnectionsOpened = 200, 300
	a.Merge(b)
	require.EqualValues(t, 5, a.Retries)
	require.EqualValues(t, 50, a.Unsent)
	require.EqualValues(t, 500, a.ConnectionsOpened)
	require.Equal(t, "mixed", a.Engine)
	require.EqualValues(t, 9, a.PeakMemory, "memory is not additive")
}

func TestResultJSONRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	names := []string{"a", "b"}
	r := record(epoch, 10*time.Second, names, randomSamples(rng, 2000, len(names)))
	r.PeakMemory, r.ConnectionsOpened, r.Unsent, r.Retries = 12_345_678, 150, 4, 9
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back EngineResult
	require.NoError(t, json.Unmarshal(data, &back))
	sameResult(t, r, &back)
	require.Equal(t, r.Endpoints["a"].P99(), back.Endpoints["a"].P99())
	require.Equal(t, r.Warnings, back.Warnings)
	require.Equal(t, r.Elapsed, back.Elapsed)
	require.EqualValues(t, 9, back.Retries)
	require.EqualValues(t, 4, back.Unsent)
	require.EqualValues(t, 150, back.ConnectionsOpened)
	require.True(t, r.StartedAt.Equal(back.StartedAt))
}

func TestResultJSONHasTheReferenceKeys(t *testing.T) {
	r := record(epoch, 2*time.Second, []string{"a"}, []sample{{latency: 1500 * time.Microsecond, status: 200}, {latency: time.Millisecond, class: ClassReset}})
	r.PeakMemory = 5_000_000
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(data, &m))
	require.InEpsilon(t, 1.0, m["rps"], 1e-12)
	require.InEpsilon(t, 1.0, m["success_count"], 1e-12)
	require.InEpsilon(t, 1.0, m["error_count"], 1e-12)
	require.InEpsilon(t, 1.0, m["p50_latency_ms"], 0.001)
	require.InEpsilon(t, 1.5, m["p95_latency_ms"], 0.001)
	require.InEpsilon(t, 1.5, m["p99_latency_ms"], 0.001)
	require.InEpsilon(t, 5.0, m["peak_memory_mb"], 1e-12)
	require.Equal(t, map[string]any{"reset": 1.0}, m["errors"])
}

func TestResultJSONThatDoesNotAddUpIsRefused(t *testing.T) {
	good, err := json.Marshal(record(epoch, time.Second, []string{"a"}, []sample{{status: 200, latency: 1}}))
	require.NoError(t, err)
	for _, tt := range []struct{ reason, old, new string }{
		{"counts", `"requests":1`, `"requests":2`},
		{"no histogram", `"hdr":"`, `"hdr":"AAAA`},
		{"class", `"pooled"`, `"errors":{"nonsense":1},"pooled"`},
		{"type", `"requests":1`, `"requests":"1"`},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			bad := strings.Replace(string(good), tt.old, tt.new, 1)
			require.NotEqual(t, string(good), bad)
			require.Error(t, json.Unmarshal([]byte(bad), new(EngineResult)))
		})
	}
	var s Stats
	require.Error(t, json.Unmarshal([]byte(`{"requests":3}`), &s))
	require.Error(t, json.Unmarshal([]byte(`{"requests":1,"error_count":1,"error_histogram":{"hdr":"x"}}`), &s))
	require.Error(t, json.Unmarshal([]byte(`[]`), &s))
}

func TestRequestResultJSON(t *testing.T) {
	r := RequestResult{
		URL: "http://h/", StatusCode: 200, Latency: 1234567 * time.Nanosecond,
		Timestamp: epoch.Add(250 * time.Millisecond), Attempt: 1,
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"url":"http://h/","status_code":200,"latency_ms":1.234567,"timestamp":1767323045.25,"attempt":1,"error":null}`, string(data))
	var back RequestResult
	require.NoError(t, json.Unmarshal(data, &back))
	require.True(t, r.Timestamp.Equal(back.Timestamp))
	back.Timestamp = r.Timestamp
	require.Equal(t, r, back)

	r.Err, r.Class = errors.New("connection refused"), ClassRefused
	data, err = json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(data), `"error":"connection refused","error_class":"refused"`)
	require.NoError(t, json.Unmarshal(data, &back))
	require.EqualError(t, back.Err, "connection refused")
	require.Equal(t, ClassRefused, back.Class)

	require.NoError(t, json.Unmarshal([]byte(`{"error":"from elsewhere"}`), &back))
	require.Equal(t, ClassOther, back.Class)
	for _, bad := range []string{`{"latency_ms":-1}`, `{"latency_ms":1e300}`, `{"timestamp":1e300}`, `{"timestamp":"x"}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &back), bad)
	}
}

func TestWarnings(t *testing.T) {
	ok := func(n int) []sample {
		out := make([]sample, n)
		for i := range out {
			out[i] = sample{latency: 10 * time.Millisecond, status: 200, endpoint: noEndpoint}
		}
		return out
	}
	with := func(base []sample, s sample, n int) []sample {
		s.endpoint = noEndpoint
		for range n {
			base = append(base, s)
		}
		return base
	}
	for _, tt := range []struct {
		reason  string
		samples []sample
		change  func(*EngineResult)
		want    []WarningKind
	}{
		{"enough of everything", ok(1000), nil, nil},
		{"one sample short", ok(999), nil, []WarningKind{WarnFewSamples}},
		{"nothing sent, nothing to say", nil, nil, nil},
		{"churn", ok(2000), func(r *EngineResult) { r.ConnectionsOpened = 201 }, []WarningKind{WarnConnectionChurn}},
		{"a few more than workers is normal", ok(2000), func(r *EngineResult) { r.ConnectionsOpened = 200 }, nil},
		{"a tenth of the requests is not churn", ok(5000), func(r *EngineResult) { r.ConnectionsOpened = 500 }, nil},
		{"two for each worker are no churn", ok(1000), func(r *EngineResult) { r.ConnectionsOpened = 200 }, nil},
		{"naive pools are meant to churn", ok(2000), func(r *EngineResult) { r.ConnectionsOpened, r.pooled = 2000, false }, nil},
		{"out of range", with(ok(1000), sample{latency: 2 * time.Hour, status: 200}, 1), nil, []WarningKind{WarnOutOfRange}},
		{"out of range, errors not", with(with(ok(1000), sample{latency: 2 * time.Hour, status: 200}, 1), sample{latency: time.Second, class: ClassTimeout}, 1), nil, []WarningKind{WarnOutOfRange}},
		{"redirects", with(ok(1000), sample{latency: time.Millisecond, status: 302}, 1), nil, []WarningKind{WarnRedirects}},
		{"not modified is none", with(ok(1000), sample{latency: time.Millisecond, status: 304}, 1), nil, nil},
		{"local limit", with(ok(10_000), sample{latency: time.Second, class: ClassLocal}, 1), nil, []WarningKind{WarnLocalLimit}},
		{"fast errors", with(ok(1000), sample{latency: time.Millisecond, class: ClassRefused}, 100), nil, []WarningKind{WarnFastErrors}},
		{"fast errors are one in a hundred", with(ok(990), sample{latency: time.Millisecond, class: ClassRefused}, 10), nil, []WarningKind{WarnFastErrors}},
		{"errors half as long as the others", with(ok(1000), sample{latency: 5 * time.Millisecond, class: ClassRefused}, 100), nil, nil},
		{"fast errors beside no success", with(with(nil, sample{latency: 10 * time.Millisecond, status: 302}, 1000), sample{latency: time.Millisecond, class: ClassRefused}, 100), nil, []WarningKind{WarnRedirects}},
		{"slow errors", with(ok(1000), sample{latency: time.Second, class: ClassTimeout}, 100), nil, nil},
		{"few fast errors", with(ok(1000), sample{latency: time.Millisecond, class: ClassRefused}, 5), nil, nil},
		{"starved", ok(1000), func(r *EngineResult) { r.Generator = Generator{Watched: time.Minute, CPU: 1} }, []WarningKind{WarnGeneratorStarved}},
		{"starved, but nothing was sent", nil, func(r *EngineResult) { r.Generator = Generator{Watched: time.Minute, CPU: 1} }, nil},
		{"folded", ok(1000), func(r *EngineResult) { r.Endpoints = map[string]*Stats{foldedEndpoints: {}} }, []WarningKind{WarnFoldedEndpoints}},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			r := record(epoch, time.Second, nil, tt.samples)
			if tt.change != nil {
				tt.change(r)
			}
			var got []WarningKind
			for _, w := range r.assess() {
				got = append(got, w.Kind)
				require.NotEmpty(t, w.Error())
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// Redirects of every status are redirects, but for 304.
func TestRedirectsAreCountedTogether(t *testing.T) {
	var samples []sample
	for i := range 1000 {
		samples = append(samples, sample{status: uint16(301 + i%4), endpoint: noEndpoint})
	}
	r := record(epoch, time.Second, nil, samples)
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0].Text, "750 redirects (3xx)")
}

func TestOddStatusesAreCounted(t *testing.T) {
	r := record(epoch, time.Second, []string{"a"}, []sample{{status: 999, class: ClassStatus}, {status: 999, class: ClassStatus}, {status: 99}})
	require.Equal(t, map[int]int64{999: 2, 99: 1}, r.StatusCodes)
	require.Nil(t, record(epoch, time.Second, nil, []sample{{}}).StatusCodes, "functions have none")
}

func TestReportGolden(t *testing.T) {
	var samples []sample
	for i := range 5000 {
		s := sample{latency: time.Duration(9000+i) * time.Microsecond, status: 200, endpoint: int8(i % 3)}
		switch {
		case i%100 == 7:
			s.status, s.class = 503, ClassStatus
		case i%250 == 9:
			s.status, s.class, s.latency = 0, ClassTimeoutHeaders, time.Second
		case i%500 == 11:
			s.status = 302
		}
		samples = append(samples, s)
	}
	r := record(epoch, 1234*time.Millisecond, []string{"home", "search", "checkout"}, samples)
	r.ConnectionsOpened, r.PeakMemory, r.Unsent = 104, 23<<20, 12
	golden(t, "report.golden", r.String()+"\n")
	golden(t, "report_empty.golden", new(EngineResult).String()+"\n")
}

// The report of an open loop says what was to be sent and what became of it, and takes a
// response time apart.
func TestReportOfAnOpenLoopGolden(t *testing.T) {
	var samples []sample
	for i := range 5000 {
		s := sample{latency: time.Duration(9000+i) * time.Microsecond, lag: time.Duration(20+i%50) * time.Microsecond, status: 200, endpoint: int8(i % 2)}
		if i%100 == 7 {
			s.status, s.class, s.lag = 503, ClassStatus, time.Second
		}
		samples = append(samples, s)
	}
	r := record(epoch, 10*time.Second, []string{"home", "search"}, samples)
	r.Engine, r.Concurrency, r.Schedule, r.PeakInFlight = "arrival", 2000, "500/s for 9s, ramp to 1000/s over 1s, poisson", 37
	r.Missed, r.Dropped, r.Canceled, r.Scheduled = 40, 1200, 3, 6243
	r.ConnectionsOpened, r.PeakMemory, r.Unsent = 37, 23<<20, 12
	golden(t, "report_open.golden", r.String()+"\n")

	r.Schedule = pace.Recorded(make([]time.Duration, 1e5)...).String()
	require.Less(t, len(r.String()), 2000, "a hundred thousand instants fill no screen")

	// Nothing was sent, so that there are no times.
	r = &EngineResult{Engine: "arrival", Concurrency: 1, Schedule: "1/s for 3s"}
	r.Scheduled, r.Missed = 3, 3
	require.Equal(t, "arrival, MaxInFlight 1: 0 requests in 0s, 0 req/s\n  schedule  1/s for 3s\n  arrivals  3 due; at most 0 in flight\n"+
		"  outcome   0 ok, 0 failed, 3 missed\n  resources 0 connections opened, 0 B read, peak heap 0 B", r.String())
}

func TestFirstLine(t *testing.T) {
	require.Equal(t, "a", firstLine("a\nb"))
}
