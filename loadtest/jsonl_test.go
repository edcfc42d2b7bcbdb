package loadtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/jsonl"
	"example.com/brunt/loadtest/internal/text"
)

func TestEncodingAllocatesNothing(t *testing.T) {
	r := RequestResult{
		Name: "home", Method: "GET", URL: "http://127.0.0.1:8080/home?é", StatusCode: 503, Latency: 1_234_567,
		Timestamp: time.Unix(1_700_000_000, 120_000_999), Attempt: 2, Bytes: 7, Class: ClassStatus, Err: errTest,
	}
	buf := make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := appendLine(buf, &r); err != nil {
			panic(err)
		}
	}))
}

func BenchmarkEncodeRecord(b *testing.B) {
	r := RequestResult{
		Name: "home", Method: "GET", URL: "http://127.0.0.1:8080/home", StatusCode: 200, Latency: 1_234_567,
		Timestamp: time.Unix(1_700_000_000, 120_456_999), Attempt: 1, Bytes: 1024,
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = appendLine(buf[:0], &r)
	}
	b.SetBytes(int64(len(buf)))
}

// random makes n records of all kinds, from t0 on.
func random(n int, t0 time.Time) []RequestResult {
	rnd := rand.New(rand.NewPCG(1, 2))
	out := make([]RequestResult, n)
	for i := range out {
		r := RequestResult{
			Name: []string{"", "home", "search"}[rnd.IntN(3)], Method: "GET", URL: "http://h/" + string(rune('a'+rnd.IntN(26))),
			StatusCode: 200, Latency: time.Duration(rnd.ExpFloat64() * 5e6), Timestamp: t0.Add(time.Duration(i) * time.Millisecond).Truncate(time.Microsecond),
			Attempt: 1 + rnd.IntN(3), Bytes: rnd.Int64N(1000), Lag: time.Duration(rnd.IntN(2)) * time.Duration(rnd.ExpFloat64()*1e5),
		}
		switch rnd.IntN(10) {
		case 0:
			r.StatusCode, r.Class, r.Err = 500, ClassStatus, errors.New("status 500")
		case 1:
			r.StatusCode, r.Class, r.Err, r.Bytes = 0, ClassReset, errors.New("reset \"by\"\npeer"), 0
		case 2:
			r.StatusCode = 302
		case 3:
			r = RequestResult{Name: r.Name, Method: r.Method, URL: r.URL, Timestamp: r.Timestamp, Class: ClassRejected, Err: errors.New("open")}
		}
		out[i] = r
	}
	return out
}

func TestJSONLKeepsEveryRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("what was there before\n"), 0o644))
	s, err := CreateJSONL(path, SinkConfig{BatchSize: 7})
	require.NoError(t, err)
	want := random(1000, time.Unix(1_700_000_000, 0))
	for _, r := range want {
		require.NoError(t, s.Put(r))
	}
	require.NoError(t, s.Close(t.Context()))
	require.EqualValues(t, 1000, s.Stats().Written)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var got []RequestResult
	for r, err := range Records(f) {
		require.NoError(t, err)
		got = append(got, r)
	}
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, want[i].Timestamp.Equal(got[i].Timestamp))
		want[i].Timestamp, got[i].Timestamp = time.Time{}, time.Time{}
		if want[i].Err != nil {
			require.EqualError(t, got[i].Err, want[i].Err.Error())
			want[i].Err, got[i].Err = nil, nil
		}
		require.Equal(t, want[i], got[i])
	}
}

func TestCreateJSONLRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	_, err := CreateJSONL(path, SinkConfig{QueueSize: -1})
	require.ErrorIs(t, err, ErrConfig)
	require.NoFileExists(t, path, "a bad configuration empties no file")
	_, err = CreateJSONL(filepath.Join(path, "missing", "x.jsonl"), SinkConfig{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A file read back is the run that was recorded.
func TestReadJSONLRebuildsTheLiveResult(t *testing.T) {
	srv := fixtures.NewServer(t)
	srv.SetErrorRate(0.2)
	e := Start(t, AsyncConfig{MaxConcurrent: 8})
	path := filepath.Join(t.TempDir(), "results.jsonl")
	s, err := CreateJSONL(path, SinkConfig{})
	require.NoError(t, err)
	live, err := Record(t.Context(), e, Times(3000,
		&Request{URL: srv.URL + "/get", Name: "get"}, &Request{URL: srv.URL + "/bytes/100", Name: "bytes"},
		&Request{URL: srv.URL + "/get", Check: func(r Response) error {
			if r.StatusCode == 200 {
				return errTest
			}
			return nil
		}}), s)
	require.NoError(t, err)
	data, err := os.ReadFile(path) // before Close: Record returns when all is written
	require.NoError(t, err)
	require.NoError(t, s.Close(t.Context()))
	require.EqualValues(t, live.Requests, bytes.Count(data, []byte("\n")))

	got, err := ReadJSONL(bytes.NewReader(data))
	require.NoError(t, err)
	require.Positive(t, got.Errors[ClassCheck])
	require.Positive(t, got.Errors[ClassStatus])
	require.Equal(t, live.Errors, got.Errors)
	require.Equal(t, live.StatusCodes, got.StatusCodes)
	require.Equal(t, live.ErrorExamples, got.ErrorExamples)
	require.Equal(t, live.BytesRead, got.BytesRead)
	require.Equal(t, live.Requests, got.Requests)
	require.Equal(t, live.SuccessCount, got.SuccessCount)
	for _, q := range []float64{0, 0.5, 0.95, 0.99, 0.999, 1} {
		require.Equal(t, live.Quantile(q), got.Quantile(q), "the same histogram: quantile %v", q)
		require.Equal(t, live.ErrorQuantile(q), got.ErrorQuantile(q))
		require.Equal(t, live.Endpoints["get"].Quantile(q), got.Endpoints["get"].Quantile(q))
	}
	require.Len(t, got.Endpoints, 2)
	require.LessOrEqual(t, got.Elapsed, live.Elapsed+time.Microsecond)
	require.False(t, got.StartedAt.Before(live.StartedAt.Truncate(time.Microsecond)))
	require.InDelta(t, live.Mean(), got.Mean(), 1)

	roundTrip(t, got)
	live.Merge(got)
	require.Equal(t, 2*got.Requests, live.Requests)
}

const good = `{"url":"http://h/","status_code":200,"latency_ms":1.5,"timestamp":1700000000.25,"attempt":1,"error":null}`

func TestReadJSONLReportsWhatItCannotRead(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		n     int64
		lines []string
	}{
		"nothing":          {"", 0, nil},
		"whole":            {good + "\n" + good + "\n", 2, nil},
		"no last newline":  {good + "\n" + good, 2, nil},
		"empty lines":      {"\n" + good + "\r\n \n\n" + good + "\n\n", 2, nil},
		"garbage":          {"garbage\n" + good + "\n[]\nnull\n" + good + "x\n", 1, []string{"line 1: not a JSON object", "line 3: not a", "line 4: not a", "line 5: invalid character"}},
		"other objects":    {"{}\n" + good + "\n", 1, []string{"line 1: no "}},
		"a key missing":    {strings.Replace(good, `"latency_ms":1.5,`, "", 1) + "\n" + good, 1, []string{"line 1: no latency_ms"}},
		"a null":           {strings.Replace(good, `1.5`, "null", 1) + "\n" + good, 1, []string{"line 1: no latency_ms"}},
		"negative latency": {strings.Replace(good, `1.5`, "-1", 1) + "\n", 0, []string{"line 1: request result with"}},
		"late":             {strings.Replace(good, `1700000000.25`, "9223372036", 1) + "\n" + strings.Replace(strings.Replace(good, `1700000000.25`, "9223372036", 1), "1.5", "1e9", 1) + "\n", 1, []string{"line 2: timestamp 9.223372036e+09 with latency_ms 1e+09 is out of range"}},
		"status":           {strings.Replace(good, `:200`, ":65536", 1) + "\n" + good + "\n", 1, []string{"line 1: status_code 65536 is out of range"}},
		"attempt":          {strings.Replace(good, `"attempt":1`, `"attempt":-1`, 1) + "\n", 0, []string{"line 1: attempt -1 is out of range"}},
		"bytes":            {strings.Replace(good, `"attempt":1`, `"bytes":-1`, 1) + "\n", 0, []string{"line 1: bytes -1 is out of range"}},
		"negative lag":     {strings.Replace(good, `"attempt":1`, `"lag_ms":-0.001`, 1) + "\n" + good + "\n", 1, []string{"line 1: request result with"}},
		"huge lag":         {strings.Replace(good, `"attempt":1`, `"lag_ms":1e300`, 1) + "\n", 0, []string{"line 1: request result with"}},
		"huge together":    {strings.Replace(strings.Replace(good, `"attempt":1`, `"lag_ms":9e12`, 1), "1.5", "9e12", 1) + "\n", 0, []string{"line 1: request result with"}},
		"lag as text":      {strings.Replace(good, `"attempt":1`, `"lag_ms":"1ms"`, 1) + "\n", 0, []string{"line 1: json: cannot unmarshal"}},
		"due before 1970":  {strings.Replace(good, `"attempt":1`, `"lag_ms":1.8e12`, 1) + "\n" + strings.Replace(good, `"attempt":1`, `"lag_ms":1.6e12`, 1) + "\n", 1, []string{"line 1: timestamp 1.70000000025e+09 with lag_ms 1.8e+12 is out of range"}},
		"unknown class":    {strings.Replace(good, `null}`, `"x","error_class":"y"}`, 1) + "\n", 0, []string{`line 1: no error class "y"`}},
		"long line":        {good + "\n" + `{"url":"` + strings.Repeat("x", jsonl.MaxLine) + "\"}\n" + good + "\n", 2, []string{"line 2: longer than 1 MiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, reader := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				r, err := ReadJSONL(reader)
				require.Equal(t, tt.n, r.Requests)
				if len(tt.lines) == 0 {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, ErrMalformed)
				require.NotErrorIs(t, err, ErrTruncated)
				got := strings.Split(err.Error(), "\n")
				require.Len(t, got, len(tt.lines))
				for i, want := range tt.lines {
					require.Contains(t, got[i], "loadtest: "+want)
				}
				var line *LineError
				require.ErrorAs(t, err, &line)
				require.LessOrEqual(t, len(line.Text), maxLineText)
				require.Positive(t, line.Line)
			}
		})
	}
}

