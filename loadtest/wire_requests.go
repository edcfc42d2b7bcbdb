package loadtest

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// wireRequests keeps what requests are on the wire for the sessions of a client:
// mostly all of them send the same. It is safe for concurrent use.
type wireRequests struct {
	mu   sync.Mutex
	kept map[*Request]writtenRequest // at most maxKeptRequests
}

// writtenRequest is a request that may have been changed since, by a later run.
type writtenRequest struct {
	method, url string
	header      http.Header
	body        int // its length
	wire        *wireRequest
}

// is says whether req still goes over the wire as w.
func (w *writtenRequest) is(req *Request) bool {
	return w.wire != nil && w.method == req.Method && w.url == req.URL && w.body == len(req.Body) &&
		bytes.HasSuffix(w.wire.bytes, req.Body) && maps.EqualFunc(w.header, req.Header, slices.Equal)
}

// request is what req is on the wire. The result is shared: it must not be
// changed.
func (c *wireClient) request(req *Request) (*wireRequest, error) {
	if len(req.Body) > maxInlineBody { // it would be kept for as long as the client
		return c.write(req)
	}
	k := &c.made
	k.mu.Lock()
	w := k.kept[req]
	k.mu.Unlock()
	if w.is(req) {
		return w.wire, nil
	}
	r, err := c.write(req)
	if err != nil {
		return nil, err
	}
	w = writtenRequest{method: req.Method, url: req.URL, header: req.Header.Clone(), body: len(req.Body), wire: r}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = make(map[*Request]writtenRequest)
	}
	if len(k.kept) >= maxKeptRequests {
		clear(k.kept)
	}
	k.kept[req] = w
	return r, nil
}
