package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"example.com/brunt/loadtest/internal/http1"
)

// ErrInvalidRequest matches every error about a request that cannot be sent.
var ErrInvalidRequest = errors.New("loadtest: invalid request")

// Request is a request to send. Workers share it and send it many times: it must not
// be changed while a run uses it.
type Request struct {
	// Method is the HTTP method; empty means GET.
	Method string
	// URL is absolute, http or https. Only a [Func] client, or a request that has a
	// Func, may leave it empty.
	//
	// It is requested as http.Client does. Its user name and password become an
	// Authorization header, unless Header has one, and are in no result and no error
	// text. A byte that may not stand in a request line, such as a space in the query,
	// is percent-encoded as browsers do. The fragment is not sent.
	URL string
	// Header is sent with every request; a Host entry sets the Host header. [Get]
	// and [Post] make it, so that Header.Set works at once. Names mean the same in any
	// case, so two spellings of one name are a fault. As in net/http, Content-Length,
	// Transfer-Encoding and Trailer are left to the client.
	Header http.Header
	// Body is replayed from its first byte each time the request is sent.
	Body []byte
	// Name groups results: requests of one name share an entry in
	// [EngineResult.Endpoints]. Unnamed requests count in the totals only.
	Name string
	// Expect lists the statuses, from 100 to 999, that are right: a response with
	// one of them is a success, and one with any other status an error, in
	// [ClassStatus]. Empty means that 2xx is a success, 4xx and 5xx an error, and
	// the rest neither.
	Expect []int
	// ServerTime, if not nil, says in which header the responses tell how long the server
	// worked; see [Stats.ServerQuantile]. Reading it takes 0.5 µs a request, and 1.2 µs
	// and 6 allocations with [Wire], which skips headers otherwise (BenchmarkDetails, on
	// an Intel Xeon).
	ServerTime *ServerTime
	// Func, if not nil, is called in place of sending anything, whatever the
	// engine's client is; of the other fields only Name and Check then matter. See
	// [Call].
	Func func(context.Context) error
	// Check judges a response that is not an error already, as an unexpected 4xx
	// is; its own error counts the request as failed, in [ClassCheck]. It runs on the
	// worker that sent the request, outside the measured latency, and concurrently
	// with the checks of other workers. A panic or a t.FailNow in it stops the run.
	Check func(Response) error
}

// Response is what came back, as far as a load test needs it.
type Response struct {
	// StatusCode is the HTTP status; 0 for a function.
	StatusCode int
	// Proto is the protocol version, such as "HTTP/1.1"; empty for a function.
	Proto string
	// Header must not be changed. It is only valid until Check returns. With
	// [Wire] it is nil unless the request has a Check, and holds only what its
	// ServerTime names if it has one and no Check.
	Header http.Header
	// Body holds the response body if the request has a Check, nil otherwise.
	// It is only valid until Check returns: the next request reuses its memory.
	Body []byte
	// Bytes counts the body bytes read.
	Bytes int64
}

// Get returns a GET request for url.
func Get(url string) *Request {
	return &Request{Method: http.MethodGet, URL: url, Header: http.Header{}}
}

// Post returns a POST request of body to url.
func Post(url, contentType string, body []byte) *Request {
	return &Request{
		Method: http.MethodPost,
		URL:    url,
		Header: http.Header{"Content-Type": {contentType}},
		Body:   body,
	}
}

// expected reports whether Expect names status.
func (r *Request) expected(status int) bool {
	return len(r.Expect) > 0 && slices.Contains(r.Expect, status)
}

// wrong reports whether status alone makes a response an error. A function has
// none.
func (r *Request) wrong(status int) bool {
	if len(r.Expect) == 0 || status == 0 {
		return status >= http.StatusBadRequest
	}
	return !r.expected(status)
}

