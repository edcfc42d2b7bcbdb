package loadtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/httpreq"
	"example.com/brunt/loadtest/internal/placeholder"
)

// Template is a request with placeholders, each of whose requests has its own values: those
// of a row of data, or what a function returns for its number. ${name} stands for a value
// in the path and the query of the URL, in header values and in the body, and $${ for the
// characters ${. What does not change is parsed, checked and written once.
//
// A value is written so that it stays one. In a URL it is percent-encoded, a slash
// included, and so it is in a body whose Content-Type is application/x-www-form-urlencoded.
// In one of JSON it is escaped as within a string: write "name":"${name}", and "age":${age}
// for a number. In other bodies and in headers it is written as it is.
//
// ${name|raw} is written as it is in any body, such as JSON in JSON. In a URL only what
// could not stand there, or would end the path or the query, is encoded then.
//
// A Template is immutable, and safe for concurrent use by multiple goroutines.
type Template struct {
	base   Request // header names are canonical
	names  []string
	prefix string           // of the URL, before the target
	target placeholder.Text // path and query as they are sent
	header []headerText
	body   placeholder.Text

	marked *Request          // with marks in place of values
	http   *http.Request     // what every client sends for it
	sent   [2]*http1.Pattern // without and with Connection: close; nil where that may depend on the values
}

// headerText is a header value with placeholders.
type headerText struct {
	name string
	at   int // among the values of the name
	text placeholder.Text
}

// ErrTemplate matches every fault of a template, and of a value that cannot be sent.
var ErrTemplate = errors.New("loadtest: bad template")

// NewTemplate returns the template that req is. Its error has every fault; each matches
// [ErrTemplate] or [ErrInvalidRequest]. Placeholders in the scheme, the user name, the
// host or the fragment of the URL are refused, and so are those in headers that say where
// a request goes or how it is sent: Host, Connection, Expect, and what is left to the
// client. Later changes to req have no effect.
func NewTemplate(req *Request) (*Template, error) {
	if req == nil || req.local() {
		return nil, fmt.Errorf("%w: it must be a request that is sent", ErrTemplate)
	}
	t := &Template{base: *req}
	t.base.Expect = slices.Clone(req.Expect)
	var faults []error
	refuse := func(where string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: %s: %w", ErrTemplate, where, err))
		}
	}
	parse := func(where, text string, escape placeholder.Escape) placeholder.Text {
		p, err := placeholder.Parse(text, &t.names, escape)
		refuse(where, err)
		return p
	}
	if strings.Contains(req.Name, "${") {
		refuse("Name", errors.New("it has no placeholders: the requests of a template share their name"))
	}
	rawURL := parse("URL", req.URL, placeholder.ForURL)
	refuse("URL", checkPlaces(rawURL))
	t.base.Header = httpreq.CanonicalHeader(req.Header, func(err error) { faults = append(faults, fmt.Errorf("%w: %w", ErrInvalidRequest, err)) })
	for _, name := range slices.Sorted(maps.Keys(t.base.Header)) {
		for i, v := range t.base.Header[name] {
			if text := parse("header "+name, v, placeholder.AsItIs); len(text.Values) == 0 {
				t.base.Header[name][i] = text.Literals[0]
			} else {
				t.header = append(t.header, headerText{name, i, text})
				if slices.Contains(fixedHeaders, name) {
					refuse("header "+name, errors.New("it has no placeholders: it says where the request goes, or how it is sent"))
				}
			}
		}
	}
	if t.body = parse("body", string(req.Body), escapeOf(t.base.Header)); len(t.body.Values) == 0 {
		t.base.Body = append([]byte(nil), t.body.Literals[0]...) // nil stays nil
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if err := t.compile(rawURL); err != nil {
		return nil, err
	}
	return t, nil
}

// fixedHeaders are those that make a request another one, or that a client writes.
var fixedHeaders = []string{"Host", "Connection", "Expect", "Content-Length", "Transfer-Encoding", "Trailer"}

// checkPlaces returns why there is a value in a URL where none may be.
func checkPlaces(u placeholder.Text) error {
	if len(u.Values) == 0 {
		return nil
	}
	_, rest, ok := strings.Cut(u.Literals[0], "://")
	if !ok || !strings.ContainsAny(rest, "/?#") {
		return fmt.Errorf("${%s} is before the path: scheme, user and host are those of all requests", u.Values[0].Name)
	}
	for i, v := range u.Values {
		if strings.Contains(u.Literals[i], "#") {
			return fmt.Errorf("${%s} is in the fragment, which is not sent", v.Name)
		}
	}
	return nil
}

