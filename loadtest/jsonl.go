package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	// maxLine is the longest line of a JSONL file, in bytes, its newline included.
	maxLine = 1 << 20
	// longText is what is left of each text of a record that would need a longer
	// line: four of them, with every byte escaped to six, are well below maxLine.
	longText = 16 << 10
	// keepBuffer is the largest buffer that is kept for the next batch.
	keepBuffer = 4 << 20
)

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
	return NewSink(&jsonlWriter{w: f, close: f.Close}, cfg)
}

// NewJSONL returns a writer for [NewSink] that writes to w as [CreateJSONL] does.
// Close syncs w if it has a method Sync, and leaves it open: it is the caller's.
// What can be synced and cut back is a regular file. If w has a SetWriteDeadline,
// as a pipe and a connection do, a Sink.Close whose context ends also ends
// a write that hangs.
func NewJSONL(w io.Writer) BatchWriter { return &jsonlWriter{w: w} }

type jsonlWriter struct {
	w     io.Writer
	close func() error // nil: w is the caller's
	buf   []byte       // of the last batch; reused
}

// WriteBatch writes a line for each record.
func (j *jsonlWriter) WriteBatch(ctx context.Context, batch []RequestResult) error {
	buf := j.buf[:0]
	var err error
	for i := range batch {
		if buf, err = appendLine(buf, &batch[i]); err != nil {
			// The lines before are whole.
			if cut := j.write(ctx, buf); cut != nil {
				return cut
			}
			return &SinkError{Written: int64(i), Err: err}
		}
	}
	if j.buf = buf; cap(buf) > keepBuffer {
		j.buf = nil
	}
	return j.write(ctx, buf)
}

func appendLine(b []byte, r *RequestResult) ([]byte, error) {
	start := len(b)
	out, err := appendRecord(b, r)
	if err != nil {
		return b, err
	}
	if len(out)-start >= maxLine {
		short := *r
		for _, text := range []*string{&short.URL, &short.Name, &short.Method} {
			*text = cutText(*text)
		}
		if short.Err != nil {
			short.Err = errors.New(cutText(short.Err.Error()))
		}
		out, _ = appendRecord(out[:start], &short) // its class is good
	}
	return append(out, '\n'), nil
}

func cutText(s string) string {
	if len(s) <= longText {
		return s
	}
	return s[:longText] + "…"
}

// write writes whole lines. If it fails it removes the part of a line that may have
// been written, and returns how many lines were.
func (j *jsonlWriter) write(ctx context.Context, lines []byte) error {
	if d, ok := j.w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		defer context.AfterFunc(ctx, func() { _ = d.SetWriteDeadline(time.Unix(1, 0)) })()
	}
	n := 0
	for n < len(lines) {
		k, err := j.w.Write(lines[n:])
		n += k
		if err == nil && k <= 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return j.takeBack(lines[:n], err)
		}
	}
	return nil
}

func (j *jsonlWriter) takeBack(written []byte, err error) error {
	cut := len(written) - (bytes.LastIndexByte(written, '\n') + 1)
	if f, ok := j.w.(truncater); ok && cut > 0 {
		// What has no position, such as a pipe, can't take anything back.
		if end, seekErr := f.Seek(0, io.SeekCurrent); seekErr == nil {
			if cutErr := f.Truncate(end - int64(cut)); cutErr != nil {
				err = errors.Join(err, fmt.Errorf("loadtest: the last line is cut off: %w", cutErr))
			}
		}
	}
	return &SinkError{Written: int64(bytes.Count(written, []byte{'\n'})), Err: err}
}

// truncater is implemented by regular files.
type truncater interface {
	io.Seeker
	Truncate(size int64) error
}

// Close makes the lines durable.
func (j *jsonlWriter) Close() error {
	var err error
	if f, ok := j.w.(interface{ Sync() error }); ok && syncable(j.w) {
		err = f.Sync()
	}
	if j.close != nil {
		err = errors.Join(err, j.close())
	}
	return err
}

// syncable reports whether w can be synced: pipes and terminals cannot.
func syncable(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err != nil || info.Mode().IsRegular() // an error comes back from Sync
}

