package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Fields names the fields of JSON lines. A dot leads into an object, as in
// "request.uri", unless the name as a whole is that of a field; of an array the
// first element counts. What is empty is looked for under the names that nginx, Caddy,
// Traefik, Envoy and the Elastic Common Schema have for it.
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

// usual are the names of each field, the better one first.
var usual = map[string][]string{
	"Time":        {"ts", "time_iso8601", "msec", "time_local", "StartUTC", "start_time", "@timestamp", "timestamp", "time"},
	"Method":      {"request.method", "request_method", "RequestMethod", "http.request.method", "method"},
	"Target":      {"request.uri", "request_uri", "RequestPath", "url.original", "uri", "url", "path"},
	"Host":        {"request.host", "http_host", "RequestHost", "url.domain", "authority", "host"},
	"Status":      {"status", "DownstreamStatus", "response_code", "http.response.status_code"},
	"RequestLine": {"request"},
	"Referer":     {"request.headers.Referer", "http_referer", "request_Referer", "http.request.referrer", "referer"},
	"UserAgent":   {"request.headers.User-Agent", "http_user_agent", "request_User-Agent", "user_agent.original", "user_agent"},
}

// json reads a line that is an object.
func (p *parser) json(line string, e *Entry) error {
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	if strings.TrimSpace(line[d.InputOffset():]) != "" {
		return errors.New("there is more behind the JSON object")
	}
	get := func(field, own string) string {
		if own != "" {
			return textAt(object, own)
		}
		for _, name := range usual[field] {
			if text := textAt(object, name); text != "" {
				return text
			}
		}
		return ""
	}
	stamp := get("Time", p.fields.Time)
	if stamp == "" {
		return errors.New("no time: set Config.Fields.Time")
	}
	if err := p.setTime(stamp, e); err != nil {
		return err
	}
	e.Method, e.Target = get("Method", p.fields.Method), get("Target", p.fields.Target)
	if e.Method == "" || e.Target == "" {
		request := get("RequestLine", p.fields.RequestLine)
		if request == "" {
			return errors.New("no method or no target: set Config.Fields")
		}
		if err := e.setRequestLine(request); err != nil {
			return err
		}
	}
	e.Host = get("Host", p.fields.Host)
	e.Referer, e.UserAgent = get("Referer", p.fields.Referer), get("UserAgent", p.fields.UserAgent)
	if status := get("Status", p.fields.Status); status != "" {
		return e.setStatus(status)
	}
	return nil
}

// textAt returns the string or the number that name names; empty if there is none.
func textAt(object map[string]any, name string) string {
	v, ok := object[name]
	if !ok {
		head, rest, dotted := strings.Cut(name, ".")
		inner, isObject := object[head].(map[string]any)
		if dotted && isObject {
			return textAt(inner, rest)
		}
		return ""
	}
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
