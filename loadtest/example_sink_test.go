package loadtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/brunt/loadtest"
)

// nothing is an engine whose requests do nothing.
func nothing() loadtest.Engine {
	engine, _ := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	return engine
}

func ExampleStream() {
	engine := nothing()
	defer engine.Close(context.Background())
	n := 0
	for r, err := range loadtest.Stream(context.Background(), engine, loadtest.Times(1_000_000, &loadtest.Request{Name: "home"})) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(r.Name, r.Attempt, r.Err)
		if n++; n == 2 {
			break // ends the run
		}
	}
	// Output:
	// home 1 <nil>
	// home 1 <nil>
}

func ExampleCollect() {
	engine := nothing()
	defer engine.Close(context.Background())
	result, err := loadtest.Collect(loadtest.Stream(context.Background(), engine, loadtest.Times(1000, &loadtest.Request{Name: "home"})))
	fmt.Println(result.SuccessCount, result.Endpoints["home"].Requests, err)
	// Output: 1000 1000 <nil>
}

func ExampleCreateJSONL() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "results.jsonl")
	sink, err := loadtest.CreateJSONL(path, loadtest.SinkConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine := nothing()
	defer engine.Close(context.Background())
	_, err = loadtest.Record(context.Background(), engine, loadtest.Times(5000), sink)
	fmt.Println(err, sink.Close(context.Background()))

	data, _ := os.ReadFile(path)
	fmt.Println(bytes.Count(data, []byte("\n")), "lines")
	// Output:
	// <nil> <nil>
	// 5000 lines
}

func ExampleNewJSONL() {
	sink, _ := loadtest.NewSink(loadtest.NewJSONL(os.Stdout), loadtest.SinkConfig{})
	_ = sink.Put(loadtest.RequestResult{
		URL: "http://h/", Method: "GET", StatusCode: 200, Attempt: 1, Bytes: 512,
		Latency: 1250 * time.Microsecond, Timestamp: time.UnixMicro(1_700_000_000_250_000),
	})
	_ = sink.Close(context.Background())
	// Output:
	// {"url":"http://h/","status_code":200,"latency_ms":1.25,"timestamp":1700000000.25,"attempt":1,"error":null,"method":"GET","bytes":512}
}

// counter is a writer of one's own.
type counter struct{ records, batches int }

func (c *counter) WriteBatch(_ context.Context, batch []loadtest.RequestResult) error {
	c.records += len(batch)
	c.batches++
	return nil
}
func (c *counter) Close() error { return nil }

func ExampleNewSink() {
	var c counter
	sink, _ := loadtest.NewSink(&c, loadtest.SinkConfig{BatchSize: 100})
	engine := nothing()
	defer engine.Close(context.Background())
	_, err := engine.RunStreaming(context.Background(), loadtest.Times(1000), sink.Put)
	fmt.Println(err, sink.Close(context.Background()))
	fmt.Println(c.records, "records in", c.batches, "batches")
	// Output:
	// <nil> <nil>
	// 1000 records in 10 batches
}

// full is a disk without room.
type full struct{ counter }

func (f *full) WriteBatch(ctx context.Context, batch []loadtest.RequestResult) error {
	if f.records >= 200 {
		return syscall.ENOSPC
	}
	return f.counter.WriteBatch(ctx, batch)
}

func ExampleSinkError() {
	sink, _ := loadtest.NewSink(&full{}, loadtest.SinkConfig{QueueSize: 100, BatchSize: 100})
	defer sink.Close(context.Background())
	engine := nothing()
	defer engine.Close(context.Background())
	result, err := loadtest.Record(context.Background(), engine, loadtest.Times(1_000_000), sink)

	var failed *loadtest.SinkError
	fmt.Println(errors.As(err, &failed), failed.Written, errors.Is(err, syscall.ENOSPC), result.Unsent > 0)
	// Output: true 200 true true
}

// slow writes a thousand records a second.
type slow struct{ counter }

func (s *slow) WriteBatch(ctx context.Context, batch []loadtest.RequestResult) error {
	time.Sleep(time.Duration(len(batch)) * time.Millisecond)
	return s.counter.WriteBatch(ctx, batch)
}

func ExampleRecord() {
	sink, _ := loadtest.NewSink(&slow{}, loadtest.SinkConfig{QueueSize: 10, BatchSize: 10})
	engine := nothing()
	defer engine.Close(context.Background())
	result, err := loadtest.Record(context.Background(), engine, loadtest.Times(100), sink)
	fmt.Println(result.Sink.Written, "written,", err)
	for _, w := range result.Warnings {
		if w.Kind == loadtest.WarnSinkLimit {
			fmt.Println(strings.Split(w.Text, ":")[0])
		}
	}
	fmt.Println(sink.Close(context.Background()))
	// Output:
	// 100 written, <nil>
	// the sink was the limit
	// <nil>
}

const lines = `{"url":"http://h/","status_code":200,"latency_ms":10,"timestamp":1700000000,"attempt":1,"error":null}
what is this
{"url":"http://h/","status_code":500,"latency_ms":20,"timestamp":1700000001,"attempt":2,"error":"status 500","error_class":"status"}
{"url":"http://h/","status_co`

func ExampleReadJSONL() {
	result, err := loadtest.ReadJSONL(strings.NewReader(lines))
	fmt.Println(result.SuccessCount, "ok,", result.ErrorCount, "failed in", result.Elapsed)
	fmt.Println(err)
	fmt.Println(errors.Is(err, loadtest.ErrTruncated))
	// Output:
	// 1 ok, 1 failed in 1.02s
	// loadtest: line 2: not a JSON object
	// loadtest: line 4: the last line is cut off
	// true
}

func ExampleRecords() {
	for r, err := range loadtest.Records(strings.NewReader(lines)) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(r.StatusCode, r.Latency)
	}
	// Output:
	// 200 10ms
	// loadtest: line 2: not a JSON object
	// 500 20ms
	// loadtest: line 4: the last line is cut off
}
