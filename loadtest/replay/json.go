package replay

import (
	"encoding/json"
	"errors"
	"io"
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
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber() // a time in seconds may have more digits than a float64
	if d.Decode(&object) != nil || d.Decode(new(any)) != io.EOF {
		return errors.New("not a JSON object, or more than one")
	}
	v := values{wanted: p.wanted}
	v.find("", object)
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

// values are the strings and the numbers of a JSON text that are wanted.
type values struct {
	wanted map[string]place
	found  [numFields]struct {
		text string
		rank int
	}
}

// find looks for them in x, which has the name path.
func (v *values) find(path string, x any) {
	switch x := x.(type) {
	case map[string]any:
		if path != "" {
			path += "."
		}
		for name, x := range x {
			v.find(path+name, x)
		}
	case []any:
		if len(x) > 0 {
			v.find(path, x[0])
		}
	case string:
		v.keep(path, x)
	case json.Number:
		v.keep(path, x.String())
	}
}

// keep keeps text, if it is wanted more than what is there already.
func (v *values) keep(path, text string) {
	if at, ok := v.wanted[path]; ok && text != "" {
		if f := &v.found[at.field]; f.text == "" || at.rank < f.rank {
			f.text, f.rank = text, at.rank
		}
	}
}
