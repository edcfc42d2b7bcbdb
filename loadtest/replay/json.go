package replay

import (
	"encoding/json"
	"errors"
	"strings"
)

// Fields names the fields of JSON lines. A dot leads into an object, as in "request.uri",
// or belongs to the name; of an array the first element counts. What is empty is looked for
// under the names that nginx, Caddy, Traefik, Envoy and the Elastic Common Schema have for it.
type Fields struct {
	Time   string
	Method string
	Target string // a path with its query, or a URL
	Host   string
	Status string
	// RequestLine is "GET /path HTTP/1.1", and is used where there is no Method or Target.
	RequestLine string
	Referer     string
	UserAgent   string
}

// The fields of a JSON line.
const (
	fieldTime = iota
	fieldMethod
	fieldTarget
	fieldHost
	fieldStatus
	fieldRequestLine
	fieldReferer
	fieldUserAgent
	numFields
)

// usual are the names of each field, the better one first.
var usual = [numFields][]string{
	fieldTime:        {"ts", "time_iso8601", "msec", "time_local", "StartUTC", "start_time", "@timestamp", "timestamp", "time"},
	fieldMethod:      {"request.method", "request_method", "RequestMethod", "http.request.method", "method"},
	fieldTarget:      {"request.uri", "request_uri", "RequestPath", "url.original", "uri", "url", "path"},
	fieldHost:        {"request.host", "http_host", "RequestHost", "url.domain", "authority", "host"},
	fieldStatus:      {"status", "DownstreamStatus", "response_code", "http.response.status_code"},
	fieldRequestLine: {"request"},
	fieldReferer:     {"request.headers.Referer", "http_referer", "request_Referer", "http.request.referrer", "referer"},
	fieldUserAgent:   {"request.headers.User-Agent", "http_user_agent", "request_User-Agent", "user_agent.original", "user_agent"},
}

// wanted returns the names of fields, each with its place in the order in which they count.
func (f Fields) wanted() map[string]place {
	names := make(map[string]place)
	for field, own := range [numFields]string{f.Time, f.Method, f.Target, f.Host, f.Status, f.RequestLine, f.Referer, f.UserAgent} {
		list := usual[field]
		if own != "" {
			list = []string{own}
		}
		for rank, name := range list {
			names[name] = place{field, rank}
		}
	}
	return names
}

type place struct{ field, rank int }

// json reads a line that is an object.
func (p *parser) json(line string, e *Entry) error {
	if p.wanted == nil {
		p.wanted = p.fields.wanted()
	}
	if !json.Valid([]byte(line)) {
		return errors.New("not a JSON object, or more than one")
	}
	v := values{s: line, path: p.path, wanted: p.wanted}
	v.value()
	p.path = v.path // its memory
	field := func(i int) string { return v.found[i].text }
	if field(fieldTime) == "" {
		return errors.New("no time: set Config.Fields.Time")
	}
	if err := p.setTime(field(fieldTime), e); err != nil {
		return err
	}
	e.Method, e.Target = field(fieldMethod), field(fieldTarget)
	if e.Method == "" || e.Target == "" {
		if field(fieldRequestLine) == "" {
			return errors.New("no method or no target: set Config.Fields")
		}
		if err := e.setRequestLine(field(fieldRequestLine)); err != nil {
			return err
		}
	}
	e.Host, e.Referer, e.UserAgent = field(fieldHost), field(fieldReferer), field(fieldUserAgent)
	if status := field(fieldStatus); status != "" {
		return e.setStatus(status)
	}
	return nil
}

// values finds the strings and the numbers in a valid JSON text that are wanted: parsing
// it takes a fifth of the time that decoding it would.
type values struct {
	s      string
	i      int
	path   []byte // the names that lead to s[i:]
	wanted map[string]place
	found  [numFields]struct {
		text string
		rank int
	}
}

// value reads what is at s[i:].
func (v *values) value() {
	v.space()
	switch c := v.s[v.i]; c {
	case '{', '[':
		v.i++
		for first := true; ; first = false {
			v.space()
			switch v.s[v.i] {
			case '}', ']':
				v.i++
				return
			case ',':
				v.i++
				v.space()
			}
			n := len(v.path)
			switch {
			case c == '{':
				if n > 0 {
					v.path = append(v.path, '.')
				}
				v.path = append(v.path, v.text()...)
				v.space()
				v.i++ // the colon
			case !first:
				v.path = append(v.path, '[') // only the first element has the name of its array
			}
			v.value()
			v.path = v.path[:n]
		}
	case '"':
		v.keep(v.text())
	default:
		start := v.i
		for v.i < len(v.s) && strings.IndexByte(",]} \t\r\n", v.s[v.i]) < 0 {
			v.i++
		}
		if c == '-' || '0' <= c && c <= '9' {
			v.keep(v.s[start:v.i])
		}
	}
}

func (v *values) space() {
	for strings.IndexByte(" \t\r\n", v.s[v.i]) >= 0 {
		v.i++
	}
}

// text reads a string.
func (v *values) text() string {
	start, plain := v.i, true
	for v.i++; v.s[v.i] != '"'; v.i++ {
		if v.s[v.i] == '\\' {
			v.i++
			plain = false
		}
	}
	v.i++
	if plain {
		return v.s[start+1 : v.i-1]
	}
	var text string
	_ = json.Unmarshal([]byte(v.s[start:v.i]), &text) // it is valid
	return text
}

// keep keeps what is at path, if it is wanted more than what is there already.
func (v *values) keep(text string) {
	if at, ok := v.wanted[string(v.path)]; ok && text != "" {
		if f := &v.found[at.field]; f.text == "" || at.rank <= f.rank {
			f.text, f.rank = text, at.rank
		}
	}
}
