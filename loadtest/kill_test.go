package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// killedBatch is the batch size of the process that is killed.
const killedBatch = 256

// TestRecordUntilKilled is what TestAKilledRunLosesAtMostABatch runs in a process
// of its own.
func TestRecordUntilKilled(t *testing.T) {
	path := os.Getenv("BRUNT_KILLED_FILE")
	if path == "" {
		t.Skip("a helper of another test")
	}
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	s := newSink(t, &announcer{BatchWriter: NewJSONL(f)}, SinkConfig{QueueSize: 1024, BatchSize: killedBatch})
	e := Start(t, ThreadedConfig{MaxWorkers: 4, Client: Func(func(context.Context) error { return nil })})
	_, err = Record(t.Context(), e, For(time.Minute, &Request{URL: "http://h/", Name: "home"}), s)
	t.Fatal("not killed", err)
}

// announcer says after each batch how much is written.
type announcer struct {
	BatchWriter
	written int
}

func (a *announcer) WriteBatch(ctx context.Context, batch []RequestResult) error {
	err := a.BatchWriter.WriteBatch(ctx, batch)
	if err == nil {
		a.written += len(batch)
		fmt.Printf("written %d\n", a.written)
	}
	return err
}

func TestAKilledRunLosesAtMostABatch(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	for i := range 3 {
		path := filepath.Join(t.TempDir(), "killed.jsonl")
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestRecordUntilKilled$")
		cmd.Env = append(os.Environ(), "BRUNT_KILLED_FILE="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var said int64
		lines := bufio.NewScanner(out)
		for said < int64(1000+1700*i) && lines.Scan() {
			_, _ = fmt.Sscanf(lines.Text(), "written %d", &said)
		}
		require.NoError(t, cmd.Process.Kill()) // SIGKILL
		for lines.Scan() {                     // what it said before it died
			_, _ = fmt.Sscanf(lines.Text(), "written %d", &said)
		}
		require.Error(t, cmd.Wait())

		data, err := os.ReadFile(path)
		require.NoError(t, err)
		r, err := ReadJSONL(bytes.NewReader(data))
		require.NotErrorIs(t, err, ErrMalformed)
		if !bytes.HasSuffix(data, []byte("\n")) {
			require.ErrorIs(t, err, ErrTruncated)
		} else {
			require.NoError(t, err)
		}
		require.EqualValues(t, bytes.Count(data, []byte("\n")), r.Requests, "every whole line is a record")
		require.GreaterOrEqual(t, r.Requests, said, "what was said to be written is")
		require.LessOrEqual(t, r.Requests, said+killedBatch, "and at most the batch after that")
		require.Positive(t, said)
		t.Logf("said %d, read %d", said, r.Requests)
	}
}
