package replay

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// request returns a request whose header is pairs of names and values.
func request(method, url, body string, pairs ...string) *loadtest.Request {
	r := &loadtest.Request{Method: method, URL: url, Header: http.Header{}}
	if body != "" {
		r.Body = []byte(body)
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Header[pairs[i]] = append(r.Header[pairs[i]], pairs[i+1])
	}
	return r
}

const form = "application/x-www-form-urlencoded"

var commands = map[string]*loadtest.Request{
	`curl http://h/`:                                               request("GET", "http://h/", ""),
	`curl h:8080/x`:                                                request("GET", "http://h:8080/x", ""),
	`  curl --url "https://h/?a=1&b=2"  `:                          request("GET", "https://h/?a=1&b=2", ""),
	`curl -sSv -o out.txt -w '%{http_code}' http://h/`:             request("GET", "http://h/", ""),
	`curl -XDELETE http://h/1`:                                     request("DELETE", "http://h/1", ""),
	`curl -sXPUT -dx http://h/`:                                    request("PUT", "http://h/", "x", "Content-Type", form),
	`curl -I http://h/`:                                            request("HEAD", "http://h/", ""),
	`curl -sI -X GET http://h/`:                                    request("GET", "http://h/", ""),
	`curl -d a=1 --data 'b=2' --data-ascii c http://h/`:            request("POST", "http://h/", "a=1&b=2&c", "Content-Type", form),
	`curl -d '' http://h/`:                                         {Method: "POST", URL: "http://h/", Header: http.Header{"Content-Type": {form}}, Body: nil},
	`curl --data-raw '@x' -H 'content-type: text/plain' http://h/`: request("POST", "http://h/", "@x", "Content-Type", "text/plain"),
	`curl -d @f -d@f http://h/`:                                    request("POST", "http://h/", "body off&body off", "Content-Type", form),
	`curl --data-binary @f http://h/ -H Content-Type:`:             request("POST", "http://h/", "body of\nf"),
	`curl --data-urlencode 'a b&' --data-urlencode '=c=d' --data-urlencode 'n=é /' --data-urlencode m@f http://h/`: request("POST", "http://h/", "a+b%26&c%3Dd&n=%C3%A9+%2F&m=body+of%0Af", "Content-Type", form),
	`curl --data-urlencode @f http://h/`:                         request("POST", "http://h/", "body+of%0Af", "Content-Type", form),
	`curl -G -d a=1 --data-urlencode 'b= ' 'http://h/?x=1#frag'`: request("GET", "http://h/?x=1&a=1&b=+", ""),
	`curl -G -I -d a=1 http://h/`:                                request("HEAD", "http://h/?a=1", ""),
	`curl --json '{"a":' --json '1}' http://h/`:                  request("POST", "http://h/", `{"a":1}`, "Content-Type", "application/json", "Accept", "application/json"),
	`curl --json @f -H 'Accept: x/y' http://h/`:                  request("POST", "http://h/", "body of\nf", "Content-Type", "application/json", "Accept", "x/y"),
	`curl -u me:pass:word -A agent -e 'http://r/;auto' -b 'a=1; b=2' -b c=3 http://h/`: request("GET", "http://h/", "",
		"Authorization", "Basic bWU6cGFzczp3b3Jk", "User-Agent", "agent", "Referer", "http://r/", "Cookie", "a=1; b=2; c=3"),
	`curl --oauth2-bearer tok --compressed http://h/`:                                 request("GET", "http://h/", "", "Authorization", "Bearer tok", "Accept-Encoding", "deflate, gzip, br, zstd"),
	`curl -H 'X-Empty;' -H 'X-A: 1' -H 'x-a:2' -H 'Host: own' -H 'Accept:' http://h/`: request("GET", "http://h/", "", "X-Empty", "", "X-A", "1", "X-A", "2", "Host", "own"),
	`curl -g 'http://h/{a}[1]'`:                                                       request("GET", "http://h/{a}[1]", ""),
	`curl 'http://[::1]:80/'`:                                                         request("GET", "http://[::1]:80/", ""),
	// As Chrome copies it.
	`curl 'https://shop.test/api/cart?id=5' \
  -X 'POST' \
  -H 'accept: application/json' \
  -H 'accept-language: en-US,en;q=0.9' \
  -b 'session=abc; theme=dark' \
  -H 'content-type: application/json' \
  -H $'x-odd: it\'s \u0021' \
  --data-raw $'{"name":"it\'s","more":"a\\nb"}'`: request("POST", "https://shop.test/api/cart?id=5", `{"name":"it's","more":"a\nb"}`,
		"Accept", "application/json", "Accept-Language", "en-US,en;q=0.9", "Cookie", "session=abc; theme=dark", "Content-Type", "application/json", "X-Odd", "it's !"),
	// As Firefox copies it.
	"curl 'https://shop.test/' --compressed -X POST -H 'User-Agent: Mozilla/5.0' -H 'Accept: */*' --data-raw $'gr\\u00fc\\u00dfe \\ud83d\\ude00'\r\n": request("POST", "https://shop.test/", "grüße 😀",
		"Accept-Encoding", "deflate, gzip, br, zstd", "User-Agent", "Mozilla/5.0", "Accept", "*/*", "Content-Type", form),
}

