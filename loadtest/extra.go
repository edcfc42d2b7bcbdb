package loadtest

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"

	"example.com/brunt/loadtest/internal/http1"
)

// extra is what a worker has its session send and do beside what a request says. A nil one
// has nothing.
type extra struct {
	user   *User    // who sends it; nil: the engine
	hop    bool     // the response may be a redirect, on the way to the one that is judged
	as     *Request // what sessions know the user's request by; nil: they forget what they make of it
	trace  trace
	marked http1.Request // the request with its trace
}

// extras returns the extra of w, which is made if need be.
func (w *worker) extras() *extra {
	if w.extra == nil {
		w.extra = new(extra)
	}
	return w.extra
}

func (x *extra) sender() *User {
	if x == nil {
		return nil
	}
	return x.user
}

// redirected reports whether resp is on the way to another.
func (x *extra) redirected(resp *Response) bool {
	if x == nil || !x.hop || resp.Header.Get("Location") == "" {
		return false
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// keeps reports whether the response to req has its header and body.
func (x *extra) keeps(req *Request) bool { return req.Check != nil || x.sender() != nil }

// passing reports whether nothing is to be remembered of the request in hand.
func (x *extra) passing() bool { return x.sender() != nil && x.as == nil }

// key returns what sessions know req by.
func (x *extra) key(req *Request) *Request {
	if x.sender() != nil {
		return x.as
	}
	return req
}

// traced reports whether the request in hand has a trace that is not in its header.
func (x *extra) traced() bool { return x != nil && len(x.trace.lines) > 0 }

// mark returns r with its trace.
func (x *extra) mark(r *http1.Request) *http1.Request {
	if !x.traced() {
		return r
	}
	return r.With(x.trace.lines, &x.marked)
}

// request returns req for a session that knows nothing of x.
func (x *extra) request(req *Request) *Request {
	if x.sender() == nil && !x.traced() {
		return req
	}
	own := *req
	if x.user != nil && req.Check == nil {
		own.Check = func(Response) error { return nil } // it keeps the response then
	}
	if x.traced() {
		own.Header = maps.Clone(req.Header)
		if own.Header == nil {
			own.Header = make(http.Header)
		}
		x.trace.set(own.Header)
	}
	x.as, x.trace.lines = nil, nil // a session of ours below has to send what it is given
	return &own
}

// annotate adds to r what x knows of the request.
func (x *extra) annotate(r *RequestResult) {
	if x == nil {
		return
	}
	r.TraceID, r.SpanID, r.RequestID = x.trace.id, x.trace.span(), x.trace.request
	if x.user != nil {
		r.Scenario, r.User = x.user.scenario, x.user.number
	}
}

// workerOf returns the worker that ctx is of; nil if it is of none.
func workerOf(ctx context.Context) *worker {
	w, _ := ctx.Value(workerKey{}).(*worker)
	return w
}

// extraOf returns what there is beside the request in hand of w, which may be nil.
func extraOf(w *worker) *extra {
	if w == nil {
		return nil
	}
	return w.extra
}

// sentRequests knows the requests that users send by what is in them: a user makes its
// own, mostly the same as others do, and may change them. The zero value is ready for use.
// It is safe for concurrent use by multiple goroutines.
type sentRequests struct {
	mu   sync.RWMutex
	kept map[sentKey]*Request // copies, at most maxKeptRequests
}

type sentKey struct{ method, url string }

// known returns a request that is sent as req is, always the same one, or nil if that is
// not worth it.
func (k *sentRequests) known(req *Request) *Request {
	if req.made != nil {
		return nil // it is made quickly
	}
	key := sentKey{req.Method, req.URL}
	k.mu.RLock()
	is, ok := k.kept[key]
	full := len(k.kept) >= maxKeptRequests
	k.mu.RUnlock()
	switch {
	case ok && is.sentAs(req):
		return is
	case ok || full || len(req.Body) > http1.MaxInlineBody:
		return nil
	}
	is = &Request{Method: req.Method, URL: req.URL, Header: req.Header.Clone(), Body: bytes.Clone(req.Body), ServerTime: req.ServerTime}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = make(map[sentKey]*Request)
	}
	k.kept[key] = is
	return is
}

// sentAs reports whether r, which has the same method and URL, is sent as o is.
func (r *Request) sentAs(o *Request) bool {
	return r.ServerTime == o.ServerTime && bytes.Equal(r.Body, o.Body) && maps.EqualFunc(r.Header, o.Header, slices.Equal)
}
