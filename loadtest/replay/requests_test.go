package replay

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// files is what readFile finds in tests.
func files(name string) ([]byte, error) {
	if strings.Contains(name, "missing") {
		return nil, os.ErrNotExist
	}
	return []byte("body of\n" + name), nil
}

func TestRequestFilesAsText(t *testing.T) {
	const text = "\ufeff" + `# things
GET http://goku:9090/path/to/dragon?item=ball
GET http://user:password@goku:9090/path/to
HEAD  http://goku:9090/path/to/success

POST http://goku:9090/things
X-Account-ID: 8675309
# a comment
X-Account-ID:  another: one
@things.json
DELETE http://goku:9090/things/1
Confirmation-Token: 90215


PATCH http://goku:9090/thing/71988591
@empty`
	h := func(pairs ...string) http.Header {
		header := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			header[pairs[i]] = append(header[pairs[i]], pairs[i+1])
		}
		return header
	}
	want := []*loadtest.Request{
		{Method: "GET", URL: "http://goku:9090/path/to/dragon?item=ball", Header: h()},
		{Method: "GET", URL: "http://user:password@goku:9090/path/to", Header: h()},
		{Method: "HEAD", URL: "http://goku:9090/path/to/success", Header: h()},
		{Method: "POST", URL: "http://goku:9090/things", Header: h("X-Account-ID", "8675309", "X-Account-ID", "another: one"), Body: []byte("body of\nthings.json")},
		{Method: "DELETE", URL: "http://goku:9090/things/1", Header: h("Confirmation-Token", "90215")},
		{Method: "PATCH", URL: "http://goku:9090/thing/71988591", Header: h(), Body: []byte("body of\nempty")},
	}
	for _, text := range []string{text, strings.ReplaceAll(text, "\n", "\r\n")} {
		reqs, err := ReadRequests(iotest.OneByteReader(strings.NewReader(text)), files)
		require.NoError(t, err)
		require.Equal(t, want, reqs)
	}
}

func TestRequestFilesAsJSON(t *testing.T) {
	reqs, err := ReadRequests(strings.NewReader(`
{"method": "POST", "url": "https://goku/1", "header": {"Content-Type": ["text/plain"]}, "body": "Z3JvdyBwb3RhdG9lcw=="}
  {"url":"http://goku/2","method":"GET"}
GET http://goku/3
`), files)
	require.NoError(t, err)
	require.Equal(t, []*loadtest.Request{
		{Method: "POST", URL: "https://goku/1", Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("grow potatoes")},
		{Method: "GET", URL: "http://goku/2"},
		{Method: "GET", URL: "http://goku/3", Header: http.Header{}},
	}, reqs)
}

func TestBadRequestsAreReportedByLine(t *testing.T) {
	for text, want := range map[string][]string{
		"GET": {"loadtest: line 1: want a method and a URL, such as GET http://localhost:8080/"},
		"GET /path\n\nGET http://h/\nbad header\nX: y\nworse\n\nGET http://h/ok\nGET http://h:99999/\nX: y": {
			`loadtest: line 1: invalid request: URL "/path": scheme must be http or https`,
			"loadtest: line 4: want a header such as Accept: */*, @ and the name of a file, or a request",
			`loadtest: line 9: invalid request: URL "http://h:99999/": port 99999 is above 65535`,
		},
		"GET http://h/\nX:\n":                                       {"loadtest: line 2: want a header"},
		"GET http://h/\nx y: z\n":                                   {"loadtest: line 1: invalid request: header name \"x y\" is not a token"},
		"POST http://h/\n@missing\n":                                {"loadtest: line 2: file does not exist"},
		"POST http://h/\n@a\n@b\n":                                  {"loadtest: line 3: the request has a body already"},
		"{\"method\":\"GET\"}":                                      {"loadtest: line 1: invalid request: empty URL"},
		"\n{\"url\":\"http://h/\"}":                                 {"loadtest: line 2: no method"},
		"{\"method\":\"GET\",\"headers\":1}":                        {`loadtest: line 1: want an object with method, url, header and body: json: unknown field "headers"`},
		"{\"method\":\"GET\",\"url\":\"http://h/\"} x":              {"loadtest: line 1: there is more behind the object"},
		"{\"method\":\"GET\",\"url\":\"http://h/\",\"body\":\"*\"}": {"loadtest: line 1: want an object"},
		"GET http://me:S3CRET@h:99999/":                             {`loadtest: line 1: invalid request: URL "http://h:99999/"`},
		strings.Repeat("GET\n\n", 12): {
			"line 1:", "line 3:", "line 5:", "line 7:", "line 9:", "line 11:", "line 13:", "line 15:", "line 17:", "line 19:",
		},
	} {
		reqs, err := ReadRequests(strings.NewReader(text), files)
		require.Nil(t, reqs)
		got := faults(t, err)
		require.Len(t, got, len(want), "%q: %v", text, err)
		for i, fault := range got {
			require.Contains(t, fault.Error(), want[i], "%q", text)
			require.NotContains(t, fault.Error()+fault.Text, "S3CRET")
		}
	}
	for _, text := range []string{"", "\n# nothing\n"} {
		_, err := ReadRequests(strings.NewReader(text), nil)
		require.ErrorIs(t, err, loadtest.ErrEmptySource)
	}
}

