package progress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/loadtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logTB keeps what is logged.
type logTB struct {
	testing.TB
	lines []string
}

func (*logTB) Helper()             {}
func (t *logTB) Output() io.Writer { return t }

func (t *logTB) Write(line []byte) (int, error) {
	t.lines = append(t.lines, strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// Log would name the line of the engine that calls.
func (t *logTB) Log(args ...any) { t.Error(args...) }

func at(elapsed time.Duration) loadtest.Progress {
	n := int64(elapsed.Seconds() * 1000)
	return loadtest.Progress{
		Elapsed: elapsed, Counts: loadtest.Counts{Requests: n, ErrorCount: 3}, RPS: 1000, InFlight: 20, Size: -1,
		Last: loadtest.Interval{
			From: elapsed - time.Second, To: elapsed, Counts: loadtest.Counts{Requests: 950},
			P50: 1234567 * time.Nanosecond, P99: 98765432 * time.Nanosecond,
		},
	}
}

func TestLine(t *testing.T) {
	require.Equal(t, "12s  950 req/s (1,000 overall)  p50 1.235ms p99 98.77ms  20 in flight  3 errors", Line(at(12*time.Second)))
	p := at(time.Second)
	p.RejectedCount, p.Last.Requests = 7, 0
	require.Equal(t, "1s  0 req/s (1,000 overall)  20 in flight  3 errors  7 rejected", Line(p))
}

// What an open loop was to send stands beside what it sent, and what it could not send
// comes before the latencies.
func TestLineOfAnOpenLoop(t *testing.T) {
	p := at(12 * time.Second)
	p.Engine, p.Last.Scheduled, p.Last.Lag = "arrival", 1000, 45678
	require.Equal(t, "12s  950 req/s of 1,000 due  p50 1.235ms p99 98.77ms lag 45.68µs  20 in flight  3 errors", Line(p))
	p.Missed, p.Dropped, p.Canceled = 1234, 5, 6
	require.Equal(t, "12s  950 req/s of 1,000 due  1,234 missed  5 dropped  6 canceled  p50 1.235ms p99 98.77ms lag 45.68µs  20 in flight  3 errors", Line(p))
	p.Last = loadtest.Interval{}
	p.Missed, p.Dropped, p.Canceled = 0, 0, 0
	require.Equal(t, "12s  0 req/s of 0 due  20 in flight  3 errors", Line(p))
}

// What is not counted is said to be so, and is no rate overall before something is.
func TestLineOfWhatIsNotCounted(t *testing.T) {
	p := at(2 * time.Second)
	p.Counts, p.RPS, p.Last.Excluded = loadtest.Counts{}, 0, true
	require.Equal(t, "2s  warm-up  950 req/s  p50 1.235ms p99 98.77ms  20 in flight  0 errors", Line(p))
	p.Engine, p.Last.Scheduled = "arrival", 1000
	require.Equal(t, "2s  warm-up  950 req/s of 1,000 due  p50 1.235ms p99 98.77ms lag 0s  20 in flight  0 errors", Line(p))
	p = at(12 * time.Second)
	p.Last.Excluded = true
	require.Equal(t, "12s  not counted  950 req/s (1,000 overall)  p50 1.235ms p99 98.77ms  20 in flight  3 errors", Line(p))
}

// A run says that it warms up from its first report on, even if nothing has ended yet.
func TestLinesOfARunWithAWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		e := loadtest.Start(t, loadtest.SyncConfig{
			Client:     loadtest.Func(func(context.Context) error { time.Sleep(1500 * time.Millisecond); return nil }),
			Exclude:    loadtest.Exclude{WarmUp: 3 * time.Second},
			OnProgress: func(p loadtest.Progress) { lines = append(lines, Line(p)) },
		})
		_, err := e.Run(t.Context(), loadtest.Times(6))
		require.NoError(t, err)
		for i, line := range lines {
			require.Equal(t, i < 3, strings.Contains(line, "warm-up"), "%q", lines)
		}
	})
}

func TestLogWritesEveryFewSecondsAndAtTheEnd(t *testing.T) {
	tb := &logTB{TB: t}
	show := Log(tb)
	for s := 1; s <= 12; s++ {
		show(at(time.Duration(s) * time.Second))
	}
	end := at(12500 * time.Millisecond)
	end.Done = true
	show(end)
	require.Len(t, tb.lines, 3)
	require.True(t, strings.HasPrefix(tb.lines[0], "5s "), tb.lines[0])
	require.True(t, strings.HasPrefix(tb.lines[1], "10s "), tb.lines[1])
	require.True(t, strings.HasPrefix(tb.lines[2], "13s "), tb.lines[2])

	show(at(5 * time.Second)) // the next run begins anew
	require.Len(t, tb.lines, 4)
}

func TestLogDoesNotCatchUpOnWhatItMissed(t *testing.T) {
	tb := &logTB{TB: t}
	show := Log(tb, Every(2*time.Second))
	for _, s := range []int{1, 2, 9, 10, 11, 12} {
		show(at(time.Duration(s) * time.Second))
	}
	require.Len(t, tb.lines, 4) // at 2, 9, 10 and 12
	require.True(t, strings.HasPrefix(tb.lines[1], "9s "), tb.lines[1])
	require.True(t, strings.HasPrefix(tb.lines[2], "10s "), tb.lines[2])
	require.True(t, strings.HasPrefix(tb.lines[3], "12s "), tb.lines[3])
}

func TestAutoLogsWhereThereIsNoTerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	defer func(old *os.File) { os.Stderr = old }(os.Stderr)
	os.Stderr = f
	tb := &logTB{TB: t}
	Auto(tb, Every(time.Second))(at(time.Second))
	require.Len(t, tb.lines, 1)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
}

// draw returns the frames that Terminal drew.
func draw(ps ...loadtest.Progress) []string {
	var out bytes.Buffer
	show := Terminal(&out)
	for _, p := range ps {
		show(p)
	}
	return strings.Split(out.String(), "\r")
}

func TestTerminalDrawsOneLineInPlace(t *testing.T) {
	var ps []loadtest.Progress
	for s := 1; s <= 4; s++ {
		p := at(time.Duration(s) * time.Second)
		p.Planned, p.Done = 4*time.Second, s == 4
		ps = append(ps, p)
	}
	frames := draw(ps...)
	last := frames[len(frames)-1]
	require.Contains(t, last, "4s  950 req/s")
	require.True(t, strings.HasSuffix(last, "\n"))
	require.Equal(t, 1, strings.Count(strings.Join(frames, ""), "\n"), "%q", frames)
	for _, f := range frames {
		require.LessOrEqual(t, len([]rune(strings.TrimSuffix(strings.ReplaceAll(f, "\x1b[0K", ""), "\n"))), defaultWidth, "%q", f)
	}
	require.Contains(t, strings.Join(frames, ""), "50%")
}

func TestTerminalWithoutAnEndInSight(t *testing.T) {
	p := at(2 * time.Second)
	frames := strings.Join(draw(at(time.Second), p), "")
	require.Contains(t, frames, "2s  950 req/s")
	require.NotContains(t, frames, "%")
}

func TestTerminalFollowsOneRunAfterTheOther(t *testing.T) {
	var out bytes.Buffer
	show := Terminal(&out)
	for range 2 {
		p := at(time.Second)
		p.Size = 1000
		p.Done = true
		show(p)
	}
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestTerminalThatIsGoneDoesNotStopTheLoad(t *testing.T) {
	show := Terminal(brokenWriter{})
	require.NotPanics(t, func() {
		show(at(time.Second))
		p := at(2 * time.Second)
		p.Done = true
		show(p)
	})
}

func TestExtent(t *testing.T) {
	for _, c := range []struct {
		p           loadtest.Progress
		done, total int64
	}{
		{loadtest.Progress{Size: 10, Counts: loadtest.Counts{Requests: 3, RejectedCount: 1}}, 4, 10},
		{loadtest.Progress{Size: 10, Counts: loadtest.Counts{Requests: 3, Missed: 1, Dropped: 2, Canceled: 4, Scheduled: 10}}, 10, 10},
		{loadtest.Progress{Size: 10, Counts: loadtest.Counts{Requests: 50, RejectedCount: 1, UserRequests: 49, Users: 3, Dropped: 2}}, 7, 10}, // two requests of no user
		{loadtest.Progress{Size: -1, Planned: 10, Elapsed: 4}, 4, 10},
		{loadtest.Progress{Size: -1, Planned: 10, Elapsed: 14}, 10, 10},
		{loadtest.Progress{Size: -1, Elapsed: 14}, 0, 0},
	} {
		done, total := extent(c.p)
		require.Equal(t, c.done, done, "%+v", c.p)
		require.Equal(t, c.total, total, "%+v", c.p)
	}
}

func TestWithSinkShowsTheQueue(t *testing.T) {
	sink, err := loadtest.CreateJSONL(t.TempDir()+"/r.jsonl", loadtest.SinkConfig{})
	require.NoError(t, err)
	tb := &logTB{TB: t}
	show := Log(tb, WithSink(sink), Every(time.Second))
	show(at(time.Second))
	require.NoError(t, sink.Close(context.Background()))
	require.Contains(t, tb.lines[0], "0 written  0 queued")
}

func ExampleLog() {
	tb := &logTB{}
	cfg := loadtest.SyncConfig{
		Client:     loadtest.Func(func(context.Context) error { return nil }),
		OnProgress: Log(tb),
	}
	e, err := cfg.New()
	if err != nil {
		panic(err)
	}
	defer e.Close(context.Background())
	if _, err := e.Run(context.Background(), loadtest.Times(100)); err != nil {
		panic(err)
	}
	fmt.Println(len(tb.lines), "line for a run this short")
	// Output: 1 line for a run this short
}

func ExampleTerminal() {
	var screen bytes.Buffer
	show := Terminal(&screen)
	show(loadtest.Progress{Elapsed: time.Second, Counts: loadtest.Counts{Requests: 500}, Size: 500, RPS: 500, Done: true})
	fmt.Println(strings.Contains(screen.String(), "500 overall"))
	// Output: true
}

func ExampleLine() {
	fmt.Println(Line(loadtest.Progress{
		Elapsed: 3 * time.Second, RPS: 1000, InFlight: 100,
		Last: loadtest.Interval{
			From: 2 * time.Second, To: 3 * time.Second, Counts: loadtest.Counts{Requests: 990},
			P50: 95 * time.Millisecond, P99: 120 * time.Millisecond,
		},
	}))
	// Output: 3s  990 req/s (1,000 overall)  p50 95ms p99 120ms  100 in flight  0 errors
}
