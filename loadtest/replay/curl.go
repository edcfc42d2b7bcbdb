package replay

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"example.com/brunt/loadtest"
)

// Curl returns the request that a curl command line sends, as browsers copy one ("Copy as
// cURL (bash)") or a person types it. The line is split as bash does, but nothing is
// expanded. A file that an option names with @ is read as curl reads it.
//
// Understood are -X, -H, -d, --data-ascii, --data-raw, --data-binary, --data-urlencode,
// --json, -G, -I, -b, -u, --oauth2-bearer, -A, -e, --url, --compressed and, as they change
// no request, options about curl's output such as -s and -o. Others are refused, with what
// to do instead: to drop one would be to make another request. The User-Agent and the
// Accept that curl adds by itself are not added.
func Curl(line string) (*loadtest.Request, error) { return curl(line, os.ReadFile) }

func curl(line string, readFile func(string) ([]byte, error)) (*loadtest.Request, error) {
	c := &command{header: http.Header{}, readFile: readFile}
	args, err := words(line)
	var req *loadtest.Request
	switch {
	case strings.Contains(line, "^\"") || strings.Contains(line, "^\n"):
		err = errors.New("it is for cmd.exe: copy it as cURL (bash)")
	case err == nil && (len(args) == 0 || args[0] != "curl"):
		err = errors.New("it must begin with curl")
	case err == nil:
		if err = c.read(args[1:]); err == nil {
			req, err = c.request()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("replay: curl command: %w", err)
	}
	return req, nil
}

// command is what the options of a curl command have said so far.
type command struct {
	method, url        string
	header             http.Header
	removed            []string // headers that curl is not to add
	data               []byte
	hasData, json      bool
	get, head, globOff bool
	readFile           func(string) ([]byte, error)
}

// short are the long names of one-letter options.
var short = map[byte]string{
	'X': "request", 'H': "header", 'd': "data", 'G': "get", 'I': "head", 'b': "cookie", 'u': "user", 'A': "user-agent",
	'e': "referer", 'g': "globoff", 's': "silent", 'S': "show-error", 'v': "verbose", 'i': "include", 'N': "no-buffer",
	'f': "fail", '#': "progress-bar", 'o': "output", 'O': "remote-name", 'w': "write-out", 'D': "dump-header", 'c': "cookie-jar",
	'k': "insecure", 'L': "location", 'm': "max-time", 'x': "proxy", 'F': "form", 'T': "upload-file", 'r': "range", 'E': "cert",
}

// The options that are understood: those with an argument, and those without.
const (
	valued = " request url header user-agent referer cookie user oauth2-bearer data data-ascii data-binary data-raw data-urlencode json" +
		" output write-out dump-header cookie-jar stderr trace trace-ascii "
	flags = " get head globoff compressed basic silent show-error verbose include show-headers no-buffer fail fail-with-body" +
		" progress-bar no-progress-meter remote-name path-as-is "
)

// refused are options of which it is known what to do instead.
var refused = map[string]string{
	"insecure":        "set InsecureSkipVerify in ConnectionConfig.TLS",
	"location":        "set ConnectionConfig.MaxRedirects",
	"max-time":        "set the Timeout of the engine",
	"connect-timeout": "set ConnectionConfig.Timeout",
	"retry":           "set the Retry of the engine",
	"proxy":           "set ConnectionConfig.Proxy",
	"http1.1":         "set ConnectionConfig.Protocols",
	"http2":           "set ConnectionConfig.Protocols",
	"cert":            "set Certificates in ConnectionConfig.TLS",
	"cacert":          "set RootCAs in ConnectionConfig.TLS",
	"resolve":         "set ConnectionConfig.DialContext",
	"unix-socket":     "set ConnectionConfig.DialContext",
	"form":            "set Body and Content-Type of the request to what mime/multipart makes",
	"upload-file":     "say -X PUT --data-binary @file",
	"range":           "say -H 'Range: bytes=…'",
	"next":            "give one request a command",
}

// read reads the arguments of curl.
func (c *command) read(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if len(arg) < 2 || arg[0] != '-' {
			if err := c.setURL(arg); err != nil {
				return err
			}
			continue
		}
		name, long := strings.CutPrefix(arg, "--")
		if !long {
			name = short[arg[1]]
			if rest := arg[2:]; rest != "" { // -sS is -s -S, and -XPUT is -X PUT
				if !has(valued, name) {
					rest = "-" + rest
				}
				args = slices.Concat([]string{rest}, args)
			}
			arg = arg[:2]
		}
		value := ""
		switch {
		case has(valued, name) && len(args) == 0:
			return fmt.Errorf("option %s: its argument is missing", arg)
		case has(valued, name):
			value, args = args[0], args[1:]
		case !has(flags, name):
			return fmt.Errorf("option %s: %s", cut(arg), cmp.Or(refused[name], "it is not understood; leave it out if the request is the same without"))
		}
		if err := c.set(name, value); err != nil {
			return fmt.Errorf("option %s: %w", arg, err)
		}
	}
	return nil
}

func has(list, name string) bool { return strings.Contains(list, " "+name+" ") }

