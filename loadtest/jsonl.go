package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"time"

	"example.com/brunt/loadtest/internal/jsonl"
	"example.com/brunt/loadtest/internal/lines"
)

// keepBuffer is the largest buffer that is kept for the next batch, in bytes.
const keepBuffer = 4 << 20

// CreateJSONL returns a [Sink] that writes to the file at path, one JSON object a
// line with the keys of [RequestResult.MarshalJSON]. A file that exists is emptied;
// the directory must exist. [ReadJSONL] reads it back, also while it is written.
//
// A batch is one write of whole lines. What SinkStats.Written counts is with the
// operating system, and outlives this process however it ends; Close syncs it to
// the disk. If a write fails half-way, the file is cut back to its last whole
// line. A process that is killed loses what was still in the queue and the batch
// being written, of which a part, and so a last line that is cut off, may be in
// the file.
//
// Texts of a record that does not fit on a line of 1 MiB are cut to 16 KiB.
func CreateJSONL(path string, cfg SinkConfig) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("loadtest: creating a JSONL file: %w", err)
	}
	return NewSink(&jsonlWriter{to: jsonl.Writer{W: f}, close: f.Close}, cfg)
}

// NewJSONL returns a writer for [NewSink] that writes to w as [CreateJSONL] does.
// Close syncs w if it has a method Sync, and leaves it open: it is the caller's.
// What can be synced and cut back is a regular file. If w has a SetWriteDeadline,
// as a pipe and a connection do, a Sink.Close whose context ends also ends
// a write that hangs.
func NewJSONL(w io.Writer) BatchWriter { return &jsonlWriter{to: jsonl.Writer{W: w}} }

type jsonlWriter struct {
	to    jsonl.Writer
	close func() error // nil: what it writes to is the caller's
	buf   []byte       // of the last batch; reused
}

// WriteBatch writes a line for each record.
func (j *jsonlWriter) WriteBatch(ctx context.Context, batch []RequestResult) error {
	buf := j.buf[:0]
	var bad error
	for i := range batch {
		if buf, bad = appendLine(buf, &batch[i]); bad != nil {
			break // the lines before are whole
		}
	}
	if j.buf = buf; cap(buf) > keepBuffer {
		j.buf = nil
	}
	n, err := j.to.Write(ctx, buf)
	if err == nil {
		err = bad
	}
	if err != nil {
		return &SinkError{Written: n, Err: err}
	}
	return nil
}

// Close makes the lines durable.
func (j *jsonlWriter) Close() error {
	err := j.to.Sync()
	if j.close != nil {
		err = errors.Join(err, j.close())
	}
	return err
}

func appendLine(b []byte, r *RequestResult) ([]byte, error) {
	var text string
	j, err := r.toJSON(&text)
	if err != nil {
		return b, err
	}
	return jsonl.AppendLine(b, &j), nil
}

var (
	// ErrMalformed matches the [*LineError] of a line that is not a record; its Text
	// is the beginning of the line.
	ErrMalformed = errors.New("loadtest: malformed line")
	// ErrTruncated matches the *LineError of a last line that is cut off, as a
	// killed process leaves it. It does not match ErrMalformed: the lines before
	// are whole.
	ErrTruncated = errors.New("loadtest: the last line is cut off")
)

// malformed is what is wrong with a line.
type malformed struct{ error }

func (malformed) Is(target error) bool { return target == ErrMalformed }

func (m malformed) Unwrap() error { return m.error }

// Records reads JSONL record by record. A line that is not a record yields the zero
// RequestResult and a [*LineError], and the next line follows; a last line without
// a newline that is not a record is cut off: [ErrTruncated]. Empty lines are skipped.
// An error of r is yielded last.
//
// A record is an object with at least the keys url, status_code, latency_ms and
// timestamp, on a line of at most 1 MiB; other keys than those of
// [RequestResult.MarshalJSON] are ignored. Each range reads on from where r is.
func Records(r io.Reader) iter.Seq2[RequestResult, error] {
	return func(yield func(RequestResult, error) bool) {
		in := lines.NewReader(r, jsonl.MaxLine)
		for {
			line, long, err := in.Next()
			if line = bytes.TrimSpace(line); len(line) > 0 {
				rec, bad := parseRecord(line, long)
				switch {
				case bad == nil:
				case err != nil:
					bad = ErrTruncated
				default:
					bad = malformed{bad}
				}
				if bad != nil {
					bad = &LineError{Line: in.Number(), Text: string(line[:min(len(line), maxLineText)]), Err: bad}
				}
				if !yield(rec, bad) {
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(RequestResult{}, fmt.Errorf("loadtest: reading line %d: %w", in.Number(), err))
				}
				return
			}
		}
	}
}

// maxLineText is how much of a bad line its error quotes.
const maxLineText = 256

