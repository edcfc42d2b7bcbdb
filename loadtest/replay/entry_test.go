package replay

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shown is an Entry as far as a test of a line cares.
type shown struct {
	time, method, target, host string
	status                     int
	referer, agent             string
	whole                      bool
}

func show(e *Entry) shown {
	return shown{e.Time.UTC().Format(time.RFC3339Nano), e.Method, e.Target, e.Host, e.Status, e.Referer, e.UserAgent, e.whole}
}

// Lines as servers write them.
var written = map[string]struct {
	line string
	want shown
}{
	"common, from the manual of Apache": {
		`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
		shown{time: "2000-10-10T20:55:36Z", method: "GET", target: "/apache_pb.gif", status: 200, whole: true},
	},
	"combined, from the manual of Apache": {
		`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"`,
		shown{"2000-10-10T20:55:36Z", "GET", "/apache_pb.gif", "", 200, "http://www.example.com/start.html", "Mozilla/4.08 [en] (Win98; I ;Nav)", true},
	},
	"nginx, IPv6, HTTP/2.0, no referer": {
		`2001:db8::1 - - [26/Nov/2026:20:00:00 +0000] "POST /api/v1/cart?x=1&y=2 HTTP/2.0" 201 17 "-" "curl/8.5.0"`,
		shown{"2026-11-26T20:00:00Z", "POST", "/api/v1/cart?x=1&y=2", "", 201, "-", "curl/8.5.0", true},
	},
	"an address in brackets, a user with spaces and brackets": {
		`[::1] - J [1] Doe [26/Nov/2026:20:00:00 +0100] "GET / HTTP/1.1" 304 -`,
		shown{time: "2026-11-26T19:00:00Z", method: "GET", target: "/", status: 304, whole: true},
	},
	"Apache, a virtual host before, escaped quotes": {
		`www.example.com:443 10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /?q=\"a\\b\"&t=\t HTTP/1.1" 200 5 "http://r/?\"" "a \"quoted\" agent" 1234`,
		shown{},
	},
	"Apache, escaped quotes": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /?q=\"a\\b\" HTTP/1.1" 200 5 "http://r/?\"" "a \"quoted\" agent" 1234`,
		shown{"2026-11-26T20:00:00Z", "GET", `/?q="a\b"`, "", 200, `http://r/?"`, `a "quoted" agent`, true},
	},
	"nginx, escaped bytes": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /caf\xC3\xA9?q=\x22 HTTP/1.1" 200 5 "-" "\x5Cx"`,
		shown{"2026-11-26T20:00:00Z", "GET", `/café?q="`, "", 200, "-", `\x`, true},
	},
	"a time with a fraction": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00.123456 +0000] "GET / HTTP/1.1" 200 5`,
		shown{time: "2026-11-26T20:00:00.123456Z", method: "GET", target: "/", status: 200},
	},
	"an ISO time": {
		`10.0.0.1 - - [2026-11-26T20:00:00+01:00] "GET / HTTP/1.1" 200 5`,
		shown{time: "2026-11-26T19:00:00Z", method: "GET", target: "/", status: 200, whole: true},
	},
	"a space in the path": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /a b c HTTP/1.1" 404 5`,
		shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/a b c", status: 404, whole: true},
	},
	"HTTP/0.9": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /" 200 5`,
		shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/", status: 200, whole: true},
	},
	"an absolute URL": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET http://me:pw@www.example.com:8080?x HTTP/1.1" 200 5`,
		shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/?x", host: "www.example.com:8080", status: 200, whole: true},
	},
	"a fragment, a bad escape in the query": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /a%20b?x=%zz#top HTTP/1.1" 200 5`,
		shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/a%20b?x=%zz%23top", status: 200, whole: true},
	},
	"two slashes": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET //evil.test/x HTTP/1.1" 200 5`,
		shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "//evil.test/x", status: 200, whole: true},
	},
	"a request that was cut off has no status": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET / HTTP/1.1" - -`,
		shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/", whole: true},
	},
	"Traefik, common": {
		`10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "-" 1 "web@docker" "http://10.0.0.9:80" 3ms`,
		shown{"2026-11-26T20:00:00Z", "GET", "/x", "", 200, "-", "-", true},
	},
	"Caddy": {
		`{"level":"info","ts":1646861401.5241497,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1","remote_port":"41342","client_ip":"127.0.0.1","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/a?b=c","headers":{"User-Agent":["curl/7.82.0"],"Accept":["*/*"]},"tls":{"resumed":false}},"bytes_read":0,"user_id":"","duration":0.000929675,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}`,
		shown{"2022-03-09T21:30:01.5241497Z", "GET", "/a?b=c", "localhost", 200, "", "curl/7.82.0", false},
	},
	"Traefik": {
		`{"ClientAddr":"10.0.0.1:42","DownstreamStatus":204,"RequestAddr":"x.test","RequestHost":"x.test","RequestMethod":"DELETE","RequestPath":"/things/1?force","RequestProtocol":"HTTP/1.1","StartUTC":"2026-11-26T20:00:00.987654321Z","StartLocal":"2026-11-26T20:00:00.987654321Z","level":"info","msg":"","request_User-Agent":"ua","time":"2026-11-26T20:00:01Z"}`,
		shown{"2026-11-26T20:00:00.987654321Z", "DELETE", "/things/1?force", "x.test", 204, "", "ua", false},
	},
	"nginx, JSON with a request line": {
		` {"time_local":"26/Nov/2026:20:00:00 +0000","remote_addr":"::1","request":"GET /x?y HTTP/1.1","status": "200","http_referer":"http://r/","http_user_agent":"ua","http_host":"h:81"}`,
		shown{"2026-11-26T20:00:00Z", "GET", "/x?y", "h:81", 200, "http://r/", "ua", true},
	},
	"nginx, JSON with $msec and $request_uri beside $uri": {
		`{"msec":"1795723200.042","request_method":"GET","uri":"/index.html","request_uri":"/?x=1","status":200}`,
		shown{time: "2026-11-26T20:00:00.042Z", method: "GET", target: "/?x=1", status: 200},
	},
	"Elastic Common Schema, flat": {
		`{"@timestamp":"2026-11-26T20:00:00.5Z","http.request.method":"GET","url.original":"https://x.test/p","url.domain":"x.test","user_agent":{"original":"ua"}}`,
		shown{"2026-11-26T20:00:00.5Z", "GET", "/p", "x.test", 0, "", "ua", false},
	},
	"milliseconds":             {`{"ts":1795723200042,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00.042Z", method: "GET", target: "/"}},
	"microseconds":             {`{"ts":1795723200042000,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00.042Z", method: "GET", target: "/"}},
	"nanoseconds":              {`{"ts":1795723200042000001,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00.042000001Z", method: "GET", target: "/"}},
	"milliseconds, fraction":   {`{"ts":1795723200042.5,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00.0425Z", method: "GET", target: "/"}},
	"microseconds, fraction":   {`{"ts":1795723200042000.5,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00.0420005Z", method: "GET", target: "/"}},
	"seconds":                  {`{"ts":1795723200,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/", whole: true}},
	"seconds with an exponent": {`{"ts":1.7957232e9,"method":"GET","path":"/"}`, shown{time: "2026-11-26T20:00:00Z", method: "GET", target: "/"}},
}

func TestLinesAsServersWriteThem(t *testing.T) {
	for name, tt := range written {
		t.Run(name, func(t *testing.T) {
			e, err := new(parser).entry(tt.line)
			if tt.want == (shown{}) {
				require.ErrorContains(t, err, "control character")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, show(e))
			require.NoError(t, e.request(base, true).Validate())
		})
	}
}

func TestLinesThatHaveNoRequest(t *testing.T) {
	const stamp = `10.0.0.1 - - [26/Nov/2026:20:00:00 +0000] `
	for line, want := range map[string]string{
		`10.0.0.1 - - "GET / HTTP/1.1" 200 5`:                              "no time in brackets",
		`10.0.0.1 - - [26/Nov/2026] "GET / HTTP/1.1" 200 5`:                "no time in brackets",
		`10.0.0.1 - - [31/Feb/2026:20:00:00 +0000] "GET / HTTP/1.1" 200 5`: "no time in brackets",
		"2026/11/26 20:00:00 [error] 7#7: *1 open() failed":                "no time in brackets",
		"\x00\x00\x00":              "no time in brackets",
		stamp:                       "no request in quotes",
		stamp + `"GET / HTTP`:       "no request in quotes",
		stamp + `"-" 408 0 "-" "-"`: "no request: the client sent none",
		stamp + `"" 400 0`:          "no request: the client sent none",
		stamp + `"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03" 400 157 "-" "-"`: "is not a token",
		stamp + `"\n" 400 0`:                                                       "is not a token",
		stamp + `"PRI * HTTP/2.0" 400 157 "-" "-"`:                                 `target "*": must begin with a slash`,
		stamp + `"CONNECT www.example.com:443 HTTP/1.1" 400 157`:                   `target "www.example.com:443": must begin with a slash`,
		stamp + `"GET HTTP/1.1" 400 157`:                                           `target "HTTP/1.1": must begin with a slash`,
		stamp + `"GET /%zz HTTP/1.1" 400 157`:                                      `target "/%zz": a % in a path must begin an escape such as %20`,
		stamp + `"GET /x% HTTP/1.1" 400 157`:                                       `a % in a path`,
		stamp + `"GET /\x00 HTTP/1.1" 400 157`:                                     "holds a control character",
		stamp + `"GET / HTTP/1.1" ok 5`:                                            `status "ok": must be a number`,
		stamp + `"GET / HTTP/1.1"`:                                                 `status "": must be a number`,
		`{"level":"info","ts":1646861401.5,"msg":"serving initial configuration"}`: "no method or no target",
		`{"method":"GET","path":"/"}`:                                              "no time: set Config.Fields.Time",
		`{"ts":"yesterday","method":"GET","path":"/"}`:                             `time "yesterday": must be like`,
		`{"ts":-5,"method":"GET","path":"/"}`:                                      `time "-5": must be like`,
		`{"ts":1e300,"method":"GET","path":"/"}`:                                   `time "1e300": must be like`,
		`{"ts":1.5x,"method":"GET"`:                                                "not a JSON object",
		`{"ts":1,"method":"GET","path":"/"} {}`:                                    "not a JSON object, or more than one",
		`{"ts":1,"method":"GET","path":"/","status":"unhandled"}`:                  `status "unhandled"`,
		`{"ts":1,"request":"-","status":400}`:                                      "no request: the client sent none",
	} {
		_, err := new(parser).entry(line)
		require.ErrorContains(t, err, want, "%q", line)
	}
}

func TestFieldsOfOnesOwn(t *testing.T) {
	p := &parser{layout: time.ANSIC, fields: Fields{
		Time: "when", Method: "a.b.verb", Target: "what", Host: "who.host", Status: "code", Referer: "from", UserAgent: "with",
	}}
	e, err := p.entry(`{"when":"Thu Nov 26 20:00:00 2026","time":"bad","a":{"b":{"verb":"PUT"}},"what":"/x","method":"GET","path":"/","who":{"host":"h"},"code":"201","from":"r","with":["ua","x"]}`)
	require.NoError(t, err)
	require.Equal(t, shown{"2026-11-26T20:00:00Z", "PUT", "/x", "h", 201, "r", "ua", true}, show(e))
	_, err = p.entry(`{"when":"Thu Nov 26 20:00:00 2026","method":"GET","path":"/"}`)
	require.ErrorContains(t, err, "no method or no target", "the usual names are not looked for instead of one's own")
	_, err = p.entry(`{"when":"2026-11-26T20:00:00Z"}`)
	require.Error(t, err)
}

// The memory of the last time is one of its text.
func TestTimesAreReadAnewWhenTheyChange(t *testing.T) {
	var p parser
	for _, stamp := range []string{"26/Nov/2026:20:00:00 +0000", "26/Nov/2026:20:00:00 +0000", "26/Nov/2026:20:00:01 +0000", "26/Nov/2026:20:00:00 +0000"} {
		e, err := p.entry(`h - - [` + stamp + `] "GET / HTTP/1.1" 200 5`)
		require.NoError(t, err)
		want, err := time.Parse(commonLayout, stamp)
		require.NoError(t, err)
		require.True(t, want.Equal(e.Time))
	}
	// A bad one is not taken for the last good one.
	_, err := p.entry(`h - - [26/Nov/2026:20:00:61 +0000] "GET / HTTP/1.1" 200 5`)
	require.Error(t, err)
}

func TestWhatALogSaysOfARequestIsSent(t *testing.T) {
	e := &Entry{Method: "PUT", Target: "/x?y", Host: "own.test", Referer: "http://r/", UserAgent: "ua"}
	r := e.request("http://h.test/base", true)
	require.Equal(t, "PUT", r.Method)
	require.Equal(t, "http://h.test/base/x?y", r.URL)
	require.Equal(t, http.Header{"Host": {"own.test"}, "Referer": {"http://r/"}, "User-Agent": {"ua"}}, r.Header)
	require.Equal(t, http.Header{"Referer": {"http://r/"}, "User-Agent": {"ua"}}, e.request(base, false).Header)
	// What is no value, or cannot be sent, is not.
	e.Referer, e.UserAgent, e.Host = "-", "a\nb", ""
	require.Equal(t, http.Header{}, e.request(base, true).Header)
}

// Any line is an entry whose request an engine sends, or an error.
func FuzzEntry(f *testing.F) {
	for _, tt := range written {
		f.Add(tt.line)
	}
	for _, line := range []string{
		"", "{", "{}", "[", `[1] "`, `h - - [26/Nov/2026:20:00:00 +0000] "\x16\x03" 400 0`, `{"ts":1e999999999,"method":"GET","path":"/"}`,
		`{"ts":99999999999999999999,"method":"GET","path":"/"}`, `{"ts":1,"method":"GET","path":"/","host":"[[::1"}`, `{"ts":1,"method":"GET","url":"HTTP://[::1/\\x"}`,
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, err := new(parser).entry(line)
		if err != nil {
			return
		}
		require.NoError(t, e.request(base, true).Validate(), "%+v", e)
		require.NotContains(t, e.Target, "\n")
		// What it says, written as Apache does, is read again.
		quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace
		if e.Time.Year() > 9999 || e.Time.Year() < 0 {
			return
		}
		_, offset := e.Time.Zone()
		if offset%60 != 0 || offset >= 24*3600 || offset <= -24*3600 {
			return // no layout can write it
		}
		again, err := new(parser).entry(`h - - [` + e.Time.Format("02/Jan/2006:15:04:05.999999999 -0700") + `] "` + quote(e.Method+" "+e.Target) +
			` HTTP/1.1" - - "` + quote(e.Referer) + `" "` + quote(e.UserAgent) + `"`)
		require.NoError(t, err)
		require.True(t, e.Time.Equal(again.Time), "%v, %v", e.Time, again.Time)
		require.Equal(t, e.Method, again.Method)
		require.Equal(t, e.Target, again.Target)
		require.Equal(t, e.Referer, again.Referer)
		require.Equal(t, e.UserAgent, again.UserAgent)
	})
}