func TestCurlCommands(t *testing.T) {
	for line, want := range commands {
		got, err := curl(line, files)
		require.NoError(t, err, line)
		require.Equal(t, want.Body == nil, len(got.Body) == 0, line)
		got.Body = append(want.Body[:0:0], got.Body...)
		require.Equal(t, want, got, line)
	}
}

func TestCurlReadsFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	require.NoError(t, os.WriteFile(path, []byte("x\r\ny\n"), 0o600))
	r, err := Curl("curl http://h/ -d '@" + path + "'")
	require.NoError(t, err)
	require.Equal(t, "xy", string(r.Body))
	_, err = Curl("curl http://h/ --data-binary '@" + path + ".missing'")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestCurlRefusesWithWords(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "it must begin with curl",
		"wget http://h/":                     "it must begin with curl",
		"curl":                               "there is no URL",
		"curl -s":                            "there is no URL",
		"curl ''":                            "the URL is empty",
		"curl http://h/ http://g/":           "a second URL",
		"curl ftp://h/":                      "scheme must be http or https",
		"curl -k http://h/":                  "option -k: set InsecureSkipVerify in ConnectionConfig.TLS",
		"curl -sSLk http://h/":               "option -L: set ConnectionConfig.MaxRedirects",
		"curl --http2 http://h/":             "option --http2: set ConnectionConfig.Protocols",
		"curl -F a=b http://h/":              "option -F: set Body and Content-Type",
		"curl -T f http://h/":                "option -T: say -X PUT --data-binary @file",
		"curl -Q x http://h/":                "option -Q: it is not understood",
		"curl --frob http://h/":              "option --frob: it is not understood",
		"curl --request=PUT http://h/":       "option --request=PUT: it is not understood",
		"curl http://h/ -H":                  "option -H: its argument is missing",
		"curl http://h/ -H x":                "option -H: want a header such as Accept: */*",
		"curl http://h/ -H @f":               "option -H: headers from a file",
		"curl http://h/ -b jar.txt":          "option -b: cookies from a file",
		"curl http://h/ -u me":               "option -u: want user:password",
		"curl http://h/ -d @missing":         "option -d: file does not exist",
		"curl http://h/ -d @-":               "option -d: there is no standard input",
		"curl http://h/ --json @missing":     "option --json: file does not exist",
		"curl http://h/ --data-urlencode @-": "there is no standard input",
		"curl -I -d x http://h/":             "-I and a body",
		"curl 'http://h/{a,b}'":              "add -g",
		"curl 'http://h/[1-3]'":              "add -g",
		"curl -H 'X y: z' http://h/":         `header name "X y" is not a token`,
		"curl http://h/ | jq .":              `"|" is for a shell`,
		"curl http://h/?a=1&b=2":             `"&" is for a shell`,
		"curl http://h/ > out":               `">" is for a shell`,
		"curl http://$HOST/":                 `"$HOST/" is for a shell to expand`,
		`curl "http://${HOST}/"`:             `"${HOST}/\"" is for a shell to expand`,
		"curl `cat url`":                     "is for a shell to expand",
		"curl \"`cat url`\"":                 "is for a shell to expand",
		"curl 'http://h/":                    "a ' is not closed",
		`curl "http://h/`:                    `a " is not closed`,
		`curl "\`:                            `a " is not closed`,
		"curl $'http://h/":                   "a $' is not closed",
		`curl $'\q'`:                         `"\\q'" in a $' is not understood`,
		`curl http://h/ \`:                   "nothing follows the last backslash",
		"curl http://h/\ncurl http://g/":     "more than one command",
		"curl ^\"http://h/^\"":               "it is for cmd.exe",
		"curl 'http://me:S3CRET@h:99999/'":   "port 99999",
		"curl -u me:S3CRET 'http://h /'":     "h",
	} {
		r, err := curl(line, files)
		require.ErrorContains(t, err, want, line)
		require.True(t, strings.HasPrefix(err.Error(), "replay: curl command: "), err.Error())
		require.NotContains(t, err.Error(), "S3CRET")
		require.Nil(t, r)
	}
}

func TestWordsAreThoseOfAShell(t *testing.T) {
	for line, want := range map[string][]string{
		"":                            nil,
		" a  b\tc ":                   {"a", "b", "c"},
		"'a b'c\"d e\"":               {"a bcd e"},
		`a\ b \'c\" \\`:               {"a b", `'c"`, `\`},
		`'' "" a`:                     {"", "", "a"},
		"a\\\nb \\\n c":               {"ab", "c"},
		"\n\n a\n":                    {"a"},
		`"a\\b\"c\$d\` + "`" + `e\f"`: {`a\b"c$d` + "`" + `e\f`},
		"\"a\\\nb\"":                  {"ab"},
		`'a\b'`:                       {`a\b`},
		`$'a\tb\n\'\"\\\x41\101\u00e9\U0001F600'`: {"a\tb\n'\"\\AAé😀"},
		`$'\xff'`:       {"\xff"},
		`a # b 'c`:      {"a"},
		"# b\na":        {"a"},
		`a#b`:           {"a#b"},
		`a$ $ "$"`:      {"a$", "$", "$"},
		`*.go ~ a?[b]!`: {"*.go", "~", "a?[b]!"},
	} {
		got, err := words(line)
		require.NoError(t, err, "%q", line)
		require.Equal(t, want, got, "%q", line)
	}
}

// Words that are quoted in any of the ways are those words again.
func FuzzWords(f *testing.F) {
	f.Add("a b", "it's", "\"$x\"")
	f.Add("\\\n", "`", "!#~*")
	f.Add("é\xff", "\x00", "\r\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		_, _ = words(a) // must not panic
		single := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		double := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(s) + `"`
		}
		ansi := func(s string) string { return "$'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }
		if strings.Contains(a+b+c, "\r\n") {
			t.Skip() // a line end, however it is written
		}
		got, err := words(single(a) + " " + double(b) + "\t" + ansi(c) + " \\\n" + single(a) + double(b) + ansi(c))
		require.NoError(t, err)
		require.Equal(t, []string{a, b, c, a + b + c}, got)
	})
}

// Any line is a request that an engine sends, or an error.
func FuzzCurl(f *testing.F) {
	for line := range commands {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := curl(line, files)
		if err != nil {
			require.Nil(t, r)
			return
		}
		require.NoError(t, r.Validate())
	})
}