// Validate reports every fault of an HTTP request; each matches
// [ErrInvalidRequest]. Run calls it before anything is sent. A request that has a
// Func has none.
func (r *Request) Validate() error {
	if r != nil && r.Func != nil {
		return nil
	}
	_, err := newHTTPRequest(context.Background(), r)
	return err
}

// newHTTPRequest returns req as every client sends it, without its body and without the
// Authorization that credentials in its URL stand for; see authorize. Its error
// has every fault of req.
func newHTTPRequest(ctx context.Context, req *Request) (*http.Request, error) {
	if req == nil {
		return nil, fmt.Errorf("%w: nil", ErrInvalidRequest)
	}
	var faults []error
	refuse := func(err error) { faults = append(faults, fmt.Errorf("%w: %w", ErrInvalidRequest, err)) }
	if req.Method != "" && !http1.ValidToken(req.Method) {
		refuse(fmt.Errorf("method %q is not a token", req.Method))
	}
	for _, status := range req.Expect {
		if status < 100 || status > 999 {
			refuse(fmt.Errorf("status %d in Expect: must be from 100 to 999", status))
		}
	}
	u, err := parseURL(req.URL)
	if err != nil {
		refuse(err)
	}
	header := canonicalHeader(req.Header, refuse)
	checkHeader(header, refuse)
	req.ServerTime.validate(refuse)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	hr, err := http.NewRequestWithContext(ctx, req.Method, "", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	hr.URL, hr.Header, hr.Host = u, header, u.Host
	if host := header["Host"]; len(host) > 0 {
		hr.Host = host[0]
		delete(header, "Host")
	}
	return hr, nil
}

// serialize returns hr, with body, as it is sent.
func serialize(hr *http.Request, body []byte, closes bool) (*http1.Request, error) {
	r, err := http1.NewRequest(hr, body, closes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	return r, nil
}

// canonicalHeader returns a copy of header under the canonical names. Two spellings of
// one name are refused: a map does not tell which comes first.
func canonicalHeader(header http.Header, refuse func(error)) http.Header {
	out := make(http.Header, len(header)+1) // room for Authorization
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !http1.ValidToken(name) {
			refuse(fmt.Errorf("header name %q is not a token", name))
			continue
		}
		key := http.CanonicalHeaderKey(name)
		if _, twice := out[key]; twice {
			refuse(fmt.Errorf("header %s has another spelling, %q: put all values under one name", key, name))
			continue
		}
		out[key] = slices.Clone(header[name])
		for _, v := range header[name] {
			if !http1.ValidValue([]byte(v)) {
				refuse(fmt.Errorf("header %s holds a line break or another control character", name))
			}
		}
	}
	return out
}

// checkHeader refuses what net/http would silently not send as it is.
func checkHeader(header http.Header, refuse func(error)) {
	for _, name := range []string{"Host", "User-Agent"} {
		if n := len(header[name]); n > 1 {
			refuse(fmt.Errorf("header %s has %d values: only one can be sent", name, n))
		}
	}
	for _, v := range header["Host"] {
		if err := checkHost(v); err != nil {
			refuse(fmt.Errorf("header Host: %w", err))
		}
	}
}

// checkHost reports whether net/http would send host as a Host header. It silently
// leaves one that it refuses empty.
func checkHost(host string) error {
	var head bytes.Buffer
	err := (&http.Request{URL: &url.URL{}, Host: host}).Write(&head)
	switch {
	case host == "":
		return nil
	case err != nil:
		return fmt.Errorf("host %q has no ASCII form: %w", host, err)
	case bytes.Contains(head.Bytes(), []byte("Host: \r\n")):
		return fmt.Errorf("host %q holds a character that no host has", host)
	}
	return nil
}

// authorize gives hr the Authorization that the credentials in its URL stand for,
// unless it has one, as http.Client does for each hop.
func authorize(hr *http.Request) {
	if user := hr.URL.User; user != nil && hr.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		hr.SetBasicAuth(user.Username(), password)
	}
}
