package sqlitesink

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A status that was expected is a success in the database, too.
func TestTheDatabaseTellsWhatWasExpected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	s, err := Create(path, loadtest.SinkConfig{})
	require.NoError(t, err)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	missing, plain := loadtest.Get(srv.URL), loadtest.Get(srv.URL)
	missing.Expect = []int{404}
	e := loadtest.Start(t, loadtest.SyncConfig{})
	r, err := loadtest.Record(t.Context(), e, loadtest.Times(10, missing, plain), s)
	require.NoError(t, err)
	require.EqualValues(t, 5, r.SuccessCount)
	require.NoError(t, s.Close(t.Context()))
	var right, wrong int
	query(t, path, `SELECT sum(expected = 1 AND error_class IS NULL AND error IS NULL), sum(expected = 0 AND error_class = 'status') FROM requests`, &right, &wrong)
	require.Equal(t, []int{5, 5}, []int{right, wrong})
}

// The three times of a request are in the database: lag and service time make up the
// response time.
func TestTheDatabaseHoldsTheLag(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	s, err := Create(path, loadtest.SinkConfig{})
	require.NoError(t, err)
	e := loadtest.Start(t, loadtest.ArrivalConfig{
		Schedule: pace.Constant(1000), MaxCatchUp: time.Hour, Client: loadtest.Func(func(context.Context) error { return nil }),
	})
	r, err := loadtest.Record(t.Context(), e, loadtest.Times(100, &loadtest.Request{Name: "home"}), s)
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	var n int
	var lag, service, response float64
	query(t, path, "SELECT count(*), max(lag_ms), max(latency_ms), max(lag_ms + latency_ms) FROM requests WHERE lag_ms >= 0", &n, &lag, &service, &response)
	require.Equal(t, 100, n)
	for want, got := range map[time.Duration]float64{r.LagQuantile(1): lag, r.ServiceQuantile(1): service, r.Quantile(1): response} {
		require.Equal(t, want, time.Duration(got*1e6+0.5))
	}
	require.Positive(t, lag)
}

func query(t *testing.T, path, text string, into ...any) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.QueryRowContext(t.Context(), text).Scan(into...))
}

func TestTheDatabaseHoldsEveryRecord(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a b.db")
	require.NoError(t, os.WriteFile(path, []byte("what was there before"), 0o644))
	s, err := Create(path, loadtest.SinkConfig{BatchSize: 100})
	require.NoError(t, err)
	n := 0
	e := loadtest.Start(t, loadtest.SyncConfig{Client: loadtest.Func(func(context.Context) error {
		if n++; n%4 == 0 {
			return errors.New("it's \"broken\"")
		}
		return nil
	})})
	r, err := loadtest.Record(t.Context(), e, loadtest.Times(1000, &loadtest.Request{URL: "u", Name: "home", Method: "GET"}, &loadtest.Request{}), s)
	require.NoError(t, err)
	require.EqualValues(t, 1000, r.Sink.Written)
	var all int
	query(t, path, "SELECT count(*) FROM requests", &all)
	require.Equal(t, 1000, all, "readable while the sink is open")
	require.NoError(t, s.Close(t.Context()))

	var failed, named, classed, nulls int
	query(t, path, `SELECT count(*), sum(error = 'it''s "broken"'), sum(error_class = 'other'), sum(name = 'home' AND method = 'GET' AND url = 'u'),
		sum(name IS NULL AND method IS NULL) FROM requests WHERE attempt = 1 AND status_code = 0 AND bytes = 0`, &all, &failed, &classed, &named, &nulls)
	require.Equal(t, []int{1000, 250, 250, 500, 500}, []int{all, failed, classed, named, nulls})
	var longest, first float64
	query(t, path, "SELECT max(latency_ms), min(timestamp) FROM requests", &longest, &first)
	require.Equal(t, r.Quantile(1), time.Duration(longest*1e6+0.5))
	require.InDelta(t, float64(r.StartedAt.UnixMicro())/1e6, first, 1)

	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "no journal is left behind")
}

func TestABatchIsWrittenWhollyOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Create(path, loadtest.SinkConfig{QueueSize: 10, BatchSize: 10})
	require.NoError(t, err)
	for i := range 20 {
		r := loadtest.RequestResult{URL: "u", Timestamp: time.Unix(1, 0)}
		if i == 15 {
			r.Class = 99 // no such class
		}
		require.NoError(t, s.Put(r))
	}
	err = s.Close(t.Context())
	var failed *loadtest.SinkError
	require.ErrorAs(t, err, &failed)
	require.EqualValues(t, 10, failed.Written)
	require.ErrorContains(t, err, "no error class 99")
	var n int
	query(t, path, "SELECT count(*) FROM requests", &n)
	require.Equal(t, 10, n)
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	_, err := Create(path, loadtest.SinkConfig{QueueSize: -1})
	require.ErrorIs(t, err, loadtest.ErrConfig)
	require.NoFileExists(t, path)
	_, err = Create(filepath.Join(dir, "missing", "x.db"), loadtest.SinkConfig{})
	require.ErrorContains(t, err, "sqlitesink: creating ")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "sub"), 0o755))
	_, err = Create(path, loadtest.SinkConfig{})
	require.Error(t, err, "a directory is not replaced")
}

func TestAWriterWhoseContextEnds(t *testing.T) {
	w, err := open(filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.WriteBatch(ctx, make([]loadtest.RequestResult, 1)), context.Canceled)
	require.NoError(t, w.Close())
}

const killedBatch = 64

// announcer says after each batch how much is written.
type announcer struct {
	loadtest.BatchWriter
	written int
}

func (a *announcer) WriteBatch(ctx context.Context, batch []loadtest.RequestResult) error {
	err := a.BatchWriter.WriteBatch(ctx, batch)
	if err == nil {
		a.written += len(batch)
		fmt.Printf("written %d\n", a.written)
	}
	return err
}

// TestRecordUntilKilled is what TestAKilledRunKeepsWholeBatches runs in a process
// of its own.
func TestRecordUntilKilled(t *testing.T) {
	path := os.Getenv("BRUNT_KILLED_FILE")
	if path == "" {
		t.Skip("a helper of another test")
	}
	w, err := open(path)
	require.NoError(t, err)
	s, err := loadtest.NewSink(&announcer{BatchWriter: w}, loadtest.SinkConfig{BatchSize: killedBatch})
	require.NoError(t, err)
	e := loadtest.Start(t, loadtest.ThreadedConfig{Client: loadtest.Func(func(context.Context) error { return nil })})
	_, err = loadtest.Record(t.Context(), e, loadtest.For(time.Minute), s)
	t.Fatal("not killed", err)
}

func TestAKilledRunKeepsWholeBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "killed.db")
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestRecordUntilKilled$")
	cmd.Env = append(os.Environ(), "BRUNT_KILLED_FILE="+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said int
	lines := bufio.NewScanner(out)
	for said < 1000 && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "written %d", &said)
	}
	require.NoError(t, cmd.Process.Kill())
	for lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "written %d", &said)
	}
	require.Error(t, cmd.Wait())

	var n int
	var sound string
	query(t, path, "SELECT count(*) FROM requests", &n)
	query(t, path, "PRAGMA integrity_check", &sound)
	require.Equal(t, "ok", sound)
	require.GreaterOrEqual(t, n, said, "what was said to be written is")
	require.LessOrEqual(t, n, said+killedBatch)
	require.Zero(t, n%killedBatch)
	require.GreaterOrEqual(t, said, 1000)
}
