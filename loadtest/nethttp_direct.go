package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"example.com/brunt/loadtest/internal/http1"
)

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
	if !isASCII(u.Host) {
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

// direct returns what hr, with body, is without http.Transport; nil if it needs that.
func (c *httpClient) direct(hr *http.Request, body []byte) (*http1.Request, error) {
	switch {
	case !c.canGoDirectly(hr.URL):
		return nil, nil
	case len(body) > 0 && len(hr.Header["Expect"]) > 0:
		return nil, nil // it waits for leave to send the body
	case !http1.CanPeek && !http1.Idempotent(hr):
		return nil, nil // net/http's reading goroutine sees the server close a kept connection
	}
	return serialize(hr, body, false)
}

// serialize returns hr, with body, as it is sent.
func serialize(hr *http.Request, body []byte, closes bool) (*http1.Request, error) {
	r, err := http1.NewRequest(hr, body, closes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	return r, nil
}

// explainDirect returns the error that a session of http1 stands for. Without a
// timeout, it is what http.Transport would say.
func (s *httpSession) explainDirect(ctx context.Context, err error) error {
	err = fromHTTP1(err)
	var at *PhaseError
	if !errors.As(err, &at) || errors.Is(at.Err, ErrClosed) {
		return err
	}
	s.phase.Store(uint32(at.Phase))
	return s.explain(ctx, at.Err)
}