func TestReadJSONLNeverCountsALineThatIsCutOff(t *testing.T) {
	for cut := 1; cut < len(good); cut++ {
		r, err := ReadJSONL(strings.NewReader(good + "\n" + good[:cut]))
		require.EqualValues(t, 1, r.Requests, "cut after %d", cut)
		require.ErrorIs(t, err, ErrTruncated)
		require.NotErrorIs(t, err, ErrMalformed, "the lines before are whole")
		require.EqualError(t, err, "loadtest: line 2: the last line is cut off")
	}
	r, err := ReadJSONL(strings.NewReader(good + "\n{" + strings.Repeat("x", 2*jsonl.MaxLine)))
	require.EqualValues(t, 1, r.Requests)
	require.ErrorIs(t, err, ErrTruncated)
}

func TestReadJSONLNamesTheFirstBadLinesAndCountsTheRest(t *testing.T) {
	_, err := ReadJSONL(strings.NewReader(strings.Repeat("bad\n", 30) + good + "\n{"))
	require.Len(t, strings.Split(err.Error(), "\n"), 12)
	require.ErrorContains(t, err, "line 10: ")
	require.NotContains(t, err.Error(), "line 11: ")
	require.ErrorContains(t, err, "malformed line: 20 more")
	require.ErrorIs(t, err, ErrTruncated, "which is named all the same")
}

func TestReadJSONLReturnsTheErrorOfItsReader(t *testing.T) {
	r, err := ReadJSONL(io.MultiReader(strings.NewReader(good+"\n"), iotest.ErrReader(errTest)))
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "reading line 2")
	require.EqualValues(t, 1, r.Requests)
}

