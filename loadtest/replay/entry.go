package replay

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/http1"
)

// Entry is what a line of an access log says of a request.
type Entry struct {
	Line   int // from 1
	Time   time.Time
	Method string
	// Target is the path and the query, beginning with a slash.
	Target string
	// Host, Status, Referer and UserAgent are empty if the log does not say.
	Host      string
	Status    int
	Referer   string
	UserAgent string

	whole bool      // Time has no fraction of a second
	due   time.Time // Time, or that of an entry before it if that is later
}

// setRequestLine sets what a line such as "GET /path HTTP/1.1" says.
func (e *Entry) setRequestLine(line string) error {
	method, target, _ := strings.Cut(line, " ")
	if at := strings.LastIndex(target, " HTTP/"); at >= 0 {
		target = target[:at]
	}
	if method == "" || method == "-" {
		return errors.New("no request: the client sent none that the server could read")
	}
	e.Method, e.Target = method, target
	return nil
}

// check reports why the request of e cannot be sent, and brings its target into the form
// in which it is sent.
func (e *Entry) check() error {
	if !http1.ValidToken(e.Method) {
		return fmt.Errorf("no request: method %q is not a token", cut(e.Method))
	}
	if scheme, rest, ok := strings.Cut(e.Target, "://"); ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
		end := strings.IndexAny(rest+"/", "/?")
		e.Host, e.Target = rest[strings.LastIndexByte(rest[:end], '@')+1:end], rest[end:]
		if !strings.HasPrefix(e.Target, "/") {
			e.Target = "/" + e.Target
		}
	}
	if !strings.HasPrefix(e.Target, "/") {
		return fmt.Errorf("target %q: must begin with a slash", cut(e.Target))
	}
	path := true
	for i := range len(e.Target) {
		switch c := e.Target[i]; {
		case c < ' ' || c == 0x7f:
			return fmt.Errorf("target %q: holds a control character", cut(e.Target))
		case c == '?':
			path = false
		case c == '%' && path && (i+2 >= len(e.Target) || !isHex(e.Target[i+1]) || !isHex(e.Target[i+2])):
			return fmt.Errorf("target %q: a %% in a path must begin an escape such as %%20", cut(e.Target))
		}
	}
	// In a URL a # would begin the fragment, which is not sent.
	e.Target = strings.ReplaceAll(e.Target, "#", "%23")
	if strings.Trim(e.Host, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_:[]") != "" {
		e.Host = ""
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// cut returns the beginning of what an error quotes.
func cut(text string) string { return text[:min(len(text), maxQuoted)] }

// request returns the request of e to the service at base.
func (e *Entry) request(base string, withHost bool) *loadtest.Request {
	r := &loadtest.Request{Method: e.Method, URL: base + e.Target, Header: make(http.Header, 3)}
	set := func(name, value string) {
		if value != "" && value != "-" && http1.ValidValue([]byte(value)) {
			r.Header[name] = []string{value}
		}
	}
	set("Referer", e.Referer)
	set("User-Agent", e.UserAgent)
	if withHost {
		set("Host", e.Host)
	}
	return r
}
