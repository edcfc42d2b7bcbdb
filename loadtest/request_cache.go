package loadtest

import (
	"maps"
	"net/http"
	"slices"
	"sync"

	"example.com/brunt/loadtest/internal/http1"
)

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

// wireRequests keeps serialized requests for the sessions of a client: mostly all of
// them send the same. It is safe for concurrent use by multiple goroutines.
type wireRequests struct {
	mu   sync.Mutex
	kept map[*Request]writtenRequest // at most maxKeptRequests
}

// writtenRequest is a request that may have been changed since, by a later run.
type writtenRequest struct {
	method, url string
	header      http.Header
	body        int // its length
	wire        *http1.Request
}

// is reports whether req still goes over the wire as w.
func (w *writtenRequest) is(req *Request) bool {
	return w.wire != nil && w.method == req.Method && w.url == req.URL && w.body == len(req.Body) &&
		w.wire.EndsWith(req.Body) && maps.EqualFunc(w.header, req.Header, slices.Equal)
}

// request returns what Wire sends for req. The result is shared.
func (c *wireClient) request(req *Request) (*http1.Request, error) {
	if req == nil || len(req.Body) > http1.MaxInlineBody { // it would be kept for as long as the client
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

// write returns what Wire sends for req, made anew.
func (c *wireClient) write(req *Request) (*http1.Request, error) {
	hr, err := c.httpRequest(req)
	if err != nil {
		return nil, err
	}
	authorize(hr)
	r, err := serialize(hr, req.Body, !c.ReusesConnections())
	if err != nil {
		return nil, err
	}
	r.Idempotent = r.Idempotent || hr.Method == http.MethodPut || hr.Method == http.MethodDelete
	return r, nil
}
