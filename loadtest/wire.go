package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"weak"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/httpreq"
	"example.com/brunt/loadtest/internal/servertiming"
)

// Wire returns a minimal client for saturating a server: plain HTTP/1.1 at a fraction of
// what net/http costs. Each session, and so each worker, has its own connection while
// it sends to one host, and shares idle ones with the others; a request is serialized
// once, and a response is read in place, without allocating unless the request has a
// Check. It goes over whatever cfg.DialContext returns, and over TLS for https.
// Without either, on Linux, one goroutine for every two CPUs reads and writes for all
// connections, by io_uring where it can.
//
// Redirects, cookies, proxies, decompression, HTTP/2, foreign transports and
// limits on connections are not for it: a cfg that asks for them is refused when
// an engine is made with it, or at the first Session, and [NetHTTP] is the client
// to use. So are requests with the method CONNECT or an international host name.
//
// Requests go out as net/http would send them, and responses are understood as
// net/http does, or refused as a [ProtocolError] where they are ambiguous. Bytes
// behind a response cost the connection, not the response. A request that finds
// its kept connection closed is sent once more over a new one if nothing of it
// was sent, or if nothing came back and its method is GET, HEAD, OPTIONS, TRACE,
// PUT or DELETE or it has an Idempotency-Key; never otherwise.
//
// A header line may have 64 KiB, all headers of a response together 1 MiB.
func Wire(cfg ConnectionConfig) Client {
	c := &wireClient{cfg: cfg.withDefaults(), err: errors.Join(cfg.Validate(), validateWire(cfg))}
	if c.err != nil {
		return c
	}
	c.http1 = http1.NewClient(c.cfg.http1(http1.Parse))
	return c
}

type wireClient struct {
	cfg   ConnectionConfig
	err   error
	http1 *http1.Client
	made  wireRequests
}

// validateWire finds what only NetHTTP can do.
func validateWire(cfg ConnectionConfig) error {
	var faults []error
	for _, f := range []struct {
		name  string
		asked bool
	}{
		{"Transport", cfg.Transport != nil},
		{"Proxy", cfg.Proxy != nil},
		{"Jar", cfg.Jar != nil},
		{"MaxRedirects", cfg.MaxRedirects > 0},
		{"Decompress", cfg.Decompress},
		{"MaxConnections", cfg.MaxConnections > 0},
		{"MaxKeepaliveConnections", cfg.MaxKeepaliveConnections > 0},
		{"Protocols other than HTTP/1.1", cfg.Protocols != nil && (!cfg.Protocols.HTTP1() || cfg.Protocols.HTTP2() || cfg.Protocols.UnencryptedHTTP2())},
	} {
		if f.asked {
			faults = append(faults, fault("Wire has no %s: use NetHTTP", f.name))
		}
	}
	return errors.Join(faults...)
}

func (c *wireClient) Validate() error { return c.err }

func (c *wireClient) ValidateRequest(r *Request) error {
	hr, err := c.httpRequest(r)
	r.keep(hr)
	return err
}

// httpRequest returns r for net/http to write, if Wire can send it.
func (c *wireClient) httpRequest(r *Request) (*http.Request, error) {
	hr, err := newHTTPRequest(context.Background(), r)
	switch {
	case err != nil:
		return nil, err
	case r.Method == http.MethodConnect:
		return nil, fmt.Errorf("%w: Wire has no CONNECT: use NetHTTP", ErrInvalidRequest)
	case !http1.IsASCII(hr.URL.Host):
		return nil, fmt.Errorf("%w: Wire has no international host names: use NetHTTP, or the xn-- form of %q", ErrInvalidRequest, hr.URL.Host)
	}
	return hr, nil
}

func (c *wireClient) ReusesConnections() bool { return c.cfg.Pooling == PoolOptimized }

// Session shares idle connections with all others.
func (c *wireClient) Session() (Session, error) {
	return c.session((*http1.Client).Session)
}

// PrivateSession shares none.
func (c *wireClient) PrivateSession() (Session, error) {
	return c.session((*http1.Client).PrivateSession)
}

func (c *wireClient) session(open func(*http1.Client) *http1.Session) (Session, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.http1.Conns.Closed() {
		return nil, ErrClosed
	}
	return &wireSession{client: c, http1: open(c.http1)}, nil
}

// Close closes every connection.
func (c *wireClient) Close() error {
	if c.err != nil {
		return nil
	}
	return closeHTTP1(c.http1)
}

// wireSession is one worker's hold on its connection.
type wireSession struct {
	client   *wireClient
	http1    *http1.Session
	ctx      context.Context // that requests belong to; nil while parked
	worker   *worker         // that ctx is of
	requests kept[*http1.Request]
}

func (s *wireSession) Do(ctx context.Context, req *Request) (Response, error) {
	if s.ctx != ctx { // requests may have changed
		s.ctx, s.worker, s.requests = ctx, workerOf(ctx), kept[*http1.Request]{}
	}
	x := extraOf(s.worker)
	r, err := s.request(req, x)
	if err != nil {
		return Response{}, err
	}
	resp, err := s.http1.Do(ctx, x.mark(r), x.keeps(req))
	if c := s.http1.Clock(); c != nil {
		countPhases(ctx, c)
	}
	if err != nil {
		err = fromHTTP1(err)
	}
	return Response(resp), err
}

// request returns what is sent for req.
func (s *wireSession) request(req *Request, x *extra) (*http1.Request, error) {
	if x.passing() {
		return s.client.write(req)
	}
	return s.requests.get(x.key(req), s.build)
}

func (s *wireSession) build(req *Request) (*http1.Request, error) {
	return s.client.request(s.ctx, req)
}

// Park gives the connection back while the session waits for the next run, so that
// it can expire.
func (s *wireSession) Park() {
	s.ctx, s.worker, s.requests = nil, nil, kept[*http1.Request]{}
	s.http1.Park()
}

// Close gives the connection back.
func (s *wireSession) Close() error {
	s.ctx, s.worker, s.requests = nil, nil, kept[*http1.Request]{}
	s.http1.Close()
	return nil
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
	if counter == nil || req == nil || req.once || len(req.Body) > http1.MaxInlineBody { // it would be kept until the next run
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
	r, err := c.serialize(req)
	if err != nil {
		return nil, err
	}
	if req.ServerTime != nil {
		r.Wants = strings.ToLower(servertiming.Source(*req.ServerTime).Name())
	}
	r.Idempotent = r.Idempotent || req.Method == http.MethodPut || req.Method == http.MethodDelete
	return r, nil
}

func (c *wireClient) serialize(req *Request) (*http1.Request, error) {
	if t := req.template(); t != nil {
		if r := t.written(req, !c.ReusesConnections()); r != nil {
			return r, nil
		}
	}
	hr, err := c.httpRequest(req)
	if err != nil {
		return nil, err
	}
	httpreq.Authorize(hr)
	return serialize(hr, req.Body, !c.ReusesConnections())
}
