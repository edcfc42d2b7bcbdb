package loadtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/httpreq"
	"example.com/brunt/loadtest/internal/transport"
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
	c := &httpClient{cfg: cfg.withDefaults(), err: cfg.Validate()}
	if c.err != nil {
		return c
	}
	c.http1 = http1.NewClient(c.cfg.http1(http1.ReadResponse))
	if cfg.Transport != nil {
		c.shared = transport.Guard{RoundTripper: cfg.Transport, Fault: otherFault}
	} else {
		c.shared = c.newTransport()
	}
	return c
}

type httpClient struct {
	cfg    ConnectionConfig
	err    error
	http1  *http1.Client
	shared pooledTransport
}

// pooledTransport is an http.Transport, a transport.Pool or a transport.Guard.
type pooledTransport interface {
	http.RoundTripper
	CloseIdleConnections()
}

func (c *httpClient) Validate() error { return c.err }

func (c *httpClient) ValidateRequest(r *Request) error { return r.Validate() }

func (c *httpClient) ReusesConnections() bool { return c.cfg.Pooling == PoolOptimized }

// newTransport keeps as many idle connections as there are workers to use them:
// in a closed loop no more than that are ever open. net/http's default of two a
// host would close all others after each request.
func (c *httpClient) newTransport() pooledTransport {
	cfg := c.cfg
	const unlimited = 1 << 30 // MaxIdleConnsPerHost has no value for it
	t := &http.Transport{
		Proxy:                  cfg.Proxy,
		DialContext:            cfg.dialer(),
		TLSHandshakeTimeout:    cfg.Timeout,
		MaxResponseHeaderBytes: http1.MaxHeaderBytes,
		DisableKeepAlives:      cfg.Pooling == PoolNaive,
		DisableCompression:     !cfg.Decompress,
		MaxIdleConnsPerHost:    unlimited,
		IdleConnTimeout:        cfg.KeepaliveExpiry,
		ForceAttemptHTTP2:      cfg.Protocols == nil,
		Protocols:              cfg.Protocols,
		OnProxyConnectResponse: connected,
	}
	if cfg.TLS != nil {
		t.TLSClientConfig = cfg.TLS.Clone()
	}
	if cfg.MaxConnections > 0 || cfg.MaxKeepaliveConnections > 0 {
		limits := transport.Limits{Total: cfg.MaxConnections, PerHost: cfg.MaxKeepaliveConnections}
		return transport.NewPool(t, limits, c.http1.Conns, ErrClosed)
	}
	t.DialContext = c.http1.Conns.Wrap(t.DialContext)
	return t
}

// connected says why a proxy did not connect; net/http would only tell its status.
func connected(_ context.Context, proxy *url.URL, connect *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &classError{ClassRefused, fmt.Sprintf("loadtest: proxy %s did not connect to %s: %s", proxy.Redacted(), connect.Host, resp.Status)}
}

// http1 returns c, which has its defaults, for a client of http1.
func (c ConnectionConfig) http1(codec http1.Codec) http1.Config {
	cfg := http1.Config{
		Codec: codec, Rings: codec == http1.Parse, Timeout: c.Timeout, TLS: c.TLS, ErrClosed: ErrClosed, OnOpen: CountConnection,
		Expiry: c.KeepaliveExpiry, BodyLimit: c.MaxResponseBytes, Phases: c.Phases,
	}
	if c.DialContext != nil {
		cfg.Dial = c.dialer()
	}
	return cfg
}

// dialer opens connections within Timeout.
func (c ConnectionConfig) dialer() http1.DialFunc {
	if c.DialContext == nil {
		return (&net.Dialer{Timeout: c.Timeout}).DialContext
	}
	return transport.GuardDial(c.DialContext, c.Timeout, otherFault)
}

// otherFault is the error that says what code of the user's did that it may not do.
func otherFault(text string) error { return &classError{ClassOther, "loadtest: " + text} }

// Session shares the client's pool.
func (c *httpClient) Session() (Session, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.session(c.shared)
}