// The files of the lab that brunt began as have no classes and no names.
func TestReadJSONLUnderstandsTheReference(t *testing.T) {
	r, err := ReadJSONL(strings.NewReader(
		`{"url":"u","status_code":200,"latency_ms":10,"timestamp":1700000000,"attempt":1,"error":null}` + "\n" +
			`{"url":"u","status_code":503,"latency_ms":20.5,"timestamp":1700000001.5,"attempt":3,"error":null}` + "\n" +
			`{"url":"u","status_code":0,"latency_ms":30,"timestamp":0,"attempt":1,"error":"boom"}` + "\n"))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.SuccessCount)
	require.Equal(t, map[ErrorClass]int64{ClassStatus: 1, ClassOther: 1}, r.Errors)
	require.Equal(t, map[ErrorClass]string{ClassOther: "boom"}, r.ErrorExamples)
	require.EqualValues(t, 2, r.Retries)
	require.Equal(t, 1520500*time.Microsecond, r.Elapsed, "the record without a time does not count")
	require.Equal(t, time.Unix(1_700_000_000, 0), r.StartedAt)
	require.Equal(t, 30*time.Millisecond, r.Quantile(1))
}

func TestRecordsMayBeLeft(t *testing.T) {
	for _, text := range []string{good + "\n" + good + "\n", "bad\nbad\n", "{"} {
		n := 0
		for _, err := range Records(strings.NewReader(text)) {
			_ = err
			n++
			break
		}
		require.Equal(t, 1, n)
	}
}

