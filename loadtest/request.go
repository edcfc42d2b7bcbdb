package loadtest

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// ErrInvalidRequest matches every error about a request that cannot be sent.
var ErrInvalidRequest = errors.New("loadtest: invalid request")

// Request is one thing to send. Workers share it and send it many times: it
// must not change while a run uses it.
type Request struct {
	// Method is the HTTP method; empty means GET.
	Method string
	// URL is absolute, http or https. Only a [Func] client may leave it empty.
	//
	// It is requested as http.Client does. Its user name and password become an
	// Authorization header, unless Header has one, and are in no result and no error
	// text. A byte that may not stand in a request line, such as a space in the query,
	// is percent-encoded as browsers do. The fragment is not sent.
	URL string
	// Header is sent with every request; a Host entry sets the Host header. Names
	// mean the same in any case, so two spellings of one name are a fault. As in
	// net/http, Content-Length, Transfer-Encoding and Trailer are left to the client.
	Header http.Header
	// Body is replayed from its first byte each time the request is sent.
	Body []byte
	// Name groups results: requests of one name share an entry in
	// [EngineResult.Endpoints]. Unnamed requests count in the totals only.
	Name string
	// Check judges a response that is not an error already, as 4xx and 5xx are;
	// its own error counts the request as failed, in [ClassCheck]. It runs on the
	// worker that sent the request, outside the measured latency, and concurrently
	// with the checks of other workers. A panic or a t.FailNow in it stops the run.
	Check func(Response) error
}

// Response is what came back, as far as a load test needs it.
type Response struct {
	// StatusCode is the HTTP status; 0 for a [Func] client.
	StatusCode int
	// Proto is the protocol version, such as "HTTP/1.1"; empty for [Func].
	Proto string
	// Header must not be changed. It is only valid until Check returns. With
	// [Wire] it is nil unless the request has a Check.
	Header http.Header
	// Body holds the response body if the request has a Check, nil otherwise.
	// It is only valid until Check returns: the next request reuses its memory.
	Body []byte
	// Bytes counts the body bytes read.
	Bytes int64
}

// Get is a GET request for url.
func Get(url string) *Request { return &Request{Method: http.MethodGet, URL: url} }

// Post is a POST request of body to url.
func Post(url, contentType string, body []byte) *Request {
	return &Request{
		Method: http.MethodPost,
		URL:    url,
		Header: http.Header{"Content-Type": {contentType}},
		Body:   body,
	}
}

// Validate reports every fault of an HTTP request; each matches
// [ErrInvalidRequest]. Run calls it before anything is sent.
func (r *Request) Validate() error {
	_, err := newHTTPRequest(context.Background(), r)
	return err
}

// validToken is the token of RFC 9110 §5.6.2, which methods and header names are.
func validToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return true
}
