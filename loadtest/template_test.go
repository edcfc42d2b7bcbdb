package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/race"
)

// same has every placeholder stand for value.
func same(value string) func(string) (string, error) {
	return func(string) (string, error) { return value, nil }
}

func TestTemplateWritesValues(t *testing.T) {
	post := func(url, kind, body string) *Request { return Post(url, kind, []byte(body)) }
	const value = "a/b c?d=e&f%2F\"\\\n<é>#${x}"
	for name, tt := range map[string]struct {
		req  *Request
		want *Request
	}{
		"path and query": {
			Get("http://h/${v}/x?q=${v}&r=1#top"),
			Get("http://h/a%2Fb%20c%3Fd%3De%26f%252F%22%5C%0A%3C%C3%A9%3E%23%24%7Bx%7D/x?q=a%2Fb%20c%3Fd%3De%26f%252F%22%5C%0A%3C%C3%A9%3E%23%24%7Bx%7D&r=1"),
		},
		"raw in a URL": {
			Get("http://h/${v|raw}?${v|raw}"),
			Get("http://h/a/b%20c%3Fd=e&f%2F%22%5C%0A%3C%C3%A9%3E%23$%7Bx%7D?a/b%20c?d=e&f%2F%22%5C%0A%3C%C3%A9%3E%23$%7Bx%7D"),
		},
		"no path":        {Get("http://u:p@h?${v}"), Get("http://u:p@h/?a%2Fb%20c%3Fd%3De%26f%252F%22%5C%0A%3C%C3%A9%3E%23%24%7Bx%7D")},
		"JSON":           {post("http://h", "application/problem+json; charset=utf-8", `{"v":"${v}"}`), post("http://h", "application/problem+json; charset=utf-8", `{"v":"a/b c?d=e&f%2F\"\\\u000A<é>#${x}"}`)},
		"raw in JSON":    {post("http://h", "application/json", `{"v":${v|raw}}`), post("http://h", "application/json", `{"v":`+value+`}`)},
		"form":           {post("http://h", "application/x-www-form-urlencoded", "v=${v}&w=1"), post("http://h", "application/x-www-form-urlencoded", "v=a%2Fb%20c%3Fd%3De%26f%252F%22%5C%0A%3C%C3%A9%3E%23%24%7Bx%7D&w=1")},
		"text":           {post("http://h", "text/plain", "<${v}>"), post("http://h", "text/plain", "<"+value+">")},
		"not a value":    {post("http://h", "text/plain", "$${v} ${v $} $v"), nil},
		"the characters": {post("http://h", "text/plain", "$${v} $v {v} $$ 100$"), post("http://h", "text/plain", "${v} $v {v} $$ 100$")},
		"everywhere": {
			&Request{URL: "http://h/$${v}", Header: http.Header{"X": {"$${v}"}}, Body: []byte("$${")},
			&Request{URL: "http://h/${v}", Header: http.Header{"X": {"${v}"}}, Body: []byte("${")},
		},
		"like a mark":     {Get("http://h/value0x/${v|raw}?valuex"), Get("http://h/value0x/a/b%20c%3Fd=e&f%2F%22%5C%0A%3C%C3%A9%3E%23$%7Bx%7D?valuex")},
		"side by side":    {post("http://h", "text/plain", "${v}${w}"), post("http://h", "text/plain", value+value)},
		"no placeholders": {Get("http://h/ä?x"), Get("http://h/ä?x")},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := NewTemplate(tt.req)
			if tt.want == nil {
				require.NoError(t, err, "a name may be anything")
				require.Equal(t, []string{"v $"}, tmpl.Names())
				return
			}
			require.NoError(t, err)
			got, err := tmpl.Request(same(value))
			require.NoError(t, err)
			got.made = nil
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTemplateHeaders(t *testing.T) {
	req := &Request{Method: "PUT", URL: "http://h/${a}", Header: http.Header{"x-b": {"1", "<${b}>", "${a}${c}"}, "Y": {"z"}}, Body: []byte("${d}${b}")}
	tmpl, err := NewTemplate(req)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c", "d"}, tmpl.Names())
	got, err := tmpl.Request(func(name string) (string, error) { return strings.ToUpper(name), nil })
	require.NoError(t, err)
	require.Equal(t, "http://h/A", got.URL)
	require.Equal(t, http.Header{"X-B": {"1", "<B>", "AC"}, "Y": {"z"}}, got.Header)
	require.Equal(t, "DB", string(got.Body))

	_, err = tmpl.Request(same("a\r\nX-Evil: 1"))
	require.ErrorIs(t, err, ErrTemplate)
	require.EqualError(t, err, "loadtest: bad template: header X-B would hold a line break or another control character")
	broken := errors.New("broken")
	_, err = tmpl.Request(func(string) (string, error) { return "", broken })
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "loadtest: template: ${a}: broken")
}

// What one has of a template is one's own.
func TestTemplatesDoNotChange(t *testing.T) {
	req := Post("http://h/${v}", "text/plain", []byte("${v}"))
	req.Expect = []int{200}
	tmpl, err := NewTemplate(req)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "x")
	req.Body[0], req.Expect[0] = 'x', 0
	tmpl.Names()[0] = "x"
	first, err := tmpl.Request(same("1"))
	require.NoError(t, err)
	first.Header.Set("Content-Type", "x")
	first.Body[0], first.Expect[0] = 'x', 0
	got, err := tmpl.Request(same("1"))
	require.NoError(t, err)
	require.Equal(t, []any{"text/plain", "1", 200}, []any{got.Header.Get("Content-Type"), string(got.Body), got.Expect[0]})
}

