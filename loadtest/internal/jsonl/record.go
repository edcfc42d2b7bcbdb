// Package jsonl has the records of requests as JSON, one object a line: it appends and
// parses them, and writes files in which every line is whole.
package jsonl

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxLine is the longest line of a file, in bytes, its end included.
	MaxLine = 1 << 20
	// LongText is what is left of each text of a record that would need a longer line:
	// all of them, with every byte escaped to six, are below MaxLine.
	LongText = 16 << 10
)

// Record is a request as JSON has it.
type Record struct {
	URL        string  `json:"url"`
	StatusCode int     `json:"status_code"`
	Latency    float64 `json:"latency_ms"`
	Timestamp  float64 `json:"timestamp"`
	Attempt    int     `json:"attempt"`
	Error      *string `json:"error"`
	Class      string  `json:"error_class,omitempty"`
	Name       string  `json:"name,omitempty"`
	Method     string  `json:"method,omitempty"`
	Bytes      int64   `json:"bytes,omitempty"`
	Expected   bool    `json:"expected,omitempty"`
	Lag        float64 `json:"lag_ms,omitempty"`
	Scenario   string  `json:"scenario,omitempty"`
	User       int64   `json:"user,omitempty"`
	TraceID    string  `json:"trace_id,omitempty"`
	SpanID     string  `json:"span_id,omitempty"`
	RequestID  string  `json:"request_id,omitempty"`
	Excluded   bool    `json:"excluded,omitempty"`
}

// AppendLine appends r as a line of at most MaxLine bytes: its long texts are cut if need
// be.
func AppendLine(b []byte, r *Record) []byte {
	start := len(b)
	if b = Append(b, r); len(b)-start >= MaxLine {
		short, text := *r, ""
		if r.Error != nil {
			text, short.Error = *r.Error, &text
		}
		for _, t := range []*string{
			&short.URL, &text, &short.Class, &short.Name, &short.Method, &short.Scenario, &short.TraceID, &short.SpanID, &short.RequestID,
		} {
			if len(*t) > LongText {
				*t = (*t)[:LongText] + "…"
			}
		}
		b = Append(b[:start], &short)
	}
	return append(b, '\n')
}

// Append appends r as [json.Marshal] writes it, but for what it escapes in texts. Without
// reflection and, unless a text needs escapes, without allocating: it runs for every
// request of a load. Latency, Timestamp and Lag must be finite.
func Append(b []byte, r *Record) []byte {
	b = appendString(append(b, `{"url":`...), r.URL)
	b = strconv.AppendInt(append(b, `,"status_code":`...), int64(r.StatusCode), 10)
	b = appendFloat(append(b, `,"latency_ms":`...), r.Latency)
	b = appendFloat(append(b, `,"timestamp":`...), r.Timestamp)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(r.Attempt), 10)
	b = append(b, `,"error":`...)
	if r.Error == nil {
		b = append(b, "null"...)
	} else {
		b = appendString(b, *r.Error)
	}
	b = appendText(b, `,"error_class":`, r.Class)
	b = appendText(b, `,"name":`, r.Name)
	b = appendText(b, `,"method":`, r.Method)
	if r.Bytes != 0 {
		b = strconv.AppendInt(append(b, `,"bytes":`...), r.Bytes, 10)
	}
	if r.Expected {
		b = append(b, `,"expected":true`...)
	}
	if r.Lag != 0 {
		b = appendFloat(append(b, `,"lag_ms":`...), r.Lag)
	}
	b = appendText(b, `,"scenario":`, r.Scenario)
	if r.User != 0 {
		b = strconv.AppendInt(append(b, `,"user":`...), r.User, 10)
	}
	b = appendText(b, `,"trace_id":`, r.TraceID)
	b = appendText(b, `,"span_id":`, r.SpanID)
	b = appendText(b, `,"request_id":`, r.RequestID)
	if r.Excluded {
		b = append(b, `,"excluded":true`...)
	}
	return append(b, '}')
}

func appendFloat(b []byte, f float64) []byte { return strconv.AppendFloat(b, f, 'f', -1, 64) }

// appendText appends the key and s unless s is empty.
func appendText(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, key...), s)
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD,
// as in encoding/json, which is asked where anything must be escaped.
func appendString(b []byte, s string) []byte {
	escape := !utf8.ValidString(s)
	for i := range len(s) {
		escape = escape || s[i] < ' ' || s[i] == '"' || s[i] == '\\'
	}
	if escape {
		quoted, _ := json.Marshal(strings.Clone(s)) // any string can be; s itself must not escape
		return append(b, quoted...)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// Parse returns the record that line is. It must have the keys url, status_code,
// latency_ms and timestamp, and may have others than those of Record.
func Parse(line []byte) (*Record, error) {
	if len(line) == 0 || line[0] != '{' {
		return nil, errors.New("not a JSON object")
	}
	var r struct {
		Record
		URL        *string  `json:"url"`
		StatusCode *int     `json:"status_code"`
		Latency    *float64 `json:"latency_ms"`
		Timestamp  *float64 `json:"timestamp"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	switch {
	case r.URL == nil:
		return nil, errors.New("no url")
	case r.StatusCode == nil:
		return nil, errors.New("no status_code")
	case r.Latency == nil:
		return nil, errors.New("no latency_ms")
	case r.Timestamp == nil:
		return nil, errors.New("no timestamp")
	}
	r.Record.URL, r.Record.StatusCode, r.Record.Latency, r.Record.Timestamp = *r.URL, *r.StatusCode, *r.Latency, *r.Timestamp
	return &r.Record, nil
}
