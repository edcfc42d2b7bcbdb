package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
	"time"
)

// NetHTTP returns a client over net/http: HTTP/1.1, HTTP/2, TLS, proxies, any
// http.RoundTripper. Faults of cfg show when an engine is made with it, or at
// the first Session.
//
// Plain HTTP/1.1 with keep-alive and no connection limits bypasses http.Transport,
// which costs more than 1.5 times the CPU time: each worker owns a connection and uses
// net/http only to write requests and read responses. That is so for http, and for
// https if Protocols is HTTP/1.1 alone, unless cfg asks for a Transport, Proxy, Jar,
// redirects, decompression or [PoolNaive], or a request with a body for 100-continue;
// those go through http.Transport. Requests and responses are the same either way,
// except for bytes that a server sends unasked. http.Transport notices them at any
// time. A worker's connection is closed if they come together with a response; on Unix
// it is also checked before a worker's first request in a run and before a request that
// may not be sent twice. To check before every request would cost a system call each,
// so bytes that come between two others are taken for the response to the second.
func NetHTTP(cfg ConnectionConfig) Client {
	c := &httpClient{cfg: cfg, err: cfg.Validate()}
	if c.err != nil {
		return c
	}
	c.conns = newConnections(CountConnection)
	c.connector = newConnector(cfg, c.conns)
	if cfg.Transport != nil {
		c.shared = foreignTransport{cfg.Transport}
	} else {
		c.shared = c.newTransport()
	}
	c.lanes = c.newLanePool()
	return c
}

type httpClient struct {
	connector // of lanes
	cfg       ConnectionConfig
	err       error
	conns     *connections
	shared    http.RoundTripper
	lanes     *lanePool // shared

	mu         sync.Mutex
	transports map[pooledTransport]struct{}
	pools      map[*lanePool]struct{}
	closed     bool
}

// pooledTransport is a transport of ours: an http.Transport or a limitedPool.
type pooledTransport interface {
	http.RoundTripper
	CloseIdleConnections()
}

func (c *httpClient) Validate() error { return c.err }

func (c *httpClient) ValidateRequest(r *Request) error { return r.Validate() }

func (c *httpClient) ReusesConnections() bool { return c.cfg.Pooling == PoolOptimized }