func TestBadTemplates(t *testing.T) {
	header := func(name, value string) *Request {
		return &Request{URL: "http://h", Header: http.Header{name: {value}}}
	}
	for name, tt := range map[string]struct {
		req   *Request
		texts []string
	}{
		"nil":        {nil, []string{"it must be a request that is sent"}},
		"a scenario": {&Request{Scenario: func(context.Context, *User) error { return nil }}, []string{"it must be a request that is sent"}},
		"a function": {&Request{Func: func(context.Context) error { return nil }}, []string{"it must be a request that is sent"}},
		"every fault": {&Request{URL: "${s}://h/${}?${a|b}", Name: "${n}", Header: http.Header{"X": {"${"}, "a b": {""}}, Body: []byte("${c")}, []string{
			`URL: ${} has no name`, `${a|b}: "b" is unknown: only raw can follow a |`, "URL: ${s} is before the path", "Name: it has no placeholders",
			"header X: ${ without a }; write $${ for the characters ${", "body: ${ without a }", `header name "a b" is not a token`,
		}},
		"scheme":             {Get("${s}://h/"), []string{"URL: ${s} is before the path"}},
		"host":               {Get("http://${h}/x"), []string{"URL: ${h} is before the path"}},
		"host and port":      {Get("http://h:${p}"), []string{"URL: ${p} is before the path"}},
		"behind the host":    {Get("http://h${p}/"), []string{"URL: ${p} is before the path"}},
		"password":           {Get("http://u:${p}@h/"), []string{"URL: ${p} is before the path"}},
		"all of it":          {Get("${u}"), []string{"URL: ${u} is before the path"}},
		"fragment":           {Get("http://h/${a}#${b}"), []string{"URL: ${b} is in the fragment"}},
		"Host":               {header("host", "${h}"), []string{"header Host: it has no placeholders: it says where"}},
		"Content-Length":     {header("Content-Length", "${h}"), []string{"header Content-Length: it has no placeholders"}},
		"Connection":         {header("Connection", "${h}"), []string{"header Connection: it has no placeholders"}},
		"bad URL":            {Get("http://h/%zz/${v}"), []string{`invalid URL escape "%zz"`}},
		"bad header":         {header("X", "a\nb"), []string{"header X holds a line break"}},
		"bad method":         {&Request{Method: "A B", URL: "http://h"}, []string{`method "A B" is not a token`}},
		"a header twice":     {&Request{URL: "http://h", Header: http.Header{"X": nil, "x": nil}}, []string{"another spelling"}},
		"an Expect too high": {&Request{URL: "http://h", Expect: []int{1000}}, []string{"status 1000 in Expect"}},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := NewTemplate(tt.req)
			require.Error(t, err)
			require.Nil(t, tmpl)
			for _, text := range tt.texts {
				require.ErrorContains(t, err, text)
			}
			require.True(t, errors.Is(err, ErrTemplate) || errors.Is(err, ErrInvalidRequest))
		})
	}
}

