package shards

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/brunt/internal/scheduler"
	"example.com/brunt/loadtest"
)

// Run makes this process's part of the run of src on an engine of cfg, and returns its
// result: see the package's documentation for how it knows which part that is. It waits for
// BRUNT_START and writes the result into BRUNT_RESULTS.
//
// One of several shards is not judged by slo, which is an objective for them all together:
// brunt merge does that. But the test fails if the shard is late, or its own part INVALID. A
// process that is alone is judged by [loadtest.Check].
//
// Run can be called once by a test or benchmark of a process, and by several only if
// BRUNT_START is not set. A benchmark needs -benchtime=1x. Run ends the test if the
// environment is not right, if the shard is late, and if the run ends with an error.
func Run(tb testing.TB, cfg loadtest.EngineConfig, src loadtest.Source, slo loadtest.SLO) *loadtest.EngineResult {
	tb.Helper()
	c, err := FromEnv()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return c.Run(tb, cfg, src, slo)
}

// begun has the base names of the files of this process's runs.
var begun sync.Map

// Run is like the function of that name, with c in place of the environment.
func (c Config) Run(tb testing.TB, cfg loadtest.EngineConfig, src loadtest.Source, slo loadtest.SLO) *loadtest.EngineResult {
	tb.Helper()
	if err := errors.Join(c.Shard.Validate(), slo.Validate()); err != nil {
		tb.Fatalf("shards: Run: %v", err)
	}
	f := c.file(tb.Name(), c.Start)
	f.SLO = slo
	if c.Dir != "" {
		if _, twice := begun.LoadOrStore(filepath.Join(c.Dir, f.base()), true); twice {
			tb.Fatal("shards: Run was called before in this test: call it in a sub-test of its own, or, of a benchmark, set -benchtime=1x")
		}
	}
	e := loadtest.Start(tb, cfg)
	c.carryOut(tb.Context(), f, func(ctx context.Context) (*loadtest.EngineResult, error) {
		return e.Run(ctx, src.Shard(c.Shard.Index, c.Shard.Count))
	})
	c.write(tb, f)
	switch {
	case f.Late() > 0:
		tb.Fatalf("shards: INVALID: shard %v was %s, at %s: leave more time before %s, and run one test that calls Run in a process", c.Shard, f.Error, c.Start.Format(time.RFC3339Nano), scheduler.Start)
	case f.Error != "":
		tb.Fatalf("shards: shard %v: %s", c.Shard, f.Error)
	case c.Shard.Count == 1:
		loadtest.Check(tb, f.Result, slo)
	default:
		if v := f.validity(); v.Kind == loadtest.VerdictInvalid {
			tb.Errorf("shards: shard %v: %v", c.Shard, v)
		}
	}
	return f.Result
}

// file returns what is known of this shard's part of a run before it begins.
func (c Config) file(name string, start time.Time) *File {
	host, _ := os.Hostname() // it is only shown
	return &File{Format: format, Run: c.Name, Name: name, Shard: c.Shard.Index, Shards: c.Shard.Count, Start: start, Host: host}
}

// carryOut makes this shard's part of a run at the start that f has, unless it is too late.
// What becomes of it is in f.
func (c Config) carryOut(ctx context.Context, f *File, run func(context.Context) (*loadtest.EngineResult, error)) {
	var err error
	if c.Dir != "" {
		f.Binary, err = binary()
	}
	if err == nil {
		f.Ready = time.Now().Round(0) // by the wall clock, as the start
		if late := f.Late(); late > 0 {
			err = fmt.Errorf("ready %v after the start", late.Round(time.Millisecond))
		}
	}
	if err == nil {
		err = wait(ctx, f.Start)
	}
	if err == nil {
		f.Result, err = run(ctx)
	}
	if err != nil {
		f.Error = err.Error()
	}
}

// write writes f, and says where.
func (c Config) write(tb testing.TB, f *File) {
	tb.Helper()
	if c.Dir == "" {
		return
	}
	path, err := f.write(c.Dir)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Logf("shards: shard %v: %s", c.Shard, path)
}

// wait returns at start, by the wall clock, which may be set meanwhile.
func wait(ctx context.Context, start time.Time) error {
	for left := time.Until(start); left > 0; left = time.Until(start) {
		select {
		case <-time.After(min(left, time.Second)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// binary returns the SHA-256 of the running executable.
var binary = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
})