// escapeOf returns how values are written in a body with header.
func escapeOf(header http.Header) placeholder.Escape {
	switch kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); {
	case strings.HasSuffix(kind, "/json"), strings.HasSuffix(kind, "+json"):
		return placeholder.ForJSON
	case kind == "application/x-www-form-urlencoded":
		return placeholder.ForURL
	}
	return placeholder.AsItIs
}

// compile makes what is the same for all requests. It has net/http read and write the
// template with marks in place of values, and finds out what is between them.
func (t *Template) compile(rawURL placeholder.Text) error {
	mark, all := "value", fmt.Sprint(t.base.URL, t.base.Header)
	for strings.Contains(all, mark) {
		mark += "x"
	}
	number := func(i int) string { return fmt.Sprintf("%s%dx", mark, i) }
	marked := t.base
	marked.URL, marked.Header = rawURL.Join(number), t.base.Header.Clone()
	for _, h := range t.header {
		marked.Header[h.name][h.at] = mark
	}
	hr, err := newHTTPRequest(context.Background(), &marked)
	if err != nil {
		return err
	}
	t.marked, t.http = &marked, hr
	var marks []string
	written := hr.Clone(context.Background())
	n := len(rawURL.Values)
	if n == 0 {
		t.base.URL = rawURL.Literals[0]
	} else {
		scheme, rest, _ := strings.Cut(rawURL.Literals[0], "://")
		t.prefix = scheme + "://" + rest[:strings.IndexAny(rest, "/?#")]
		t.target = placeholder.Text{Values: slices.Clone(rawURL.Values)}
		left := hr.URL.RequestURI()
		query := false
		for i := range t.target.Values {
			var literal string
			literal, left, _ = strings.Cut(left, number(i))
			t.target.Literals = append(t.target.Literals, literal)
			if query = query || strings.Contains(literal, "?"); query {
				t.target.Values[i].Escape = t.target.Values[i].Escape.InQuery()
			}
		}
		t.target.Literals = append(t.target.Literals, left)
		marks = append(marks, "/"+number(n))
		written.URL.Path, written.URL.RawPath, written.URL.RawQuery, written.URL.ForceQuery = marks[0], "", "", false
	}
	for i, h := range t.header {
		marks = append(marks, number(n+1+i))
		written.Header[h.name][h.at] = marks[len(marks)-1]
	}
	if hr.Method == http.MethodConnect || !http1.IsASCII(hr.URL.Host) {
		return nil
	}
	httpreq.Authorize(written)
	for i := range t.sent {
		if t.sent[i], err = http1.NewPattern(written.Clone(context.Background()), marks, len(t.base.Body) > 0, i == 1); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidRequest, err)
		}
	}
	return nil
}

// Names returns the names of the placeholders, in the order of URL, headers and body.
func (t *Template) Names() []string { return slices.Clone(t.names) }

// Request returns the request with the values that value returns for the names, such as
// the Get of a row of package data. It is the caller's, and may be changed. An error of
// value is returned with the name.
func (t *Template) Request(value func(name string) (string, error)) (*Request, error) {
	r, err := t.request(value)
	if err != nil {
		return nil, err
	}
	r.Header, r.Body, r.Expect = r.Header.Clone(), slices.Clone(r.Body), slices.Clone(r.Expect)
	r.once = false
	return r, nil
}

// Source sends requests of the template, without an end: limit it with [Take] or [Until].
// Request number i, from 0 on, has the values that value returns for i and the names. It
// is called as the function of [Pick] is; its error ends the run. For rows of package
// data use their Source, which ends with them.
func (t *Template) Source(value func(i int64, name string) (string, error)) Source {
	if value == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if err := validate(t.marked); err != nil {
			return nil, err
		}
		return &indexFeed{total: -1, picker: &pickTemplate{t, value, names.of(&t.base)}}, nil
	}}
}

// pickTemplate makes request number i of a template.
type pickTemplate struct {
	template *Template
	value    func(int64, string) (string, error)
	endpoint int32
}