// sentAlike has every client write a request of a template, and one that is not known to
// be of any.
func sentAlike(t *testing.T, r *Request) {
	t.Helper()
	plain := *r
	plain.made = nil
	for _, pooling := range []Pooling{PoolOptimized, PoolNaive} {
		c := Wire(ConnectionConfig{Pooling: pooling}).(*wireClient)
		want, errWant := c.write(&plain)
		got, err := c.write(r)
		require.Equal(t, errWant, err)
		require.Equal(t, want, got)
	}
	want, errWant := newHTTPRequest(t.Context(), &plain)
	got, err := newHTTPRequest(t.Context(), r)
	require.Equal(t, errWant, err)
	if err == nil {
		require.Equal(t, want.URL.String(), got.URL.String())
		require.Equal(t, want.URL.Path, got.URL.Path)
		require.Equal(t, want.Header, got.Header)
		var a, b bytes.Buffer
		require.NoError(t, want.Write(&a))
		require.NoError(t, got.Write(&b))
		require.Equal(t, a.String(), b.String())
	}
}

func TestTemplatesAreSentAsOtherRequests(t *testing.T) {
	for _, req := range []*Request{
		Get("http://h/${v}"),
		Get("https://u:p@h:81?a=${v}&b=${v|raw}"),
		Get("http://h"),
		{Method: http.MethodHead, URL: "http://[::1]:80/a b/${v}/%2f", Header: http.Header{"Host": {"other"}, "User-Agent": {"${v}"}}},
		{Method: http.MethodPut, URL: "http://u:p@h/", Header: http.Header{"Authorization": {"${v}"}, "Idempotency-Key": {"a${v}"}, "Connection": {"close"}}},
		{Method: http.MethodPost, URL: "http://h/x", Body: []byte("${v}"), Header: http.Header{"Content-Length": {"7"}, "X": {"1", "${v}", "${v}"}, "A": {"${v}"}}},
		Post("http://h/x?${v}", "application/json", []byte(`{"v":"${v}"}`)),
		{Method: http.MethodConnect, URL: "http://h/${v}"},
		Get("http://exämple.test/${v}"),
		{URL: "http://h/value0x/${v}", Header: http.Header{"Value": {"${v}"}}},
	} {
		tmpl, err := NewTemplate(req)
		require.NoError(t, err)
		for _, value := range []string{"", "1", " x ", "é/?#%", strings.Repeat("long", 5000)} {
			r, err := tmpl.Request(same(value))
			require.NoError(t, err)
			sentAlike(t, r)
			if value == "1" {
				require.Same(t, tmpl, r.template(), req.URL)
			}
		}
	}
}

