package data

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// table returns all of r, the columns first.
func table(tb testing.TB, r *Rows) [][]string {
	tb.Helper()
	out := [][]string{r.Columns()}
	for i := range r.Len() {
		row, err := r.Row(int64(i))
		require.NoError(tb, err)
		var values []string
		for _, name := range r.Columns() {
			v, err := row.Get(name)
			require.NoError(tb, err)
			values = append(values, v)
		}
		out = append(out, values)
	}
	return out
}

func TestReadCSV(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want [][]string
		err  string // each line of it
	}{
		"plain":              {"a,b\n1,2\n3,4\n", [][]string{{"a", "b"}, {"1", "2"}, {"3", "4"}}, ""},
		"no last line end":   {"a,b\n1,2", [][]string{{"a", "b"}, {"1", "2"}}, ""},
		"CRLF, BOM, blank":   {"\ufeffa,b\r\n\r\n1,2\r\n", [][]string{{"a", "b"}, {"1", "2"}}, ""},
		"quoted":             {"a,\"b, c\"\n\"x \"\"y\"\"\",\"1\n2\"\n", [][]string{{"a", "b, c"}, {`x "y"`, "1\n2"}}, ""},
		"empty values":       {"a,b\n,\n", [][]string{{"a", "b"}, {"", ""}}, ""},
		"white space counts": {"a, b\n1, 2\n", [][]string{{"a", " b"}, {"1", " 2"}}, ""},

		"nothing":       {"", nil, "loadtest: nothing to send: no header line that names the columns"},
		"only a BOM":    {"\ufeff", nil, "loadtest: nothing to send: no header line that names the columns"},
		"only a header": {"a,b\n", nil, "loadtest: nothing to send: the table holds no row"},
		"ragged": {"a,b\n1\n1,2\n1,2,3\n", nil, "loadtest: line 2: column 1: 1 fields, want 2 as in the header\n" +
			"loadtest: line 4: column 5: 3 fields, want 2 as in the header"},
		"bad names":        {"a,,a,b,b\n", nil, "loadtest: line 1: column 2 has no name\ncolumns 1 and 3 are both named \"a\"\ncolumns 4 and 5 are both named \"b\""},
		"bare quote":       {"a,b\nx,y\"\n", nil, "loadtest: line 2: column 4: bare \" in non-quoted-field"},
		"open quote":       {"a,b\n1\n\"x\ny,z\n", nil, "loadtest: line 2: column 1: 1 fields, want 2 as in the header\nloadtest: line 4: column 5: extraneous or missing \" in quoted-field, in the record that begins in line 3"},
		"quote in header":  {"\"a\"b\n", nil, "loadtest: line 1: column 3: extraneous or missing \" in quoted-field"},
		"UTF-16":           {"\xff\xfea\x00", nil, "data: this is UTF-16: save it as UTF-8"},
		"UTF-16, reversed": {"\xfe\xff\x00a", nil, "data: this is UTF-16: save it as UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				check(t, tt.want, tt.err)(ReadCSV(r))
			}
		})
	}
}

// check returns a check of a table and its error.
func check(t *testing.T, want [][]string, text string) func(*Rows, error) {
	return func(rows *Rows, err error) {
		t.Helper()
		if text != "" {
			require.EqualError(t, err, text)
			require.Nil(t, rows)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, table(t, rows))
	}
}

func TestReadRecords(t *testing.T) {
	records := csv.NewReader(strings.NewReader("# users\na;b\n1;2\n"))
	records.Comma, records.Comment = ';', '#'
	check(t, [][]string{{"a", "b"}, {"1", "2"}}, "")(ReadRecords(records))

	records = csv.NewReader(strings.NewReader("a;b\n"))
	records.Comma = '\n'
	_, err := ReadRecords(records)
	require.EqualError(t, err, "data: csv: invalid field or comment delimiter")
}

