package loadtest

import (
	"context"
	"net/http"
	"sync"
	"weak"

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

// wireRequests keeps serialized requests for the sessions of a client: in a run mostly
// all of them send the same. It is safe for concurrent use by multiple goroutines.
type wireRequests struct {
	mu   sync.Mutex
	run  weak.Pointer[connections]   // whose requests these are, known by its counter: they may change until the next
	kept map[*Request]*http1.Request // at most maxKeptRequests
}

// request returns what Wire sends for req in the run of ctx. The result is shared.
func (c *wireClient) request(ctx context.Context, req *Request) (*http1.Request, error) {
	counter := connectionsOf(ctx)
	if counter == nil || req == nil || len(req.Body) > http1.MaxInlineBody { // it would be kept until the next run
		return c.write(req)
	}
	run, k := weak.Make(counter), &c.made
	k.mu.Lock()
	if k.run != run {
		k.run, k.kept = run, make(map[*Request]*http1.Request)
	}
	r := k.kept[req]
	k.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r, err := c.write(req)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.run == run && len(k.kept) < maxKeptRequests {
		k.kept[req] = r
	}
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
	r.Wants = req.wants()
	r.Idempotent = r.Idempotent || hr.Method == http.MethodPut || hr.Method == http.MethodDelete
	return r, nil
}