// parseRecord returns the record that line is; with an error, the zero one.
func parseRecord(line []byte, long bool) (RequestResult, error) {
	if long {
		return RequestResult{}, errors.New("longer than 1 MiB")
	}
	j, err := jsonl.Parse(line)
	if err != nil {
		return RequestResult{}, err
	}
	rec, err := fromJSON(j)
	if err != nil {
		return RequestResult{}, err
	}
	// What no run can have seen would make the counts nonsense.
	switch end := rec.Timestamp.Add(rec.Latency); {
	case rec.StatusCode < 0 || rec.StatusCode > math.MaxUint16:
		err = fmt.Errorf("status_code %d is out of range", rec.StatusCode)
	case rec.Attempt < 0 || rec.Attempt > math.MaxInt32:
		err = fmt.Errorf("attempt %d is out of range", rec.Attempt)
	case rec.Bytes < 0 || rec.Bytes > 1<<50:
		err = fmt.Errorf("bytes %d is out of range", rec.Bytes)
	case end.After(time.Unix(0, math.MaxInt64)):
		err = fmt.Errorf("timestamp %v with latency_ms %v is out of range", j.Timestamp, j.Latency)
	case j.Timestamp > 0 && rec.Intended().Before(time.Unix(0, 0)):
		err = fmt.Errorf("timestamp %v with lag_ms %v is out of range", j.Timestamp, j.Lag)
	}
	if err != nil {
		return RequestResult{}, err
	}
	if rec.Class == ClassNone && rec.StatusCode >= 400 && !rec.Expected {
		rec.Class = ClassStatus // written by a tool that has no classes
	}
	return rec, nil
}

// ReadJSONL rebuilds the result of a run from its records by [Collect]. Their times
// are to the microsecond.
//
// Lines that are not records are skipped, and the first 10 named in the error, each
// as a [*LineError]; a last line that is cut off matches [ErrTruncated]. The
// result is never nil and holds every other line.
func ReadJSONL(r io.Reader) (*EngineResult, error) { return Collect(Records(r)) }

// MarshalJSON writes the keys url, status_code, latency_ms, timestamp (Unix
// seconds), attempt and error (null without one), and more.
func (r RequestResult) MarshalJSON() ([]byte, error) {
	j, err := r.toJSON(new(string))
	if err != nil {
		return nil, err
	}
	return jsonl.Append(nil, &j), nil
}

// UnmarshalJSON reads what MarshalJSON wrote: times to the microsecond, errors
// as their text.
func (r *RequestResult) UnmarshalJSON(data []byte) error {
	var j jsonl.Record
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	rec, err := fromJSON(&j)
	if err == nil {
		*r = rec
	}
	return err
}

// toJSON returns what is written of r. The text of its error is kept in text: a string
// of its own would have to be allocated.
func (r *RequestResult) toJSON(text *string) (jsonl.Record, error) {
	if r.Class >= numClasses {
		return jsonl.Record{}, fmt.Errorf("loadtest: no error class %d", uint8(r.Class))
	}
	j := jsonl.Record{
		URL: r.URL, StatusCode: r.StatusCode, Latency: millis(r.Latency), Timestamp: unixSeconds(r.Timestamp),
		Attempt: r.Attempt, Name: r.Name, Method: r.Method, Bytes: r.Bytes, Expected: r.Expected, Lag: millis(r.Lag),
		Scenario: r.Scenario, User: r.User, TraceID: r.TraceID, SpanID: r.SpanID, RequestID: r.RequestID, Excluded: r.Excluded,
	}
	if r.Class != ClassNone {
		j.Class = classNames[r.Class]
	}
	if r.Err != nil {
		*text = r.Err.Error()
		j.Error = text
	}
	return j, nil
}

func fromJSON(j *jsonl.Record) (RequestResult, error) {
	const most = math.MaxInt64 / 1e6 // ms
	if j.Timestamp < 0 || j.Timestamp > math.MaxInt64/1e9 || j.Latency < 0 || j.Latency > most || j.Lag < 0 || j.Latency+j.Lag > most {
		return RequestResult{}, fmt.Errorf("loadtest: request result with timestamp %v, latency %v ms, lag %v ms: out of range", j.Timestamp, j.Latency, j.Lag)
	}
	r := RequestResult{
		URL: j.URL, StatusCode: j.StatusCode, Attempt: j.Attempt, Name: j.Name, Method: j.Method, Bytes: j.Bytes, Expected: j.Expected,
		Latency: fromMillis(j.Latency), Lag: fromMillis(j.Lag),
		Timestamp: time.UnixMicro(int64(math.Round(j.Timestamp * 1e6))),
		Scenario:  j.Scenario, User: j.User, TraceID: j.TraceID, SpanID: j.SpanID, RequestID: j.RequestID, Excluded: j.Excluded,
	}
	if j.Class != "" {
		if err := r.Class.UnmarshalText([]byte(j.Class)); err != nil {
			return RequestResult{}, err
		}
	}
	if j.Error != nil {
		r.Err = errors.New(*j.Error)
		if r.Class == ClassNone {
			r.Class = ClassOther
		}
	}
	return r, nil
}