func (c *httpClient) newLanePool() *lanePool {
	p := &lanePool{expiry: cmp.Or(c.cfg.KeepaliveExpiry, defaultKeepaliveExpiry)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pools == nil {
		c.pools = make(map[*lanePool]struct{})
	}
	c.pools[p] = struct{}{}
	return p
}

// maxHeaderBytes is a tenth of net/http's default, and still absurd.
const maxHeaderBytes = 1 << 20

// newTransport keeps as many idle connections as there are workers to use them:
// in a closed loop no more than that are ever open. net/http's default of two a
// host would close all others after each request.
func (c *httpClient) newTransport() pooledTransport {
	cfg := c.cfg
	timeout := cmp.Or(cfg.Timeout, defaultConnTimeout)
	const unlimited = 1 << 30 // MaxIdleConnsPerHost has no value for it
	dial := cfg.dialer(timeout)
	t := &http.Transport{
		Proxy:                  cfg.Proxy,
		DialContext:            c.conns.wrap(dial),
		TLSHandshakeTimeout:    timeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableKeepAlives:      cfg.Pooling == PoolNaive,
		DisableCompression:     !cfg.Decompress,
		MaxIdleConnsPerHost:    unlimited,
		IdleConnTimeout:        cmp.Or(cfg.KeepaliveExpiry, defaultKeepaliveExpiry),
		ForceAttemptHTTP2:      cfg.Protocols == nil,
		Protocols:              cfg.Protocols,
	}
	t.OnProxyConnectResponse = connected
	if cfg.TLS != nil {
		t.TLSClientConfig = cfg.TLS.Clone()
	}
	var out pooledTransport = t
	if cfg.MaxConnections > 0 || cfg.MaxKeepaliveConnections > 0 {
		out = c.newLimitedPool(t, dial)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transports == nil {
		c.transports = make(map[pooledTransport]struct{})
	}
	c.transports[out] = struct{}{}
	return out
}

// connected says why a proxy did not connect; net/http would only tell its status.
func connected(_ context.Context, proxy *url.URL, connect *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &classError{ClassRefused, fmt.Sprintf("loadtest: proxy %s did not connect to %s: %s", proxy.Redacted(), connect.Host, resp.Status)}
}

// dialer opens connections within timeout.
func (c ConnectionConfig) dialer(timeout time.Duration) dialFunc {
	if c.DialContext == nil {
		return (&net.Dialer{Timeout: timeout}).DialContext
	}
	return limitDial(foreignDial(c.DialContext), timeout)
}

// limitDial gives a foreign dialer the time limit and the trace that a
// net.Dialer has built in.
func limitDial(dial dialFunc, timeout time.Duration) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.ConnectStart != nil {
			trace.ConnectStart(network, addr) // a net.Dialer does so itself
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return dial(ctx, network, addr)
	}
}

// Session shares the client's pool.
func (c *httpClient) Session() (Session, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.session(c.shared, c.lanes)
}

// PrivateSession has a pool of its own, unless the user gave the transport, or a
// limit for all connections: otherwise the workers would close each other's.
func (c *httpClient) PrivateSession() (Session, error) {
	if c.err != nil || c.cfg.Transport != nil || c.cfg.MaxConnections > 0 {
		return c.Session()
	}
	return c.session(nil, c.newLanePool())
}

// session sends what lanes do not fit over rt, or over a transport of its own if
// rt is nil.
func (c *httpClient) session(rt http.RoundTripper, lanes *lanePool) (Session, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	s := &httpSession{client: c, lanes: lanes, private: rt == nil, limit: c.cfg.MaxResponseBytes}
	if s.limit == 0 {
		s.limit = defaultMaxResponseBytes
	}
	if rt != nil {
		s.send = c.sender(rt)
	}
	return s, nil
}

// sender is what sends requests over rt.
func (c *httpClient) sender(rt http.RoundTripper) http.RoundTripper {
	if c.follows() {
		return follower{&http.Client{Transport: rt, Jar: c.cfg.Jar, CheckRedirect: c.checkRedirect}}
	}
	return rt
}

// follows reports whether requests go through a follower.
func (c *httpClient) follows() bool { return c.cfg.MaxRedirects > 0 || c.cfg.Jar != nil }

// follower follows redirects and keeps cookies.
type follower struct{ *http.Client }

func (f follower) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.Do(r)
	if err != nil {
		err = hideCredentials(err) // those of a Location too
	}
	return resp, err
}

// checkRedirect has a redirect go where a request of ours could go, and as it would.
func (c *httpClient) checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case c.cfg.MaxRedirects == 0:
		return http.ErrUseLastResponse
	case len(via) > c.cfg.MaxRedirects:
		return &classError{ClassRedirect, fmt.Sprintf("loadtest: stopped after %d redirects", c.cfg.MaxRedirects)}
	}
	if err := checkURL(next.URL); err != nil {
		return &classError{ClassRedirect, fmt.Sprintf("loadtest: redirect to a URL that cannot be requested: %v", err)}
	}
	escapeURL(next.URL)
	return nil
}

func (c *httpClient) closeIdle() {
	c.mu.Lock()
	transports := slices.Collect(maps.Keys(c.transports))
	c.mu.Unlock()
	for _, t := range transports {
		t.CloseIdleConnections()
	}
}

// Close closes every connection, idle or not.
func (c *httpClient) Close() error {
	if c.err != nil {
		return nil
	}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	if foreign, ok := c.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		foreign.CloseIdleConnections()
	}
	c.closeIdle()
	c.mu.Lock()
	pools := slices.Collect(maps.Keys(c.pools))
	c.mu.Unlock()
	for _, p := range pools {
		p.close()
	}
	c.conns.closeAll()
	if n := c.conns.count(); n > 0 {
		return fmt.Errorf("loadtest: %d connections could not be closed", n)
	}
	return nil
}
