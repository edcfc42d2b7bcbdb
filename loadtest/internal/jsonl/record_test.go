package jsonl

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// same asserts that Append and encoding/json agree on everything that a reader can get out
// of a record.
func same(t *testing.T, r Record) {
	t.Helper()
	want, err := json.Marshal(r)
	require.NoError(t, err)
	got := Append(nil, &r)
	require.NotContains(t, string(got), "\n")
	require.True(t, json.Valid(got), "%s", got)
	var a, b any
	require.NoError(t, json.Unmarshal(want, &a))
	require.NoError(t, json.Unmarshal(got, &b))
	require.Equal(t, a, b)
	back, err := Parse(want)
	require.NoError(t, err)
	ours, err := Parse(got)
	require.NoError(t, err)
	require.Equal(t, back, ours)
}

func TestRecordsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	for _, s := range []string{
		"", "http://h/?q=1", "a\"b\\c/d", "\x00\x01\x1f\x7f", "\n\r\t\b\f", "<script>&amp;", "\u2028\u2029", "héllo, 世界 🙂",
		"\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80x", "\ufffd", strings.Repeat("x", 10_000),
	} {
		same(t, Record{URL: s, Error: &s, Class: s, Name: s, Method: s, Scenario: s, TraceID: s, SpanID: s, RequestID: s})
	}
	for _, n := range []int64{0, 1, 9, 10, 999_999, 1_000_000, 1_000_001, 1_500_000, 123_456_789_012, 1 << 53, 1<<53 + 1, math.MaxInt64, -1, math.MinInt64} {
		f := float64(n) / 1e6
		same(t, Record{StatusCode: int(n), Latency: f, Lag: f / 2, Timestamp: f, Attempt: int(n), Bytes: n, User: n, Expected: n == 1, Excluded: n == 0})
	}
	failed := "503"
	//nolint:testifylint // the text itself is meant
	require.Equal(t, `{"url":"http://h/","status_code":503,"latency_ms":1.234567,"timestamp":1700000000.12,"attempt":2,"error":"503",`+
		`"error_class":"status","name":"home","method":"GET","bytes":7,"lag_ms":0.0205}`, string(Append(nil, &Record{
		Name: "home", Method: "GET", URL: "http://h/", StatusCode: 503, Latency: 1.234567, Timestamp: 1700000000.12,
		Attempt: 2, Bytes: 7, Class: "status", Error: &failed, Lag: 0.0205,
	})))
}

func FuzzAppend(f *testing.F) {
	f.Add("http://h/", "name", "GET", "err", true, 200, 1.234567, 1700000000.123456, int64(5), 0.0205)
	f.Add("\xff\"\\\u2028", "\x00", "", "", false, -1, -0.005, -1e-6, int64(math.MaxInt64), math.Copysign(0, -1))
	f.Add("", "", "", "", true, 0, 9223372036854.775, 9007199254.740993, int64(math.MinInt64), 1e-9)
	f.Fuzz(func(t *testing.T, url, name, method, text string, failed bool, status int, latency, timestamp float64, size int64, lag float64) {
		for _, x := range []float64{latency, timestamp, lag} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Skip("not a number that JSON has")
			}
		}
		r := Record{
			URL: url, Name: name, Method: method, StatusCode: status, Latency: latency, Timestamp: timestamp,
			Attempt: status, Bytes: size, User: size, Class: method, Lag: lag, Expected: failed, Excluded: failed,
			Scenario: name, TraceID: url, SpanID: name, RequestID: text,
		}
		if failed {
			r.Error = &text
		}
		same(t, r)
	})
}

// Whichever of its texts is long, or all of them, in which each byte takes six.
func TestALineIsNeverTooLongToBeRead(t *testing.T) {
	require.Equal(t, 16384, LongText)
	one := []func(*Record, *string){
		func(r *Record, s *string) { r.URL = *s }, func(r *Record, s *string) { r.Error = s }, func(r *Record, s *string) { r.Class = *s },
		func(r *Record, s *string) { r.Name = *s }, func(r *Record, s *string) { r.Method = *s }, func(r *Record, s *string) { r.Scenario = *s },
		func(r *Record, s *string) { r.TraceID = *s }, func(r *Record, s *string) { r.SpanID = *s }, func(r *Record, s *string) { r.RequestID = *s },
	}
	all := func(r *Record, s *string) {
		for _, set := range one {
			set(r, s)
		}
	}
	for i, set := range append(one, all) {
		huge := strings.Repeat("x", MaxLine)
		if i == len(one) {
			huge = strings.Repeat("\x00", 20_000)
		}
		before, short := huge, strings.Repeat("s", LongText) // not to be cut
		r, want := Record{Name: short, Method: short}, Record{Name: short, Method: short}
		cut := huge[:LongText] + "…"
		set(&r, &huge)
		set(&want, &cut)
		line := AppendLine([]byte("before\n"), &r)
		require.LessOrEqual(t, len(line), len("before\n")+MaxLine)
		got, err := Parse(line[len("before\n") : len(line)-1])
		require.NoError(t, err)
		require.Equal(t, &want, got)
		require.Equal(t, before, huge, "what the caller has is not changed")
	}
}

// A line of MaxLine bytes is left as it is, wherever it is appended.
func TestTheLongestLine(t *testing.T) {
	frame := len(AppendLine(nil, &Record{Name: "n"})) - 1
	for _, before := range []string{"", strings.Repeat("b", MaxLine)} {
		for over := range 2 {
			r := Record{Name: strings.Repeat("n", MaxLine-frame+over)}
			line := AppendLine([]byte(before), &r)[len(before):]
			if over == 0 {
				require.Len(t, line, MaxLine)
			}
			got, err := Parse(line)
			require.NoError(t, err)
			require.Equal(t, over == 0, got.Name == r.Name)
		}
	}
}

func TestWhatIsNotARecord(t *testing.T) {
	for line, want := range map[string]string{
		"": "not a JSON object", "[]": "not a JSON object", "null": "not a JSON object", "{": "unexpected end", "{}": "no url",
		`{"url":"u"}`: "no status_code", `{"url":"u","status_code":1}`: "no latency_ms", `{"url":"u","status_code":1,"latency_ms":1}`: "no timestamp",
	} {
		r, err := Parse([]byte(line))
		require.ErrorContains(t, err, want)
		require.Nil(t, r)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	text := "a plain text"
	r := Record{URL: text, Error: &text, Latency: 1.25, Timestamp: 1.7e9}
	buf := make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() { AppendLine(buf, &r) }))
}