// PrivateSession has a pool of its own, unless the user gave the transport, or a
// limit for all connections: otherwise the workers would close each other's.
func (c *httpClient) PrivateSession() (Session, error) {
	if c.err != nil || c.cfg.Transport != nil || c.cfg.MaxConnections > 0 {
		return c.Session()
	}
	return c.session(nil)
}

// session sends what needs a transport over rt, or, if rt is nil, over one of its own.
func (c *httpClient) session(rt http.RoundTripper) (Session, error) {
	if c.http1.Conns.Closed() {
		return nil, ErrClosed
	}
	s := &httpSession{client: c, body: http1.BodyReader{Limit: c.cfg.MaxResponseBytes}}
	if c.cfg.Phases {
		s.trace.Clock = new(http1.PhaseClock)
	}
	if rt == nil {
		s.direct = c.http1.PrivateSession()
	} else {
		s.direct = c.http1.Session()
		s.send = c.sender(rt)
	}
	return s, nil
}

// sender is what sends requests over rt.
func (c *httpClient) sender(rt http.RoundTripper) http.RoundTripper {
	if c.follows() {
		return follower{&http.Client{Transport: rt, Jar: c.cfg.Jar, CheckRedirect: redirectLimit(c.cfg.MaxRedirects).check}}
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
		err = httpreq.HideCredentials(err) // those of a Location too
	}
	return resp, err
}

// redirectLimit is how many redirects are followed.
type redirectLimit int

// check has a redirect go where a request of ours could go, and as it would.
func (limit redirectLimit) check(next *http.Request, via []*http.Request) error {
	switch {
	case limit == 0:
		return http.ErrUseLastResponse
	case len(via) > int(limit):
		return &classError{ClassRedirect, fmt.Sprintf("loadtest: stopped after %d redirects", limit)}
	}
	if err := httpreq.NormalizeURL(next.URL); err != nil {
		return &classError{ClassRedirect, fmt.Sprintf("loadtest: redirect to a URL that cannot be requested: %v", err)}
	}
	return nil
}

// canGoDirectly reports whether requests to u can do without http.Transport: HTTP/1.1
// over kept connections without a limit on their number. What is sent and how answers
// are understood is net/http's all the same: Request.Write and ReadResponse. A request
// takes about 0.6 of the CPU time.
func (c *httpClient) canGoDirectly(u *url.URL) bool {
	cfg := &c.cfg
	if cfg.Transport != nil || cfg.Pooling != PoolOptimized || cfg.Proxy != nil || cfg.Jar != nil || cfg.MaxRedirects > 0 ||
		cfg.MaxConnections > 0 || cfg.MaxKeepaliveConnections > 0 || cfg.Decompress {
		return false
	}
	p := cfg.Protocols
	if !http1.IsASCII(u.Host) {
		return false // an international name, which http.Transport translates
	}
	switch u.Scheme {
	case "http":
		return p == nil || p.HTTP1() && !p.UnencryptedHTTP2()
	case "https":
		return p != nil && p.HTTP1() && !p.HTTP2() // otherwise the handshake decides
	}
	return false
}

// goesDirectly reports whether hr, with body, can do without http.Transport.
func (c *httpClient) goesDirectly(hr *http.Request, body []byte) bool {
	switch {
	case !c.canGoDirectly(hr.URL):
		return false
	case len(body) > 0 && len(hr.Header["Expect"]) > 0:
		return false // it waits for leave to send the body
	case !http1.CanPeek && !http1.Idempotent(hr):
		return false // net/http's reading goroutine sees the server close a kept connection
	}
	return true
}

// Close closes every connection, idle or not.
func (c *httpClient) Close() error {
	if c.err != nil {
		return nil
	}
	c.shared.CloseIdleConnections()
	return closeHTTP1(c.http1)
}

// closeHTTP1 closes c and all its connections.
func closeHTTP1(c *http1.Client) error {
	if n := c.Close(); n > 0 {
		return fmt.Errorf("loadtest: %d connections could not be closed", n)
	}
	return nil
}