// appendRecord appends r as a JSON object that means the same as the one that
// MarshalJSON writes, without reflection and, unless a text needs escapes, without
// allocating: it runs for every request of a load.
func appendRecord(b []byte, r *RequestResult) ([]byte, error) {
	if r.Class >= numClasses {
		return b, fmt.Errorf("loadtest: no error class %d", uint8(r.Class))
	}
	b = append(b, `{"url":`...)
	b = appendString(b, r.URL)
	b = append(b, `,"status_code":`...)
	b = strconv.AppendInt(b, int64(r.StatusCode), 10)
	b = append(b, `,"latency_ms":`...)
	b = appendFloat(b, millis(r.Latency))
	b = append(b, `,"timestamp":`...)
	b = appendFloat(b, unixSeconds(r.Timestamp))
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(r.Attempt), 10)
	b = append(b, `,"error":`...)
	if r.Err == nil {
		b = append(b, "null"...)
	} else {
		b = appendString(b, r.Err.Error())
	}
	if r.Class != ClassNone {
		b = append(b, `,"error_class":"`...)
		b = append(b, classNames[r.Class]...)
		b = append(b, '"')
	}
	if r.Name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, r.Name)
	}
	if r.Method != "" {
		b = append(b, `,"method":`...)
		b = appendString(b, r.Method)
	}
	if r.Bytes != 0 {
		b = append(b, `,"bytes":`...)
		b = strconv.AppendInt(b, r.Bytes, 10)
	}
	if r.Expected {
		b = append(b, `,"expected":true`...)
	}
	if r.Lag != 0 {
		b = append(b, `,"lag_ms":`...)
		b = appendFloat(b, millis(r.Lag))
	}
	if r.Scenario != "" {
		b = append(b, `,"scenario":`...)
		b = appendString(b, r.Scenario)
	}
	if r.User != 0 {
		b = append(b, `,"user":`...)
		b = strconv.AppendInt(b, r.User, 10)
	}
	if r.TraceID != "" {
		b = append(b, `,"trace_id":`...)
		b = appendString(b, r.TraceID)
	}
	if r.SpanID != "" {
		b = append(b, `,"span_id":`...)
		b = appendString(b, r.SpanID)
	}
	if r.RequestID != "" {
		b = append(b, `,"request_id":`...)
		b = appendString(b, r.RequestID)
	}
	if r.Excluded {
		b = append(b, `,"excluded":true`...)
	}
	return append(b, '}'), nil
}

// appendFloat appends f, which is finite: it comes from an integer.
func appendFloat(b []byte, f float64) []byte { return strconv.AppendFloat(b, f, 'f', -1, 64) }

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD,
// as in encoding/json, which is asked where anything must be escaped.
func appendString(b []byte, s string) []byte {
	escape := !utf8.ValidString(s)
	for i := range len(s) {
		escape = escape || s[i] < ' ' || s[i] == '"' || s[i] == '\\'
	}
	if escape {
		quoted, _ := json.Marshal(s) // any string can be
		return append(b, quoted...)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

type requestJSON struct {
	URL        string     `json:"url"`
	StatusCode int        `json:"status_code"`
	Latency    float64    `json:"latency_ms"`
	Timestamp  float64    `json:"timestamp"`
	Attempt    int        `json:"attempt"`
	Error      *string    `json:"error"`
	Class      ErrorClass `json:"error_class,omitempty"`
	Name       string     `json:"name,omitempty"`
	Method     string     `json:"method,omitempty"`
	Bytes      int64      `json:"bytes,omitempty"`
	Expected   bool       `json:"expected,omitempty"`
	Lag        float64    `json:"lag_ms,omitempty"`
	Scenario   string     `json:"scenario,omitempty"`
	User       int64      `json:"user,omitempty"`
	TraceID    string     `json:"trace_id,omitempty"`
	SpanID     string     `json:"span_id,omitempty"`
	RequestID  string     `json:"request_id,omitempty"`
	Excluded   bool       `json:"excluded,omitempty"`
}

// MarshalJSON writes the keys url, status_code, latency_ms, timestamp (Unix
// seconds), attempt and error (null without one), and more.
func (r RequestResult) MarshalJSON() ([]byte, error) {
	j := requestJSON{
		URL: r.URL, StatusCode: r.StatusCode, Latency: millis(r.Latency), Timestamp: unixSeconds(r.Timestamp),
		Attempt: r.Attempt, Class: r.Class, Name: r.Name, Method: r.Method, Bytes: r.Bytes, Expected: r.Expected, Lag: millis(r.Lag),
		Scenario: r.Scenario, User: r.User, TraceID: r.TraceID, SpanID: r.SpanID, RequestID: r.RequestID, Excluded: r.Excluded,
	}
	if r.Err != nil {
		text := r.Err.Error()
		j.Error = &text
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote: times to the microsecond, errors
// as their text.
func (r *RequestResult) UnmarshalJSON(data []byte) error {
	var j requestJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	return r.fromJSON(&j)
}

func (r *RequestResult) fromJSON(j *requestJSON) error {
	const most = math.MaxInt64 / 1e6 // ms
	if j.Timestamp < 0 || j.Timestamp > math.MaxInt64/1e9 || j.Latency < 0 || j.Latency > most || j.Lag < 0 || j.Latency+j.Lag > most {
		return fmt.Errorf("loadtest: request result with timestamp %v, latency %v ms, lag %v ms: out of range", j.Timestamp, j.Latency, j.Lag)
	}
	*r = RequestResult{
		URL: j.URL, StatusCode: j.StatusCode, Attempt: j.Attempt, Class: j.Class, Name: j.Name, Method: j.Method, Bytes: j.Bytes, Expected: j.Expected,
		Latency: fromMillis(j.Latency), Lag: fromMillis(j.Lag),
		Timestamp: time.UnixMicro(int64(math.Round(j.Timestamp * 1e6))),
		Scenario:  j.Scenario, User: j.User, TraceID: j.TraceID, SpanID: j.SpanID, RequestID: j.RequestID, Excluded: j.Excluded,
	}
	if j.Error != nil {
		r.Err = errors.New(*j.Error)
		if r.Class == ClassNone {
			r.Class = ClassOther
		}
	}
	return nil
}