// set does what an option says. Those that only concern curl's output are not here.
func (c *command) set(name, value string) error {
	switch name {
	case "request":
		c.method = value
	case "get":
		c.get = true
	case "head":
		c.head = true
	case "globoff":
		c.globOff = true
	case "url":
		return c.setURL(value)
	case "header":
		return c.addHeader(value)
	case "user-agent":
		return c.addHeader("User-Agent: " + value)
	case "referer":
		return c.addHeader("Referer: " + strings.TrimSuffix(value, ";auto"))
	case "oauth2-bearer":
		return c.addHeader("Authorization: Bearer " + value)
	case "compressed":
		return c.addHeader("Accept-Encoding: deflate, gzip, br, zstd")
	case "cookie":
		return c.addCookie(value)
	case "user":
		return c.setUser(value)
	case "data", "data-ascii":
		return c.addData(value, true, true)
	case "data-binary":
		return c.addData(value, true, false)
	case "data-raw":
		return c.addData(value, false, false)
	case "data-urlencode":
		return c.addEncoded(value)
	case "json":
		return c.addJSON(value)
	}
	return nil
}

func (c *command) setURL(raw string) error {
	if c.url != "" {
		return errors.New("a second URL: give one request a command")
	}
	if raw == "" {
		return errors.New("the URL is empty")
	}
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	c.url = raw
	return nil
}

// addHeader adds "Name: value"; "Name:" removes what curl adds, and "Name;" has no value.
func (c *command) addHeader(text string) error {
	if strings.HasPrefix(text, "@") {
		return errors.New("headers from a file are not understood: write each")
	}
	name, value, ok := strings.Cut(text, ":")
	if value = strings.TrimSpace(value); !ok {
		if name, ok = strings.CutSuffix(name, ";"); !ok {
			return errors.New("want a header such as Accept: */*")
		}
	} else if value == "" {
		c.removed = append(c.removed, http.CanonicalHeaderKey(name))
		return nil
	}
	c.header.Add(name, value)
	return nil
}

func (c *command) addCookie(text string) error {
	if !strings.Contains(text, "=") {
		return errors.New("cookies from a file are not understood: write name=value")
	}
	if before := c.header.Get("Cookie"); before != "" {
		text = before + "; " + text
	}
	c.header.Set("Cookie", text)
	return nil
}

func (c *command) setUser(text string) error {
	user, password, ok := strings.Cut(text, ":")
	if !ok {
		return errors.New("want user:password")
	}
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return c.addHeader("Authorization: " + r.Header.Get("Authorization"))
}

// addData adds data behind an &. With files, @ and a name stand for what a file holds; with
// join, without its line ends.
func (c *command) addData(text string, files, join bool) error {
	data := []byte(text)
	if name, ok := strings.CutPrefix(text, "@"); ok && files {
		var err error
		if data, err = c.file(name); err != nil {
			return err
		}
		if join {
			data = []byte(strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(string(data)))
		}
	}
	if c.hasData {
		c.data = append(c.data, '&')
	}
	c.data, c.hasData = append(c.data, data...), true
	return nil
}

// addEncoded adds content, =content, name=content, @file or name@file, with the
// content percent-encoded.
func (c *command) addEncoded(text string) error {
	name, content := "", text
	if at := strings.IndexAny(text, "=@"); at >= 0 {
		name, content = text[:at], text[at+1:]
		if text[at] == '@' {
			data, err := c.file(content)
			if err != nil {
				return err
			}
			content = string(data)
		}
	}
	if content = url.QueryEscape(content); name != "" {
		content = name + "=" + content
	}
	return c.addData(content, false, false)
}

func (c *command) addJSON(text string) error {
	hasData := c.hasData
	c.json, c.hasData = true, false // parts of JSON have nothing between them
	err := c.addData(text, true, false)
	c.hasData = c.hasData || hasData
	return err
}

func (c *command) file(name string) ([]byte, error) {
	if name == "-" {
		return nil, errors.New("there is no standard input: name a file")
	}
	return c.readFile(name)
}

// request returns the request of the command.
func (c *command) request() (*loadtest.Request, error) {
	switch {
	case c.url == "":
		return nil, errors.New("there is no URL")
	case c.head && !c.get && c.hasData:
		return nil, errors.New("-I and a body: a HEAD request has none")
	case !c.globOff && isGlob(c.url):
		return nil, errors.New("curl would make several URLs of {} or []: add -g if they are meant literally")
	}
	req := &loadtest.Request{Method: http.MethodGet, URL: c.url, Header: c.header}
	switch {
	case c.hasData && c.get:
		req.URL = withQuery(c.url, string(c.data))
	case c.hasData:
		req.Method, req.Body = http.MethodPost, c.data
		if c.json {
			c.suggest("Content-Type", "application/json")
			c.suggest("Accept", "application/json")
		}
		c.suggest("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.head {
		req.Method = http.MethodHead
	}
	req.Method = cmp.Or(c.method, req.Method)
	return req, req.Validate()
}

// suggest adds a header that curl adds unless it is told another or none.
func (c *command) suggest(name, value string) {
	if c.header[name] == nil && !slices.Contains(c.removed, name) {
		c.header.Set(name, value)
	}
}

// isGlob reports whether curl would read more than one URL from raw. The brackets of an
// IPv6 address are none.
func isGlob(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	if strings.HasPrefix(rest, "[") {
		_, rest, _ = strings.Cut(rest, "]")
	}
	return strings.ContainsAny(rest, "{[")
}

// withQuery returns raw with a query, behind that which it has.
func withQuery(raw, query string) string {
	raw, _, _ = strings.Cut(raw, "#")
	if strings.Contains(raw, "?") {
		return raw + "&" + query
	}
	return raw + "?" + query
}