// A request of a template may be changed as any other.
func TestChangedRequestsOfTemplatesAreSentAsTheyAre(t *testing.T) {
	req := Post("http://h/${v}", "text/plain", []byte("${v}"))
	req.Header["X"] = []string{"${v}", "y"}
	tmpl, err := NewTemplate(req)
	require.NoError(t, err)
	for name, change := range map[string]func(*Request){
		"nothing":              func(*Request) {},
		"method":               func(r *Request) { r.Method = "PUT" },
		"URL":                  func(r *Request) { r.URL += "x" },
		"header":               func(r *Request) { r.Header.Set("Content-Type", "x") },
		"further header":       func(r *Request) { r.Header.Set("Z", "x") },
		"other header":         func(r *Request) { r.Header.Del("X"); r.Header.Set("Z", "x") },
		"less of a header":     func(r *Request) { r.Header["X"] = r.Header["X"][:1] },
		"header value":         func(r *Request) { r.Header["X"][0] = "z" },
		"bad header value":     func(r *Request) { r.Header["X"][0] = "z\n" },
		"fixed header value":   func(r *Request) { r.Header["X"][1] = "z" },
		"header in other case": func(r *Request) { r.Header["x"] = r.Header["X"]; delete(r.Header, "X") },
		"body":                 func(r *Request) { r.Body = []byte("other") },
		"no body":              func(r *Request) { r.Body = nil },
		"Expect":               func(r *Request) { r.Expect = []int{1} },
		"ServerTime":           func(r *Request) { r.ServerTime = &ServerTime{} },
		"a copy":               func(r *Request) { c := *r; *r = c; r.URL = "http://other" },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := tmpl.Request(same("1"))
			require.NoError(t, err)
			change(r)
			plain := *r
			plain.made = nil
			require.Equal(t, plain.Validate(), r.Validate())
			if plain.Validate() == nil {
				sentAlike(t, r)
			}
		})
	}
}

// FuzzTemplate has templates and values of any kind: what comes of them is sent as a
// request that was written by hand, and a value stays one.
func FuzzTemplate(f *testing.F) {
	for _, seed := range [][4]string{
		{"/${a}?b=${b}", "${a}", `{"a":"${a}"}`, "x y/é\""},
		{"?${a|raw}", "x$${a}", "${a|raw}", "%2f?#"},
		{"/%2f/${", "", "", ""},
		{"/a b#${a}", "\n", "", "\x00"},
		{"/${a}${a}", " ${a} ", "${}", " "},
		{"//${a}", "", "", ".."},
		{"/${a}#x", "", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, target, header, body, value string) {
		req := &Request{Method: "POST", URL: "http://u:p@h" + target, Header: http.Header{"X": {header, "y"}, "Content-Type": {"application/json"}}, Body: []byte(body)}
		if tmpl, err := NewTemplate(req); err == nil {
			if r, err := tmpl.request(same(value)); err == nil {
				require.NoError(t, r.Validate(), "what a template makes can be sent")
				sentAlike(t, r)
			}
		}
		tmpl, err := NewTemplate(Post("http://h/a/${v}/b?q=${v}&r=${v|raw}", "application/json", []byte(`{"v":"${v}"}`)))
		require.NoError(t, err)
		r, err := tmpl.Request(same(value))
		require.NoError(t, err)
		sentAlike(t, r)
		u, err := url.Parse(r.URL)
		require.NoError(t, err)
		require.Equal(t, "/a/"+value+"/b", u.Path)
		query, _, _ := strings.Cut(u.RawQuery, "&")
		q, err := url.QueryUnescape(strings.TrimPrefix(query, "q="))
		require.NoError(t, err)
		require.Equal(t, value, q)
		var v struct{ V string }
		require.NoError(t, json.Unmarshal(r.Body, &v))
		if utf8.ValidString(value) {
			require.Equal(t, value, v.V)
		}
	})
}