func TestReadJSONLines(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want [][]string
		err  string
	}{
		"plain":       {`{"a":"1","b":"2"}` + "\n" + `{"b":"4","a":"3"}` + "\n", [][]string{{"a", "b"}, {"1", "2"}, {"3", "4"}}, ""},
		"CRLF, BOM":   {"\ufeff{\"a\":\"1\"}\r\n\r\n  \n {\"a\":\"2\"} \r\n", [][]string{{"a"}, {"1"}, {"2"}}, ""},
		"other types": {`{"n":1.50,"t":true,"z":null,"l":[1, {}],"o":{"x":"y"},"s":"\u00e9\n\""}`, [][]string{{"n", "t", "z", "l", "o", "s"}, {"1.50", "true", "", "[1, {}]", `{"x":"y"}`, "é\n\""}}, ""},

		"nothing":        {"", nil, "loadtest: nothing to send: the table holds no row"},
		"blank":          {"\n \n", nil, "loadtest: nothing to send: the table holds no row"},
		"ragged":         {`{"a":1,"b":2}` + "\n" + `{"a":1}` + "\n\n" + `{"c":1,"a":1,"b":2,"a":3}`, nil, "loadtest: line 2: no \"b\", which the first line has\nloadtest: line 4: \"c\", which the first line has not\n\"a\" twice"},
		"twice":          {`{"a":1,"a":2}`, nil, `loadtest: line 1: columns 1 and 2 are both named "a"`},
		"no name":        {`{"":1}`, nil, `loadtest: line 1: column 1 has no name`},
		"no members":     {`{}`, nil, `loadtest: line 1: an object without members`},
		"no object":      {"[1]\n7\n", nil, "loadtest: line 1: column 1: not a JSON object\nloadtest: line 2: column 1: not a JSON object"},
		"bad value":      {`{"a":1}` + "\n" + `{"a":x}`, nil, "loadtest: line 2: column 6: invalid character 'x' looking for beginning of value"},
		"bad name":       {`{a:1}`, nil, "loadtest: line 1: column 2: invalid character 'a' looking for beginning of object key string"},
		"no end":         {`{"a":1`, nil, "loadtest: line 1: column 6: unexpected end of JSON input"},
		"no end, nested": {`{"a":[1`, nil, "loadtest: line 1: column 7: unexpected end of JSON input"},
		"nothing behind": {`{"a":1} {`, nil, "loadtest: line 1: column 9: invalid character '{' after top-level value"},
		"too long":       {`{"a":1}` + "\n" + `{"a":"` + strings.Repeat("x", maxLine) + `"}`, nil, "loadtest: line 2: longer than 16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) { check(t, tt.want, tt.err)(ReadJSONLines(strings.NewReader(tt.text))) })
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	check(t, [][]string{{"a"}, {"1"}}, "")(ReadFile(file("x.CSV", "a\n1\n")))
	check(t, [][]string{{"a"}, {"1"}}, "")(ReadFile(file("x.jsonl", `{"a":1}`)))
	check(t, [][]string{{"a"}, {"1"}}, "")(ReadFile(file("x.ndjson", `{"a":1}`)))
	bad := file("bad.csv", "a\n1,2\n")
	_, err := ReadFile(bad)
	require.EqualError(t, err, "data: "+bad+": loadtest: line 2: column 3: 2 fields, want 1 as in the header")
	var line *loadtest.LineError
	require.ErrorAs(t, err, &line)
	require.Equal(t, 2, line.Line)
	require.Empty(t, line.Text, "rows may hold passwords")
	_, err = ReadFile(file("x.txt", "a\n1\n"))
	require.ErrorContains(t, err, "must end in .csv")
	_, err = ReadFile(filepath.Join(dir, "none.csv"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = ReadFile(file("empty.csv", ""))
	require.ErrorIs(t, err, loadtest.ErrEmptySource)
}

func TestReadersThatBreak(t *testing.T) {
	broken := errors.New("broken")
	for text, read := range map[string]func(io.Reader) (*Rows, error){"a\n1\n": ReadCSV, "{\"a\":1}\n": ReadJSONLines} {
		for _, text := range []string{"", text} {
			rows, err := read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken)
			require.Nil(t, rows)
		}
	}
}

// What a table holds is what encoding/json finds in each line by itself.
func FuzzReadJSONLines(f *testing.F) {
	for _, seed := range []string{"", "{\"a\":1}\n{\"a\":\"\\u00e9\"}", "\ufeff{\"a\":null}\r\n", "{\"a\":1} x", "{\"a\":[{}],\"b\":true}", "{\"a\":1,\"a\":2}", "[", "{\"a\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := ReadJSONLines(bytes.NewReader(text))
		if err != nil {
			require.Nil(t, rows)
			return
		}
		got := table(t, rows)[1:]
		for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			var object map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(line, &object))
			require.NotEmpty(t, got)
			require.ElementsMatch(t, rows.Columns(), slices.Collect(maps.Keys(object)))
			for i, name := range rows.Columns() {
				want := string(object[name])
				if want == "null" {
					want = ""
				} else if want[0] == '"' {
					require.NoError(t, json.Unmarshal(object[name], &want))
				}
				require.Equal(t, want, got[0][i])
			}
			got = got[1:]
		}
		require.Empty(t, got)
	})
}
