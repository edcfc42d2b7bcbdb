package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.com/brunt/loadtest/internal/ring"
)

// Wire returns a minimal client for saturating a server: plain HTTP/1.1 at a fraction of what
// net/http costs. Each session, and so each worker, has its own connection
// to each host it talks to; a request is serialized once, and a response is read
// in place, without allocating unless the request has a Check. It goes over
// whatever cfg.DialContext returns, and over TLS for https. Without either, on
// Linux, one goroutine for every two CPUs reads and writes for all connections, by
// io_uring where it can.
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
	c := &wireClient{cfg: cfg, err: errors.Join(cfg.Validate(), validateWire(cfg))}
	if c.err != nil {
		return c
	}
	c.expiry = cmp.Or(cfg.KeepaliveExpiry, defaultKeepaliveExpiry)
	c.limit = cfg.MaxResponseBytes
	if c.limit == 0 {
		c.limit = defaultMaxResponseBytes
	}
	c.conns = newConnections(CountConnection)
	c.connector = newConnector(cfg, c.conns)
	c.over(&c.rings, cfg, c.conns)
	c.fast = true
	return c
}

type wireClient struct {
	connector
	cfg    ConnectionConfig
	err    error
	expiry time.Duration
	limit  int64 // of a response body
	conns  *connections
	rings  ring.Group
	made   wireRequests
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
	_, err := c.httpRequest(r)
	return err
}

// httpRequest is r for net/http to write, if Wire can send it.
func (c *wireClient) httpRequest(r *Request) (*http.Request, error) {
	hr, err := newHTTPRequest(context.Background(), r)
	switch {
	case err != nil:
		return nil, err
	case r.Method == http.MethodConnect:
		return nil, fmt.Errorf("%w: Wire has no CONNECT: use NetHTTP", ErrInvalidRequest)
	case !isASCII(hr.URL.Host):
		return nil, fmt.Errorf("%w: Wire has no international host names: use NetHTTP, or the xn-- form of %q", ErrInvalidRequest, hr.URL.Host)
	}
	return hr, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 127 {
			return false
		}
	}
	return true
}

func (c *wireClient) ReusesConnections() bool { return c.cfg.Pooling == PoolOptimized }

// closed reports whether Close was called.
func (c *wireClient) closed() bool { return c.conns.closed() }

// Session has its own connections.
func (c *wireClient) Session() (Session, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.closed() {
		return nil, ErrClosed
	}
	return &wireSession{client: c}, nil
}

// Close closes every connection.
func (c *wireClient) Close() error {
	if c.err != nil {
		return nil
	}
	c.conns.closeAll()
	c.rings.Close()
	if n := c.conns.count(); n > 0 {
		return fmt.Errorf("loadtest: %d connections could not be closed", n)
	}
	return nil
}