func TestTemplateSource(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]int)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/users/{id}", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen[r.PathValue("id")+" "+r.Header.Get("X-Id")+" "+string(body)]++
	})))
	req := Post(srv.URL+"/users/${id}", "application/json", []byte("[${id}]"))
	req.Header.Set("X-Id", "${id}")
	req.Name = "user"
	tmpl, err := NewTemplate(req)
	require.NoError(t, err)
	src := tmpl.Source(func(i int64, name string) (string, error) { return fmt.Sprint(name, i), nil })
	for name, conn := range map[string]ConnectionConfig{"direct": {}, "transport": {MaxRedirects: 1}} {
		t.Run(name, func(t *testing.T) {
			clients := []Client{NetHTTP(conn)}
			if name == "direct" {
				clients = append(clients, Wire(conn), Wire(ConnectionConfig{Pooling: PoolNaive}))
			}
			for _, client := range clients {
				clear(seen)
				e := Start(t, ThreadedConfig{MaxWorkers: 4, Client: client})
				r, err := e.Run(t.Context(), Take(200, src))
				require.NoError(t, err)
				require.EqualValues(t, 200, r.SuccessCount)
				require.EqualValues(t, 200, r.Endpoints["user"].Requests)
				require.Len(t, seen, 200)
				for i := range 200 {
					require.Equal(t, 1, seen[fmt.Sprintf("id%d id%d [id%d]", i, i, i)])
				}
			}
		})
	}
}

// A user may send a template's request, with what goes beside it.
func TestUsersSendRequestsOfTemplates(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	srv := fixtures.NewServer(t, fixtures.WithHandler("/u/{id}", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.PathValue("id")+" "+string(body)+" "+fmt.Sprint(r.Header.Get("Traceparent") != ""))
	})))
	tmpl, err := NewTemplate(Post(srv.URL+"/u/${id}", "text/plain", []byte("<${id}>")))
	require.NoError(t, err)
	for _, client := range []func(ConnectionConfig) Client{Wire, NetHTTP} {
		seen = nil
		e := Start(t, SyncConfig{Client: client(ConnectionConfig{}), Tracing: Tracing{TraceContext: true}})
		r, err := e.Run(t.Context(), Users(3, func(_ context.Context, u *User) error {
			req, err := tmpl.Request(same(fmt.Sprint(u.Number())))
			if err != nil {
				return err
			}
			for range 2 {
				if _, err := u.Do(req); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, err)
		require.EqualValues(t, 6, r.SuccessCount)
		require.Equal(t, []string{"0 <0> true", "0 <0> true", "1 <1> true", "1 <1> true", "2 <2> true", "2 <2> true"}, seen)
	}
}

func TestTemplateSourceEnds(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	e := Start(t, SyncConfig{})
	broken := errors.New("broken")
	tmpl, err := NewTemplate(Get(srv.URL + "/${v}"))
	require.NoError(t, err)
	r, err := e.Run(t.Context(), tmpl.Source(func(i int64, _ string) (string, error) {
		if i == 3 {
			return "", broken
		}
		return "x", nil
	}))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "request 3: loadtest: template: ${v}: broken")
	require.EqualValues(t, 3, r.Requests)

	_, err = e.Run(t.Context(), tmpl.Source(nil))
	require.ErrorIs(t, err, ErrEmptySource)

	wire := Start(t, SyncConfig{Client: Wire(ConnectionConfig{})})
	tmpl, err = NewTemplate(&Request{Method: http.MethodConnect, URL: srv.URL + "/${v}"})
	require.NoError(t, err)
	_, err = wire.Run(t.Context(), tmpl.Source(func(int64, string) (string, error) { return "", nil }))
	require.ErrorContains(t, err, "Wire has no CONNECT", "a client refuses a template before its first request")
}

func TestTemplatesAllocateWhatIsNew(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	l := listenOn(t, "tcp", "127.0.0.1:0")
	respond(t, l, typicalResponse)
	req := Post("http://"+l.Addr().String()+"/users/${id}", "application/json", []byte(`{"id":${id}}`))
	tmpl, err := NewTemplate(req)
	require.NoError(t, err)
	s := wireSessionOf(t, ConnectionConfig{})
	value := same("12345")
	require.InDelta(t, 5, testing.AllocsPerRun(200, func() {
		r, err := tmpl.request(value) // a Request, its URL and its body
		if err != nil {
			t.Error(err)
		}
		if _, err := s.Do(t.Context(), r); err != nil { // what is written, and what the session knows of it
			t.Error(err)
		}
	}), 0)
}
