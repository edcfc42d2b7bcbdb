package loadtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"
)

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
		lines := lineReader{r: bufio.NewReaderSize(r, 64<<10)}
		for {
			line, err := lines.next()
			if len(line) > 0 || err == nil {
				rec, bad := lines.parse(line, err != nil)
				if (bad != nil || len(line) > 0) && !yield(rec, bad) {
					return
				}
			}
			if err == nil {
				continue
			}
			if !errors.Is(err, io.EOF) {
				yield(RequestResult{}, fmt.Errorf("loadtest: reading line %d: %w", lines.n, err))
			}
			return
		}
	}
}

// lineReader reads lines in memory bounded by maxLine.
type lineReader struct {
	r    *bufio.Reader
	n    int // of the last line
	long bool
	buf  []byte
}

// next returns the next line without white space around it. An error comes with
// what was read before it. The line is valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	l.n++
	l.long = false
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > maxLine {
			l.long = true
		}
		if !l.long {
			if err == nil && len(l.buf) == 0 {
				return bytes.TrimSpace(part), nil // without a copy
			}
			l.buf = append(l.buf, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(l.buf), err
		}
	}
}

var (
	errLongLine = errors.New("longer than 1 MiB")
	errNoObject = errors.New("not a JSON object")
)

// maxLineText is how much of a bad line its error quotes.
const maxLineText = 256

// parse reads a line; last says that it had no newline.
func (l *lineReader) parse(line []byte, last bool) (RequestResult, error) {
	var rec RequestResult
	err := errLongLine
	if !l.long {
		if len(line) == 0 {
			return rec, nil
		}
		rec, err = parseRecord(line)
	}
	if err == nil {
		return rec, nil
	}
	if last {
		err = ErrTruncated
	} else {
		err = malformed{err}
	}
	return RequestResult{}, &LineError{Line: l.n, Text: string(line[:min(len(line), maxLineText)]), Err: err}
}

// recordJSON is requestJSON, and knows which of the keys it needs were there.
type recordJSON struct {
	requestJSON
	URL        *string  `json:"url"`
	StatusCode *int     `json:"status_code"`
	Latency    *float64 `json:"latency_ms"`
	Timestamp  *float64 `json:"timestamp"`
}

func parseRecord(line []byte) (RequestResult, error) {
	if line[0] != '{' {
		return RequestResult{}, errNoObject
	}
	var j recordJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return RequestResult{}, err
	}
	switch {
	case j.URL == nil:
		return RequestResult{}, errors.New("no url")
	case j.StatusCode == nil:
		return RequestResult{}, errors.New("no status_code")
	case j.Latency == nil:
		return RequestResult{}, errors.New("no latency_ms")
	case j.Timestamp == nil:
		return RequestResult{}, errors.New("no timestamp")
	}
	j.requestJSON.URL, j.requestJSON.StatusCode = *j.URL, *j.StatusCode
	j.requestJSON.Latency, j.requestJSON.Timestamp = *j.Latency, *j.Timestamp
	var rec RequestResult
	if err := rec.fromJSON(&j.requestJSON); err != nil {
		return RequestResult{}, err
	}
	// What no run can have seen would make the counts nonsense.
	switch end := rec.Timestamp.Add(rec.Latency); {
	case rec.StatusCode < 0 || rec.StatusCode > math.MaxUint16:
		return RequestResult{}, fmt.Errorf("status_code %d is out of range", rec.StatusCode)
	case rec.Attempt < 0 || rec.Attempt > math.MaxInt32:
		return RequestResult{}, fmt.Errorf("attempt %d is out of range", rec.Attempt)
	case rec.Bytes < 0 || rec.Bytes > 1<<50:
		return RequestResult{}, fmt.Errorf("bytes %d is out of range", rec.Bytes)
	case end.After(time.Unix(0, math.MaxInt64)):
		return RequestResult{}, fmt.Errorf("timestamp %v with latency_ms %v is out of range", *j.Timestamp, *j.Latency)
	case *j.Timestamp > 0 && rec.Intended().Before(time.Unix(0, 0)):
		return RequestResult{}, fmt.Errorf("timestamp %v with lag_ms %v is out of range", *j.Timestamp, j.Lag)
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