func FuzzReadJSONL(f *testing.F) {
	f.Add([]byte(good + "\n"))
	f.Add([]byte(good + "\n" + good[:40]))
	f.Add([]byte("{}\nnull\n\n" + good))
	f.Add([]byte(`{"url":"u","status_code":503,"latency_ms":1e300,"timestamp":-0,"attempt":9,"error":"x","error_class":"reset","name":"n","bytes":3}` + "\n"))
	f.Add([]byte(`{"url":"u","status_code":200,"latency_ms":1,"timestamp":1700000000,"lag_ms":0.25,"name":"n"}` + "\n" + good + "\n"))
	f.Add([]byte(`{"url":"u","status_code":200,"latency_ms":1,"timestamp":0,"lag_ms":9e12}` + "\n"))
	f.Add([]byte(`{"url":"u","status_code":200,"latency_ms":9e12,"timestamp":1,"lag_ms":-0}` + "\n" + `{"url":"u","status_code":200,"latency_ms":0,"timestamp":1,"lag_ms":1e3}` + "\n"))
	f.Add([]byte(`{"url":"\ud800","status_code":99,"latency_ms":4e9,"timestamp":0.000001,"error_class":"breaker_open"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		var n, bad int
		for rec, err := range Records(bytes.NewReader(data)) {
			if err != nil {
				require.Zero(t, rec)
				bad++
				continue
			}
			n++
			again, err = appendLine(again, &rec)
			require.NoError(t, err)
		}
		r, err := ReadJSONL(bytes.NewReader(data))
		require.Equal(t, bad == 0, err == nil)
		accounted(t, r.Requests, r)
		require.EqualValues(t, n, r.Requests+r.RejectedCount)
		require.GreaterOrEqual(t, r.Elapsed, time.Duration(0))
		roundTrip(t, r)

		stable, err := ReadJSONL(bytes.NewReader(again))
		require.NoError(t, err, "what was read can be written and read again")
		require.Equal(t, r, stable)
	})
}

// failing is a writer that takes n bytes and then fails.
type failing struct {
	bytes.Buffer
	left  int
	err   error
	calls int
}

func (w *failing) Write(p []byte) (int, error) {
	w.calls++
	if len(p) <= w.left {
		w.left -= len(p)
		return w.Buffer.Write(p)
	}
	n, _ := w.Buffer.Write(p[:w.left])
	w.left = 0
	return n, w.err
}

func TestADiskThatFillsUpStopsTheRun(t *testing.T) {
	forClosedLoops(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		w := &failing{left: 50_000, err: syscall.ENOSPC}
		s := newSink(t, NewJSONL(w), SinkConfig{QueueSize: 100, BatchSize: 50})
		r, err := Record(t.Context(), e, Times(1_000_000, &Request{URL: "http://h/"}), s)
		var failed *SinkError
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, err, ErrSink)
		require.ErrorIs(t, err, syscall.ENOSPC)
		lines := bytes.Count(w.Bytes(), []byte("\n"))
		require.EqualValues(t, lines, failed.Written, "the lines that fitted, also those of the batch that failed")
		require.NotZero(t, lines%50)
		require.ErrorContains(t, err, "no space left on device ("+text.Count(failed.Written)+" records written)")
		accounted(t, 1_000_000, r)
		require.Less(t, r.Requests, int64(3000), "the run stops")
		calls := w.calls
		require.Equal(t, failed, s.Put(RequestResult{}), "at once, and the same")
		require.ErrorIs(t, s.Close(t.Context()), syscall.ENOSPC)
		require.Equal(t, calls, w.calls, "nothing is written after a gap")
		st := s.Stats()
		require.Equal(t, st.Put, st.Written+st.Failed)
		require.Positive(t, st.Failed)
		require.Equal(t, failed.Written, st.Written)
		back, err := ReadJSONL(&w.Buffer)
		require.ErrorIs(t, err, ErrTruncated, "what is no file can't be cut back")
		require.EqualValues(t, lines, back.Requests)
	})
}

// limited is a file on a disk that is full after n bytes.
type limited struct {
	*os.File
	left int
}

func (w *limited) Write(p []byte) (int, error) {
	if len(p) <= w.left {
		w.left -= len(p)
		return w.File.Write(p)
	}
	n, _ := w.File.Write(p[:w.left])
	w.left = 0
	return n, syscall.ENOSPC
}

func TestAFileIsCutBackToItsLastWholeLine(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "x.jsonl"))
	require.NoError(t, err)
	defer f.Close()
	s := newSink(t, NewJSONL(&limited{f, 10_010}), SinkConfig{BatchSize: 64})
	want := random(500, time.Unix(1_700_000_000, 0))
	for _, r := range want {
		if s.Put(r) != nil {
			break
		}
	}
	var failed *SinkError
	require.ErrorAs(t, s.Close(t.Context()), &failed)
	data, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(data, []byte("}\n")))
	require.Greater(t, len(data), 9000, "no more is taken back than a line")
	r, err := ReadJSONL(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, failed.Written, r.Requests+r.RejectedCount)
	require.Equal(t, failed.Written, s.Stats().Written)

	// A file that can't be cut back says so.
	closed, err := os.Create(filepath.Join(t.TempDir(), "y.jsonl"))
	require.NoError(t, err)
	defer closed.Close()
	j := NewJSONL(readOnly{closed})
	err = j.WriteBatch(t.Context(), want[:1])
	require.ErrorIs(t, err, errTest)
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "the last line is cut off")
}

// readOnly writes a little, but can't be truncated.
type readOnly struct{ *os.File }

func (readOnly) Truncate(int64) error { return os.ErrPermission }
func (w readOnly) Write(p []byte) (int, error) {
	n, _ := w.File.Write(p[:5])
	return n, errTest
}

func TestDevFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /dev/full")
	}
	s, err := CreateJSONL("/dev/full", SinkConfig{})
	require.NoError(t, err)
	require.NoError(t, s.Put(RequestResult{}))
	err = s.Close(t.Context())
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "(0 records written)")
}

func TestAClosedPipeStopsTheRun(t *testing.T) {
	e := Start(t, ThreadedConfig{Client: Func(func(context.Context) error { return nil })})
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	s := newSink(t, NewJSONL(w), SinkConfig{BatchSize: 100})
	go func() { // ends with its second line
		defer r.Close()
		_, _ = io.ReadFull(r, make([]byte, 200))
	}()
	res, err := Record(t.Context(), e, For(time.Minute), s)
	require.ErrorIs(t, err, ErrSink)
	require.ErrorIs(t, err, syscall.EPIPE)
	require.Less(t, res.Elapsed, time.Minute)
	require.ErrorIs(t, s.Close(t.Context()), syscall.EPIPE)

	pr, pw := io.Pipe()
	s = newSink(t, NewJSONL(pw), SinkConfig{})
	require.NoError(t, pr.CloseWithError(errTest))
	require.NoError(t, s.Put(RequestResult{}))
	require.ErrorIs(t, s.Close(t.Context()), errTest)
}

func TestCloseEndsAWriteThatHangs(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	s := newSink(t, NewJSONL(w), SinkConfig{QueueSize: 10_000, BatchSize: 10_000})
	for range 10_000 { // more than a pipe holds
		require.NoError(t, s.Put(RequestResult{}))
	}
	_, err = r.Read(make([]byte, 1)) // the writing has begun
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 1) // it cannot end
	defer cancel()
	require.ErrorIs(t, s.Close(ctx), context.DeadlineExceeded)
	err = s.Close(t.Context()) // waits for the writer
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	st := s.Stats()
	require.EqualValues(t, 10_000, st.Written+st.Failed)
	require.Positive(t, st.Written)
}

// sloppy writes a byte at a time and, unlike what io.Writer asks, without an error.
type sloppy struct {
	bytes.Buffer
	stuck int // writes nothing from here on
}

func (w *sloppy) Write(p []byte) (int, error) {
	if w.Len() == w.stuck {
		return 0, nil
	}
	return w.Buffer.Write(p[:1])
}

func TestShortWritesAreCompleted(t *testing.T) {
	batch := random(2, time.Unix(1, 0))
	w := &sloppy{stuck: -1}
	require.NoError(t, NewJSONL(w).WriteBatch(t.Context(), batch))
	r, err := ReadJSONL(&w.Buffer)
	require.NoError(t, err)
	require.EqualValues(t, 2, r.Requests+r.RejectedCount)

	w = &sloppy{stuck: 200}
	require.ErrorIs(t, NewJSONL(w).WriteBatch(t.Context(), batch), io.ErrShortWrite)
}

func TestARecordThatCannotBeEncodedFailsTheSink(t *testing.T) {
	var buf bytes.Buffer
	batch := random(3, time.Unix(1, 0))
	batch[2].Class = 99
	err := NewJSONL(&buf).WriteBatch(t.Context(), batch)
	var failed *SinkError
	require.ErrorAs(t, err, &failed)
	require.EqualValues(t, 2, failed.Written)
	require.ErrorContains(t, err, "no error class 99")
	require.Equal(t, 2, strings.Count(buf.String(), "\n"))

	require.ErrorIs(t, NewJSONL(&failing{err: errTest}).WriteBatch(t.Context(), batch), errTest)
}

func TestLinesAreNeverTooLongToBeRead(t *testing.T) {
	var buf bytes.Buffer
	huge := strings.Repeat("\x00", 1<<20)
	require.NoError(t, NewJSONL(&buf).WriteBatch(t.Context(), []RequestResult{
		{URL: huge, Name: huge, Method: huge, Err: errors.New(huge), Class: ClassOther, StatusCode: 7},
		{URL: "short", Name: strings.Repeat("n", 900_000)},
	}))
	var got []RequestResult
	for r, err := range Records(&buf) {
		require.NoError(t, err)
		got = append(got, r)
	}
	require.Len(t, got, 2)
	require.Equal(t, strings.Repeat("\x00", jsonl.LongText)+"…", got[0].URL)
	require.Equal(t, 7, got[0].StatusCode)
	require.Len(t, got[1].Name, 900_000)
}

// synced is a writer that says what it is asked.
type synced struct {
	bytes.Buffer
	syncs int
	err   error
}

func (w *synced) Sync() error { w.syncs++; return w.err }

func TestCloseSyncs(t *testing.T) {
	w := &synced{err: errTest}
	s := newSink(t, NewJSONL(w), SinkConfig{})
	require.NoError(t, s.Put(RequestResult{}))
	err := s.Close(t.Context())
	require.ErrorIs(t, err, errTest)
	require.ErrorIs(t, err, ErrSink)
	require.ErrorContains(t, err, "(1 records written)")
	require.Equal(t, err, s.Close(t.Context()))
	require.Equal(t, 1, w.syncs)
}