func (p *pickTemplate) pick(dst []item, first int64) (int, error) {
	for i := range dst {
		number := first + int64(i)
		r, err := p.template.request(func(name string) (string, error) { return p.value(number, name) })
		if err != nil {
			return i, fmt.Errorf("request %d: %w", number, err)
		}
		dst[i] = item{req: r, endpoint: p.endpoint}
	}
	return len(dst), nil
}

// madeRequest is a request of a template.
type madeRequest struct {
	Request
	from madeFrom
}

// madeFrom says what a request was made from, as far as nobody has changed it.
type madeFrom struct {
	template *Template
	url      string
}

// request returns a request that shares what does not change with others.
func (t *Template) request(value func(name string) (string, error)) (*Request, error) {
	var few [8]string
	values := few[:0]
	for _, name := range t.names {
		v, err := value(name)
		if err != nil {
			return nil, fmt.Errorf("loadtest: template: ${%s}: %w", name, err)
		}
		values = append(values, v)
	}
	m := &madeRequest{Request: t.base}
	r := &m.Request
	var room [256]byte
	if len(t.target.Values) > 0 {
		r.URL = string(t.target.Append(append(room[:0], t.prefix...), values))
	}
	if len(t.header) > 0 {
		r.Header = maps.Clone(t.base.Header)
		for i, h := range t.header {
			if i == 0 || t.header[i-1].name != h.name {
				r.Header[h.name] = slices.Clone(r.Header[h.name])
			}
			v := h.text.Append(room[:0], values)
			if !http1.ValidValue(v) {
				return nil, fmt.Errorf("%w: header %s would hold a line break or another control character", ErrTemplate, h.name)
			}
			r.Header[h.name][h.at] = string(v)
		}
	}
	if len(t.body.Values) > 0 {
		r.Body = t.body.Append(make([]byte, 0, len(t.base.Body)+64), values)
	}
	m.from = madeFrom{t, r.URL}
	r.made, r.once = &m.from, true
	return r, nil
}

// template returns the template that r was made from, unless something else than its
// values has been changed.
func (r *Request) template() *Template {
	if r == nil || r.made == nil || r.URL != r.made.url {
		return nil
	}
	t := r.made.template
	if r.Method != t.base.Method || r.ServerTime != t.base.ServerTime || !slices.Equal(r.Expect, t.base.Expect) {
		return nil
	}
	if len(r.Header) != len(t.base.Header) || (len(r.Body) == 0) != (len(t.base.Body) == 0) {
		return nil
	}
	for name, want := range t.base.Header {
		got := r.Header[name]
		if len(got) != len(want) {
			return nil
		}
		for i, v := range got {
			if v != want[i] && (!t.changes(name, i) || !isPlain(v)) {
				return nil
			}
		}
	}
	return t
}

func (t *Template) changes(name string, at int) bool {
	return slices.ContainsFunc(t.header, func(h headerText) bool { return h.name == name && h.at == at })
}

// isPlain reports whether net/http writes a header value as it is, whatever its name.
func isPlain(v string) bool {
	return v != "" && strings.Trim(v, " \t") == v && http1.ValidValue([]byte(v))
}

// httpRequest returns what every client sends for r, which is a request of the template.
func (t *Template) httpRequest(ctx context.Context, r *Request) *http.Request {
	hr := t.http.WithContext(ctx)
	u := *hr.URL
	if len(t.target.Values) > 0 {
		path, query, ok := strings.Cut(r.URL[len(t.prefix):], "?")
		u.Path, _ = url.PathUnescape(path) // it was escaped
		u.RawPath, u.RawQuery, u.ForceQuery = path, query, ok && query == ""
		u.Fragment, u.RawFragment = "", ""
	}
	hr.URL, hr.Header = &u, maps.Clone(hr.Header)
	for _, h := range t.header {
		hr.Header[h.name] = slices.Clone(r.Header[h.name])
	}
	return hr
}

// written returns r as it is sent over HTTP/1.1; nil if that is not known to be the same
// as what net/http would write.
func (t *Template) written(r *Request, closes bool) *http1.Request {
	pattern := t.sent[0]
	if closes {
		pattern = t.sent[1]
	}
	if pattern == nil {
		return nil
	}
	var few [8]string
	values := few[:0]
	if len(t.target.Values) > 0 {
		values = append(values, r.URL[len(t.prefix):])
	}
	for _, h := range t.header {
		values = append(values, r.Header[h.name][h.at])
	}
	return pattern.Fill(values, r.Body)
}
