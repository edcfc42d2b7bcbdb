package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/httpreq"
)

// wiretap is a network on which every request is answered with 200, or with what
// answer says of its path. It keeps what was dialed and sent.
type wiretap struct {
	answer map[string]string // path to response

	wg    sync.WaitGroup
	mu    sync.Mutex
	calls []string // address and all that came over one connection
}

func (w *wiretap) dial(_ context.Context, _, addr string) (net.Conn, error) {
	client, server := net.Pipe()
	w.wg.Go(func() { // ends when the client closes its end
		defer server.Close()
		var got strings.Builder
		in := bufio.NewReader(io.TeeReader(server, &got))
		for {
			line, err := in.ReadString('\n')
			first := line
			for err == nil && line != "\r\n" {
				line, err = in.ReadString('\n')
			}
			if err != nil {
				break
			}
			response := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
			if fields := strings.Fields(first); len(fields) > 1 && w.answer[fields[1]] != "" {
				response = w.answer[fields[1]]
			}
			if _, err := io.WriteString(server, response); err != nil {
				break
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls = append(w.calls, addr+" < "+sortedHead(got.String()))
	})
	return client, nil
}

// sortedHead has the header lines of each request in text in order: theirs does not
// matter.
func sortedHead(text string) string {
	heads := strings.Split(text, "\r\n\r\n")
	for i, h := range heads {
		lines := strings.Split(h, "\r\n")
		slices.Sort(lines[1:])
		heads[i] = strings.Join(lines, "\r\n")
	}
	return strings.Join(heads, "\r\n\r\n")
}

// end returns what was sent, when all connections are closed.
func (w *wiretap) end() []string {
	w.wg.Wait()
	slices.Sort(w.calls)
	return w.calls
}

// sending is a kind of client, and the http.Client that sends what it should.
type sending struct {
	name   string
	client func(w *wiretap) Client
	like   func(*http.Transport) // nil if all is as usual
}

func sendings() []sending {
	proxy := http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"})
	naive := func(t *http.Transport) { t.DisableKeepAlives = true }
	netHTTP := func(cfg ConnectionConfig) func(w *wiretap) Client {
		return func(w *wiretap) Client { cfg.DialContext = w.dial; return NetHTTP(cfg) }
	}
	wire := func(cfg ConnectionConfig) func(w *wiretap) Client {
		return func(w *wiretap) Client { cfg.DialContext = w.dial; return Wire(cfg) }
	}
	own := func(cfg ConnectionConfig) func(w *wiretap) Client {
		return func(w *wiretap) Client {
			cfg.Transport = &http.Transport{DialContext: w.dial, DisableCompression: true}
			return NetHTTP(cfg)
		}
	}
	jar, _ := cookiejar.New(nil)
	return []sending{
		{"direct", netHTTP(ConnectionConfig{}), nil},
		{"limited", netHTTP(ConnectionConfig{MaxConnections: 1}), nil},
		{"naive", netHTTP(ConnectionConfig{Pooling: PoolNaive}), naive},
		{"redirects", netHTTP(ConnectionConfig{MaxRedirects: 3}), nil},
		{"jar", netHTTP(ConnectionConfig{Jar: jar}), nil},
		{"proxy", netHTTP(ConnectionConfig{Proxy: proxy}), func(t *http.Transport) { t.Proxy = proxy }},
		{"decompress", netHTTP(ConnectionConfig{Decompress: true}), func(t *http.Transport) { t.DisableCompression = false }},
		{"transport", own(ConnectionConfig{}), nil},
		{"transport, naive", own(ConnectionConfig{Pooling: PoolNaive}), naive},
		{"transport, redirects", own(ConnectionConfig{MaxRedirects: 3}), nil},
		{"wire", wire(ConnectionConfig{}), nil},
		{"wire, naive", wire(ConnectionConfig{Pooling: PoolNaive}), naive},
	}
}

// send is what the client sends for req, and its error.
func (s sending) send(t *testing.T, w *wiretap, req *Request) ([]string, error) {
	t.Helper()
	c := s.client(w)
	session, err := c.Session()
	require.NoError(t, err)
	_, failed := session.Do(t.Context(), req)
	require.NoError(t, session.Close())
	require.NoError(t, c.Close())
	if tr, ok := w.transport(c); ok {
		tr.CloseIdleConnections()
	}
	return w.end(), failed
}

// transport is the user's.
func (*wiretap) transport(c Client) (*http.Transport, bool) {
	h, ok := c.(*httpClient)
	if !ok {
		return nil, false
	}
	tr, ok := h.cfg.Transport.(*http.Transport)
	return tr, ok
}

// want is what http.Client sends for a request to raw with header, whose names
// and values it is given one by one.
func (s sending) want(t *testing.T, w *wiretap, raw string, header http.Header) ([]string, error) {
	t.Helper()
	tr := &http.Transport{DialContext: w.dial, DisableCompression: true}
	if s.like != nil {
		s.like(tr)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, raw, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		for _, v := range values {
			if http.CanonicalHeaderKey(name) == "Host" {
				req.Host = v
				continue
			}
			req.Header.Add(name, v)
		}
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	tr.CloseIdleConnections()
	return w.end(), err
}

// asBrowsersDo is raw as a browser would put it to http.Client, which encodes the
// bytes of a path by itself and those of a query not at all.
func asBrowsersDo(raw string) string {
	rest, fragment, _ := strings.Cut(raw, "#")
	head, query, asked := strings.Cut(rest, "?")
	encode := func(s, bytes string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			if c >= 0x80 || strings.IndexByte(bytes, c) >= 0 {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	if scheme, after, ok := strings.Cut(head, "://"); ok {
		if slash := strings.IndexByte(after, '/'); slash >= 0 && strings.Contains(after[slash:], "%") {
			head = scheme + "://" + after[:slash] + encode(after[slash:], " \"<>^`{|}\\")
		}
	}
	if asked {
		head += "?" + encode(query, ` "<>`)
	}
	if fragment != "" {
		head += "#" + fragment
	}
	return head
}

// What a server gets is what http.Client sends it, whichever client does so; or
// nothing is sent at all.
func TestOddRequestsAreSentAsHTTPClientDoesOrRefused(t *testing.T) {
	for _, tt := range []struct {
		reason  string
		url     string
		header  http.Header
		refused string // by all clients; else all send what http.Client does
		asGo    bool   // refused from Go 1.27 on, as http.Client does
		as      string // the URL to give http.Client, if not url
		holds   string // what is sent holds it, besides
	}{
		{reason: "credentials", url: "http://me:p%40ss@h.test/x", holds: "\r\nAuthorization: Basic bWU6cEBzcw==\r\n"},
		{reason: "a user alone", url: "http://me@h.test/"},
		{reason: "a user with an empty password", url: "http://me:@h.test/"},
		{reason: "a password alone", url: "http://:secret@h.test/"},
		{reason: "empty credentials", url: "http://@h.test/"},
		{reason: "two colons", url: "http://me:a:b@h.test/"},
		{reason: "an encoded user", url: "http://m%3Ae%2F:%20@h.test/"},
		{reason: "two @", url: "http://me:p@ss@h.test/"},
		{reason: "a slash in a password", url: "http://me:p/ss@h.test/", refused: "percent-encode"},
		{reason: "a hash in a password", url: "http://me:p#ss@h.test/", refused: "percent-encode"},
		{reason: "a space in a password", url: "http://me:p ss@h.test/", refused: "percent-encode"},
		{reason: "an umlaut in a password", url: "http://me:pß@h.test/", refused: "percent-encode"},
		{reason: "credentials and a header", url: "http://me:pw@h.test/", header: http.Header{"authorization": {"Bearer x"}}, holds: "\r\nAuthorization: Bearer x\r\n"},
		{reason: "credentials and an empty header", url: "http://me:pw@h.test/", header: http.Header{"Authorization": {""}}},
		{reason: "@ in path and query", url: "http://h.test/@me?mail=a@b"},

		{reason: "a space in the query", url: "http://h.test/search?q=hello world", as: "http://h.test/search?q=hello%20world"},
		{reason: "quotes", url: `http://h.test/"x"?q="a"&r='b'`, as: `http://h.test/%22x%22?q=%22a%22&r='b'`},
		{reason: "angle brackets", url: "http://h.test/<x>?q=<a>", as: "http://h.test/%3Cx%3E?q=%3Ca%3E"},
		{reason: "what browsers leave in a query", url: "http://h.test/?q=a|b^c`d{e}[f]\\g"},
		{reason: "what http.Client encodes in a path", url: "http://h.test/a|b^c`d{e}[f]\\g (1)!.pdf"},
		{reason: "UTF-8", url: "http://h.test/bücher/日本?q=größe&x=日本", as: "http://h.test/bücher/日本?q=gr%C3%B6%C3%9Fe&x=%E6%97%A5%E6%9C%AC"},
		{reason: "Latin-1", url: "http://h.test/\xfc?q=\xfc", as: "http://h.test/%FC?q=%FC"},
		{reason: "an encoded slash beside a raw space", url: "http://h.test/a%2Fb c", as: "http://h.test/a%2Fb%20c"},
		{reason: "encoded already", url: "http://h.test/a%20b%2fc?q=a%20b+c%2f"},
		{reason: "% alone in a query", url: "http://h.test/?q=100%&r=%zz"},
		{reason: "% alone in a path", url: "http://h.test/100%", refused: `invalid URL escape "%"`},
		{reason: "an encoded line break", url: "http://h.test/a%0d%0aX: y?q=%0d%0a", as: "http://h.test/a%0d%0aX:%20y?q=%0d%0a"},
		{reason: "a line break", url: "http://h.test/a\r\nX: y", refused: "control character"},
		{reason: "a tab", url: "http://h.test/?q=a\tb", refused: "control character"},
		{reason: "DEL", url: "http://h.test/?q=\x7f", refused: "control character"},
		{reason: "a line break in a fragment", url: "http://h.test/#\n"},

		{reason: "a fragment", url: "http://h.test/x?y#z?a/b c"},
		{reason: "no path", url: "http://h.test"},
		{reason: "no path and a query", url: "http://h.test?x=1"},
		{reason: "? alone", url: "http://h.test/?"},
		{reason: "? alone without a path", url: "http://h.test?"},
		{reason: "# alone", url: "http://h.test#"},
		{reason: "two slashes", url: "http://h.test//x//y"},
		{reason: "dots", url: "http://h.test/a/../b/./c"},
		{reason: "a star", url: "http://h.test/*"},
		{reason: "semicolons", url: "http://h.test/a;b=c?d;e"},
		{reason: "a scheme in capitals", url: "HTTP://H.TEST/X"},
		{reason: "opaque", url: "http:h.test/x", refused: "no host"},
		{reason: "one slash", url: "http:/h.test/x", refused: "no host"},
		{reason: "three slashes", url: "http:///x", refused: "no host"},
		{reason: "no scheme", url: "//h.test/x", refused: "scheme must be http or https"},
		{reason: "another scheme", url: "ws://h.test/x", refused: "scheme must be http or https"},

		{reason: "a port", url: "http://h.test:8080/"},
		{reason: "the scheme's port", url: "http://h.test:80/"},
		{reason: "the highest port", url: "http://h.test:65535/"},
		{reason: "a port with zeros", url: "http://h.test:0008080/"},
		{reason: "a port above 65535", url: "http://h.test:65536/", refused: "port 65536 is above 65535"},
		{reason: "a port far above 65535", url: "http://h.test:18446744073709551617/", refused: "above 65535"},
		{reason: "port 0", url: "http://h.test:0/"},
		{reason: "an empty port", url: "http://h.test:/x"},
		{reason: "an empty port of an address", url: "http://[::1]:/x"},
		{reason: "a port in words", url: "http://h.test:http/", refused: "invalid port"},
		{reason: "a negative port", url: "http://h.test:-1/", refused: "invalid port"},
		{reason: "a port alone", url: "http://:80/", refused: "no host"},
		{reason: "two ports", url: "http://h.test:80:81/", refused: "invalid port"},

		{reason: "an IPv6 address", url: "http://[2001:db8::1]:8080/"},
		{reason: "an IPv6 zone", url: "http://[fe80::1%25eth0]:8080/"},
		{reason: "an IPv6 zone without a port", url: "http://[fe80::1%25eth0]/"},
		{reason: "an unescaped zone", url: "http://[fe80::1%eth0]/", refused: `invalid URL escape`},
		{reason: "an IPv4 address in brackets", url: "http://[127.0.0.1]/", refused: "invalid IP-literal"},
		{reason: "a short IPv4 address", url: "http://127.1/"},
		{reason: "a final dot", url: "http://h.test./"},
		{reason: "an underscore", url: "http://a_b.test/"},
		{reason: "a host in punycode", url: "http://xn--bcher-kva.test/"},
		{reason: "an international host", url: "http://bücher.test/", holds: "\r\nHost: xn--bcher-kva.test\r\n"},
		{reason: "an international host in capitals", url: "http://BÜCHER.test:8080/"},
		{reason: "an encoded international host", url: "http://b%C3%BCcher.test/"},
		{reason: "a space in a host", url: "http://h test/", refused: "invalid character"},
		{reason: "quotes in a host", url: `http://h"x".test/`, refused: "no host has"},
		{reason: "angle brackets in a host", url: "http://<h>.test/", refused: "no host has"},
		{reason: "a host that is not UTF-8", url: "http://h\xff.test/", asGo: true},

		{reason: "lower case", url: "http://h.test/", header: http.Header{
			"user-agent": {"Mozilla/5.0"}, "accept": {"*/*"}, "x-y": {"1", "2"}, "content-length": {"3"}, "transfer-encoding": {"chunked"},
			"connection": {"keep-alive"}, "host": {"virtual.test"}, "trailer": {"x"},
		}},
		{reason: "capitals", url: "http://h.test/", header: http.Header{"USER-AGENT": {"x"}, "HOST": {"virtual.test"}, "CONNECTION": {"close"}}},
		{reason: "no agent", url: "http://h.test/", header: http.Header{"user-agent": {""}}},
		{reason: "spaces around a value", url: "http://h.test/", header: http.Header{"X": {" a\t"}, "User-Agent": {" b "}}},
		{reason: "an umlaut in a value", url: "http://h.test/", header: http.Header{"X": {"ü"}}},
		{reason: "an international Host", url: "http://h.test/", header: http.Header{"Host": {"bücher.test:80"}}},
		{reason: "an empty Host", url: "http://h.test/", header: http.Header{"Host": {""}}},
		{reason: "a Host with a zone", url: "http://h.test/", header: http.Header{"Host": {"[fe80::1%eth0]:1"}}},
		{reason: "two spellings", url: "http://h.test/", header: http.Header{"user-agent": {"a"}, "User-Agent": {"b"}}, refused: `header User-Agent has another spelling, "user-agent"`},
		{reason: "two agents", url: "http://h.test/", header: http.Header{"User-Agent": {"a", "b"}}, refused: "header User-Agent has 2 values"},
		{reason: "two hosts", url: "http://h.test/", header: http.Header{"host": {"a", "b"}}, refused: "header Host has 2 values"},
		{reason: "a path as Host", url: "http://h.test/", header: http.Header{"Host": {"/var/run/x.sock"}}, refused: "no host has"},
		{reason: "a space in a name", url: "http://h.test/", header: http.Header{"X Y": {"a"}}, refused: "not a token"},
		{reason: "an empty name", url: "http://h.test/", header: http.Header{"": {"a"}}, refused: "not a token"},
		{reason: "an umlaut in a name", url: "http://h.test/", header: http.Header{"Ü": {"a"}}, refused: "not a token"},
		{reason: "a line break in a value", url: "http://h.test/", header: http.Header{"X": {"a\r\nY: b"}}, refused: "line break"},
		{reason: "a control character in a value", url: "http://h.test/", header: http.Header{"user-agent": {"a\x01"}}, refused: "control character"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			req := &Request{URL: tt.url, Header: tt.header}
			before := tt.header.Clone()
			for _, s := range sendings() {
				got, err := s.send(t, &wiretap{}, req)
				if tt.refused != "" {
					require.ErrorIs(t, err, ErrInvalidRequest, s.name)
					require.ErrorContains(t, err, tt.refused, s.name)
					require.Equal(t, ClassInvalid, classify(err), s.name)
					require.Empty(t, got, s.name)
					require.ErrorContains(t, req.Validate(), tt.refused)
					continue
				}
				if u, _ := url.Parse(tt.url); strings.HasPrefix(s.name, "wire") && !http1.IsASCII(u.Host) {
					require.ErrorIs(t, err, ErrInvalidRequest, s.name)
					require.Empty(t, got, s.name)
					continue
				}
				if tt.asGo && err != nil {
					_, failed := s.want(t, &wiretap{}, tt.url, tt.header)
					require.Error(t, failed, s.name)
					require.ErrorIs(t, err, ErrInvalidRequest, s.name)
					require.Empty(t, got, s.name)
					continue
				}
				require.NoError(t, err, s.name)
				require.NoError(t, req.Validate())
				as := tt.url
				if tt.as != "" {
					as = tt.as
				}
				want, err := s.want(t, &wiretap{}, as, tt.header)
				require.NoError(t, err, s.name)
				require.Equal(t, want, got, s.name)
				require.Len(t, got, 1, s.name)
				if s.like == nil {
					require.Contains(t, got[0], tt.holds, s.name)
				}
			}
			require.Equal(t, before, tt.header, "a request belongs to its author")
		})
	}
}

func TestWhatIsSentIsACopy(t *testing.T) {
	req := &Request{URL: "http://h.test/", Header: http.Header{"x": {"a"}}}
	hr, err := newHTTPRequest(t.Context(), req)
	require.NoError(t, err)
	hr.Header["X"][0] = "changed by a transport"
	require.Equal(t, http.Header{"x": {"a"}}, req.Header)
}

// Redirects follow the rules of http.Client for credentials, and go only where a
// request could.
func TestRedirectsAreSentAsHTTPClientDoesOrRefused(t *testing.T) {
	to := func(location string) map[string]string {
		return map[string]string{"/from": "HTTP/1.1 302 Found\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n"}
	}
	for _, tt := range []struct {
		reason, location string
		class            ErrorClass
	}{
		{"relative: the credentials go along", "/to", ClassNone},
		{"absolute: they do not", "http://h.test/to", ClassNone},
		{"to a subdomain", "http://sub.h.test/to", ClassNone},
		{"elsewhere", "http://other.test/to", ClassNone},
		{"with credentials of its own", "http://you:hush@other.test/to", ClassNone},
		{"UTF-8 in the path", "/bücher", ClassNone},
		{"another scheme", "ftp://h.test/to", ClassRedirect},
		{"a bad port", "http://you:hush@h.test:99999/to", ClassRedirect},
		{"no host", "http:///to", ClassRedirect},
		{"no URL", "http://you:hush@h.test:port/to", ClassProtocol},
		{"in a circle", "/from", ClassRedirect},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			for _, header := range []http.Header{nil, {"Authorization": {"Bearer x"}}, {"host": {"virtual.test"}}} {
				raw := "http://me:s3cret@h.test/from"
				for _, s := range sendings() {
					if !strings.Contains(s.name, "redirects") {
						continue
					}
					got, err := s.send(t, &wiretap{answer: to(tt.location)}, &Request{URL: raw, Header: header})
					require.Equal(t, tt.class, classify(err), "%v", err)
					if tt.class != ClassNone {
						require.NotContains(t, httpreq.HideCredentialsOf(raw, err).Error(), "s3cret")
						require.NotContains(t, err.Error(), "you:")
						continue
					}
					want, err := s.want(t, &wiretap{answer: to(tt.location)}, raw, header)
					require.NoError(t, err)
					require.Equal(t, want, got)
				}
			}
		})
	}
	got, err := sendings()[3].send(t, &wiretap{answer: to("/to?q=hello world")}, Get("http://h.test/from"))
	require.NoError(t, err)
	require.Contains(t, strings.Join(got, ""), "GET /to?q=hello%20world HTTP/1.1\r\n", "a Location is escaped as a URL is")
}

// overRefused holds why a request may be refused that http.Client sends: it would
// send something else than was written.
var overRefused = []string{"above 65535", "no host", "holds a bracket", "another spelling", "only one can be sent", "is not a token", "Wire has no international"}

func FuzzRequestsAreSentAsHTTPClientDoesOrRefused(f *testing.F) {
	f.Add("", "h.test", "/", "", "user-agent", "x", false)
	f.Add("me:p%40ss@", "h.test:80", "/a b", "?q=hello world#x", "authorization", "Bearer x", false)
	f.Add("me@", "[::1]:", "//x|y", "?", "Host", "virtual.test", false)
	f.Add(":pw@", "bücher.test:99999", "/%2F ü", "?'\"<>\\^`{|}%", "CONNECTION", "close", true)
	f.Add("a:b:c@", "[fe80::1%25lo]:1", "/100%", "?\xff", "content-length", "7", false)
	f.Add("@", "h\".test", "*", "\n", "X-\x00", "\r\n", false)
	f.Add("0", "]\x99:", "0", "0", "0", "0", false) // its bracket closes nothing
	f.Add("me:p/w@", "<h>", "", "#", "transfer-encoding", "chunked", false)
	f.Fuzz(func(t *testing.T, userinfo, host, path, query, name, value string, twice bool) {
		raw := "http://" + userinfo + host + path + query
		req := &Request{URL: raw, Header: http.Header{name: {value}}}
		if twice {
			req.Header[strings.ToUpper(name)] = []string{value}
		}
		two := len(req.Header) > 1
		invalid := req.Validate()
		if invalid != nil {
			require.ErrorIs(t, invalid, ErrInvalidRequest)
		}
		all := sendings()
		for _, s := range all {
			got, err := s.send(t, &wiretap{}, req)
			if invalid != nil || errors.Is(err, ErrInvalidRequest) {
				require.ErrorIs(t, err, ErrInvalidRequest, s.name)
				require.Empty(t, got, s.name)
				if slices.ContainsFunc(overRefused, func(text string) bool { return strings.Contains(err.Error(), text) }) || two {
					continue
				}
				_, failed := s.want(t, &wiretap{}, asBrowsersDo(raw), req.Header)
				require.Error(t, failed, "%s refuses %q: %v", s.name, raw, err)
				continue
			}
			require.False(t, two, "two spellings")
			want, failed := s.want(t, &wiretap{}, asBrowsersDo(raw), req.Header)
			if failed != nil {
				require.Error(t, err, "%s sends what http.Client refuses: %q, %v", s.name, got, failed)
			} else {
				require.NoError(t, err, s.name)
			}
			require.Equal(t, want, got, s.name)
			for _, call := range got {
				require.NotContains(t, call, "\r\nHost: \r\n")
			}
		}
	})
}
