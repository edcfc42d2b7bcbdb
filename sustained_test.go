package brunt_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/loadtest/live"
	"example.com/brunt/loadtest/progress"
)

// The sustained benchmark takes three settings more:
//
//	BRUNT_DURATION     how long each engine is driven (default 2s)
//	BRUNT_CONCURRENCY  requests the async engine keeps in flight (default 200)
//	BRUNT_WORKERS      workers of the threaded engine (default 32)
//	BRUNT_RESULTS      where the records go, such as results.jsonl; the report
//	                   lands beside them. By default both end with the benchmark.
func number(b *testing.B, name string, def int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		b.Fatalf("%s=%q: want a number above 0", name, text)
	}
	return n
}

// resultsPath puts the engine's name into BRUNT_RESULTS: results.jsonl becomes
// results-async.jsonl.
func resultsPath(b *testing.B, engine string) string {
	b.Helper()
	path := os.Getenv("BRUNT_RESULTS")
	if path == "" {
		return filepath.Join(b.TempDir(), engine+".jsonl")
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + engine + ext
}

// BenchmarkSustained drives each engine for a while, once, whatever b.N is, and
// keeps every record: streamed to a file, read back, and compared with what the
// engine counted. It fails if a record is missing, or if the heap grows.
func BenchmarkSustained(b *testing.B) {
	concurrency, workers := number(b, "BRUNT_CONCURRENCY", 200), number(b, "BRUNT_WORKERS", 32)
	for _, s := range []struct {
		engine string
		config func(b *testing.B, p func(loadtest.Progress)) loadtest.EngineConfig
	}{
		{"async", func(_ *testing.B, p func(loadtest.Progress)) loadtest.EngineConfig {
			return loadtest.AsyncConfig{MaxConcurrent: concurrency, OnProgress: p}
		}},
		{"threaded", func(_ *testing.B, p func(loadtest.Progress)) loadtest.EngineConfig {
			return loadtest.ThreadedConfig{MaxWorkers: workers, OnProgress: p}
		}},
	} {
		var result *loadtest.EngineResult
		b.Run("engine="+s.engine, func(b *testing.B) {
			if b.N > 1 && result != nil { // the measurement is done: b.N is not its size
				report(b, result)
				return
			}
			result = sustain(b, s.engine, func(p func(loadtest.Progress)) loadtest.EngineConfig { return s.config(b, p) })
			report(b, result)
		})
	}
}

// report has the time per request stand for ns/op, which b.N would make senseless.
func report(b *testing.B, r *loadtest.EngineResult) {
	b.Helper()
	loadtest.ReportMetrics(b, r)
	b.ReportMetric(float64(r.Elapsed)/float64(max(r.Requests, 1)), "ns/op")
	b.ReportMetric(float64(r.Requests), "requests")
	b.ReportMetric(r.Elapsed.Seconds(), "run-sec")
}

func sustain(b *testing.B, engine string, config func(func(loadtest.Progress)) loadtest.EngineConfig) *loadtest.EngineResult {
	b.Helper()
	fixtures.NoLeaks(b)
	duration := setting(b, "BRUNT_DURATION", 2*time.Second)
	path := resultsPath(b, engine)
	sink, err := loadtest.CreateJSONL(path, loadtest.SinkConfig{})
	if err != nil {
		b.Fatal(err)
	}
	req := target(b)
	e := loadtest.Start(b, config(live.Show(b, "", progress.Auto(b, progress.WithSink(sink)))))
	b.ResetTimer()
	r, err := loadtest.Record(b.Context(), e, loadtest.For(duration, req), sink)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	if err := sink.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Logf("%v", r)
	verifyRecords(b, path, r)
	verifyMemory(b, r)
	page := strings.TrimSuffix(path, filepath.Ext(path)) + ".html"
	if err := htmlreport.WriteFile(page, htmlreport.Options{Title: "Sustained load, " + engine}, r); err != nil {
		b.Fatal(err)
	}
	if os.Getenv("BRUNT_RESULTS") != "" {
		b.Logf("records in %s, report in %s", path, page)
	}
	return r
}

// verifyRecords reads the file back: a line for each request, and the same figures.
func verifyRecords(b *testing.B, path string, r *loadtest.EngineResult) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var lines lineCounter
	read, err := loadtest.ReadJSONL(io.TeeReader(f, &lines))
	if err != nil {
		b.Fatal(err)
	}
	if sent := r.Requests + r.RejectedCount; int64(lines) != sent || read.Requests != r.Requests {
		b.Fatalf("%d requests, %d lines in %s, %d records read back", sent, lines, path, read.Requests)
	}
	b.Logf("records   PASS: %d requests, %d lines; read back: p50 %v, p99 %v", r.Requests, lines, read.P50(), read.P99())
}

type lineCounter int64

func (n *lineCounter) Write(p []byte) (int, error) {
	*n += lineCounter(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

const (
	// A heap starts small: the first sixth of a run, up to ten seconds of it, is
	// not judged, and runs too short to have a trend are not judged at all.
	maxSettling    = 10 * time.Second
	shortestJudged = 10 * time.Second
	maxHeapGrowth  = 0.05
)

func verifyMemory(b *testing.B, r *loadtest.EngineResult) {
	b.Helper()
	if r.Elapsed < shortestJudged-time.Second {
		b.Logf("memory    not judged: a run of %v is too short", r.Elapsed.Round(time.Second))
		return
	}
	growth := r.HeapGrowth(min(r.Elapsed/6, maxSettling))
	verdict := fmt.Sprintf("peak heap %.1f MB, its trend %+.1f %% of the peak over the last %v (at most %.0f %%)",
		float64(r.PeakMemory)/1e6, 100*growth, (r.Elapsed - min(r.Elapsed/6, maxSettling)).Round(time.Second), 100*maxHeapGrowth)
	if growth > maxHeapGrowth {
		b.Errorf("memory    FAIL: %s", verdict)
		return
	}
	b.Logf("memory    PASS: %s", verdict)
}

// BenchmarkPersistence is what keeping every record costs: the same requests
// with no sink, with one that does nothing, and with a file.
func BenchmarkPersistence(b *testing.B) {
	concurrency := number(b, "BRUNT_CONCURRENCY", 200)
	for _, kind := range []string{"none", "jsonl"} {
		b.Run("sink="+kind, func(b *testing.B) {
			fixtures.NoLeaks(b)
			req := target(b)
			e := loadtest.Start(b, loadtest.AsyncConfig{MaxConcurrent: concurrency})
			warm(b, e, concurrency, req)
			if kind == "none" {
				loadtest.Bench(b, e, req)
				return
			}
			sink, err := loadtest.CreateJSONL(filepath.Join(b.TempDir(), "results.jsonl"), loadtest.SinkConfig{})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			r, err := loadtest.Record(b.Context(), e, loadtest.Times(b.N, req), sink)
			b.StopTimer()
			if err == nil {
				err = sink.Close(context.Background())
			}
			if err != nil {
				b.Fatal(err)
			}
			loadtest.ReportMetrics(b, r)
		})
	}
}
