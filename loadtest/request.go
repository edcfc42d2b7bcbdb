package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/httpreq"
	"example.com/brunt/loadtest/internal/servertiming"
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
	// Scenario, if not nil, is walked through by a user in place of sending anything; of
	// the other fields only Name then matters. See [Walk].
	Scenario Scenario
	// Check judges a response that is not an error already, as an unexpected 4xx
	// is; its own error counts the request as failed, in [ClassCheck]. It runs on the
	// worker that sent the request, outside the measured latency, and concurrently
	// with the checks of other workers. A panic or a t.FailNow in it stops the run.
	// Package check has checks as values.
	Check func(Response) error

	once   bool      // it is sent once: what is made of it is not kept
	parsed *parsed   // of one that is sent once: what Validate has made, for who sends it
	made   *madeFrom // by a Template; nil otherwise
}

// ServerTime says how a server reports, in a header of its responses, how long it
// worked on a request. A request that has one is counted in [Stats.ServerQuantile];
// what the latency has beyond that was spent in the network and in queues before the
// server. The zero value reads Server-Timing. It must not be changed while a run uses
// it.
type ServerTime struct {
	// Header is the name of the header, in any case. Empty means Server-Timing, as the
	// W3C defines it: "db;dur=53.2, total;dur=61", in milliseconds. The value of any
	// other is a number, as that of X-Envoy-Upstream-Service-Time, or has a unit of its
	// own, as in "61ms".
	Header string
	// Metric is the name of the Server-Timing metric to read; of several with that
	// name it is their sum. Empty means total or, if there is none, the only metric that
	// has a duration. Servers that send several and no total need a Metric: to add up
	// metrics, of which some include others, would be a guess. It must be empty for
	// other headers.
	Metric string
	// Unit is that of a number in a header other than Server-Timing; 0 means
	// time.Millisecond. X-Runtime, for instance, is in seconds.
	Unit time.Duration
}

// Response is what came back, as far as a load test needs it.
type Response struct {
	// StatusCode is the HTTP status; 0 for a function.
	StatusCode int
	// Proto is the protocol version, such as "HTTP/1.1"; empty for a function.
	Proto string
	// Header must not be changed. It is only valid until Check returns. With
	// [Wire] it is nil unless the request has a Check or a [User] sends it, and holds
	// only what its ServerTime names if it has one and neither.
	Header http.Header
	// Body holds the response body if the request has a Check or a [User] sends it,
	// nil otherwise. It is only valid until Check returns, or the user's next
	// [User.Do]: the next request reuses its memory.
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
// Func or a Scenario has none.
func (r *Request) Validate() error {
	if r.local() {
		return nil
	}
	hr, err := newHTTPRequest(context.Background(), r)
	r.keep(hr)
	return err
}

// parsed is what newHTTPRequest has made of a request; it is not of a copy, which may have
// been changed.
type parsed struct {
	of *Request
	hr *http.Request
}

// keep has hr, which nobody uses, be what newHTTPRequest returns next for an r that is sent
// once.
func (r *Request) keep(hr *http.Request) {
	if hr != nil && r.once {
		r.parsed = &parsed{r, hr}
	}
}

// local reports whether r itself sends nothing.
func (r *Request) local() bool { return r != nil && (r.Func != nil || r.Scenario != nil) }

// newHTTPRequest returns req as every client sends it; see httpreq.New. Its error has
// every fault of req.
func newHTTPRequest(ctx context.Context, req *Request) (*http.Request, error) {
	if req == nil {
		return nil, fmt.Errorf("%w: nil", ErrInvalidRequest)
	}
	if p := req.parsed; p != nil && p.of == req {
		req.parsed = nil
		return p.hr.WithContext(ctx), nil
	}
	var faults []error
	refuse := func(err error) { faults = append(faults, fmt.Errorf("%w: %w", ErrInvalidRequest, err)) }
	for _, status := range req.Expect {
		if status < 100 || status > 999 {
			refuse(fmt.Errorf("status %d in Expect: must be from 100 to 999", status))
		}
	}
	var hr *http.Request
	if t := req.template(); t == nil {
		hr = httpreq.New(ctx, req.Method, req.URL, req.Header, refuse)
	} else {
		hr = t.httpRequest(ctx, req)
	}
	if req.ServerTime != nil {
		servertiming.Source(*req.ServerTime).Validate(refuse)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
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

// maxKeptRequests bounds the memory of a session whose requests are all different.
const maxKeptRequests = 256

// kept is what a session has made of its requests: making it anew costs as much as
// half a round trip's bookkeeping. The zero kept is ready for use.
type kept[P any] struct {
	lastReq *Request // what last was made from
	last    P
	all     map[*Request]P // if there is more than one
}

// get returns what build makes of req, made once.
func (k *kept[P]) get(req *Request, build func(*Request) (P, error)) (P, error) {
	if k.lastReq == req && req != nil {
		return k.last, nil
	}
	return k.other(req, build)
}

// other is get for a request that is not the last one.
func (k *kept[P]) other(req *Request, build func(*Request) (P, error)) (P, error) {
	if req != nil && req.once {
		return build(req)
	}
	p, ok := k.all[req]
	if !ok {
		var err error
		if p, err = build(req); err != nil {
			return p, err
		}
		if len(k.all) >= maxKeptRequests {
			clear(k.all)
		}
		if k.lastReq != nil { // most sessions only ever send one request
			if k.all == nil {
				k.all = map[*Request]P{k.lastReq: k.last}
			}
			k.all[req] = p
		}
	}
	k.lastReq, k.last = req, p
	return p, nil
}