// A stream goes on behind a bad request, may be left, and ends with an error of its reader.
func TestStreamedRequests(t *testing.T) {
	const text = "GET http://h/1\nX: y\nGET\nGET http://h/2\n\nGET http://h/3\n@f\n"
	var got []string
	for req, err := range StreamRequests(io.MultiReader(strings.NewReader(text), iotest.ErrReader(errTest)), files) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, req.URL)
	}
	require.Equal(t, []string{"loadtest: line 3: want a header such as Accept: */*, @ and the name of a file, or a request", "http://h/2", "replay: after line 7: planted"}, got)
	for _, err := range StreamRequests(strings.NewReader(text), files) {
		require.Error(t, err)
		break
	}
	s := new(service)
	r, err := run(t, s, loadtest.SyncConfig{Conn: s.conn()}, loadtest.Recorded(StreamRequests(strings.NewReader("GET http://h/1\nGET http://h/2\n"), files)))
	require.NoError(t, err)
	require.EqualValues(t, 2, r.SuccessCount)
}

// A body file is read once, and by default from the file system.
func TestBodiesAreReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	text := strings.Repeat("POST http://h/\n@"+path+"\n", 3)
	reqs, err := ReadRequests(strings.NewReader(text), nil)
	require.NoError(t, err)
	require.Equal(t, []byte("x"), reqs[2].Body)
	require.Same(t, &reqs[0].Body[0], &reqs[2].Body[0])
	var reads int
	many := strings.Repeat("POST http://h/\n@a\nPOST http://h/\n@b\n", 5)
	_, err = ReadRequests(strings.NewReader(many), func(string) ([]byte, error) { reads++; return nil, nil })
	require.NoError(t, err)
	require.Equal(t, 2, reads)
}

// Any text is requests that an engine sends, or errors with the numbers of their lines; and
// what was read can be written and read again.
func FuzzRequests(f *testing.F) {
	f.Add("GET http://h/\nX: y\n@body\n\n{\"method\":\"POST\",\"url\":\"http://h/\",\"body\":\"e30=\"}")
	f.Add("GET\n\nGET http://h/\n:\n#\n@")
	f.Add("{\"method\":\"GET\",\"url\":\"http://h/\",\"header\":{\"a\":null,\"A\":[\"\"]}}\r\nHEAD https://[::1]/")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "\x1f\x8b") {
			t.Skip()
		}
		n := 1 + strings.Count(text, "\n")
		var lines strings.Builder
		var want []*loadtest.Request
		for req, err := range StreamRequests(strings.NewReader(text), files) {
			if err != nil {
				var line *loadtest.LineError
				require.ErrorAs(t, err, &line)
				require.Positive(t, line.Line)
				require.LessOrEqual(t, line.Line, n)
				continue
			}
			require.NoError(t, req.Validate())
			object, err := json.Marshal(map[string]any{"method": req.Method, "url": req.URL, "header": req.Header, "body": req.Body})
			require.NoError(t, err)
			lines.Write(append(object, '\n'))
			want = append(want, req)
		}
		if len(want) == 0 || !utf8.ValidString(text) {
			return // JSON would change it
		}
		got, err := ReadRequests(strings.NewReader(lines.String()), files)
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i, req := range got {
			require.Equal(t, want[i].URL, req.URL)
			require.Equal(t, want[i].Method, req.Method)
			require.Equal(t, want[i].Header, req.Header)
			require.Equal(t, string(want[i].Body), string(req.Body))
		}
	})
}
