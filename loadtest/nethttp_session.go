package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
)

// httpSession is one worker's hold on a transport. It keeps the requests it has
// built: making one anew costs as much as half the round trip's bookkeeping.
type httpSession struct {
	client    *httpClient
	transport *http.Transport // nil if it is the user's
	lanes     *lanePool
	private   bool // transport and lanes are closed with the session
	send      func(*http.Request) (*http.Response, error)
	limit     int64

	ctx      context.Context // the context that traced and requests belong to
	traced   context.Context // for requests that go through a transport
	requests map[*Request]*prepared
	last     *Request
	lastHTTP *prepared

	lane *lane // the connection at hand, if any

	phase atomic.Uint32 // a Phase; the transport's dialing goroutine sets it too
	buf   []byte
}

// prepared is a request as net/http wants it.
type prepared struct {
	http.Request
	lane string // the key of the lanes it goes by; empty if it goes by transport
}

// maxKeptRequests bounds the memory of a session whose requests are all different.
const maxKeptRequests = 256

func (s *httpSession) Do(ctx context.Context, req *Request) (Response, error) {
	hr, lane, err := s.request(ctx, req)
	if err != nil {
		return Response{}, err
	}
	s.phase.Store(uint32(PhasePool))
	var resp *http.Response
	if lane != "" {
		resp, err = s.ride(ctx, hr, lane)
	} else {
		resp, err = s.send(hr)
	}
	if err != nil {
		return Response{}, s.explain(ctx, err)
	}
	out := Response{StatusCode: resp.StatusCode, Proto: resp.Proto, Header: resp.Header}
	if resp.Body != http.NoBody {
		s.phase.Store(uint32(PhaseBody))
		out.Bytes, err = s.drain(resp.Body, req.Check != nil)
		resp.Body.Close()
	}
	if req.Check != nil {
		out.Body = s.buf[:min(out.Bytes, int64(len(s.buf)))]
	}
	return out, s.explain(ctx, err)
}

// explain adds the phase to errors that do not tell it themselves.
func (s *httpSession) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var netErr net.Error
	if ctx.Err() != nil || errors.As(err, &netErr) && netErr.Timeout() {
		return &PhaseError{Phase: Phase(s.phase.Load()), Err: err}
	}
	return err
}

// request returns the http.Request for req, built once for each context, and
// the key of the lanes it goes by, if it does.
func (s *httpSession) request(ctx context.Context, req *Request) (hr *http.Request, lane string, err error) {
	if s.ctx != ctx {
		s.ctx, s.traced = ctx, nil
		s.requests = make(map[*Request]*prepared)
		s.last = nil
	}
	p := s.lastHTTP
	if s.last != req {
		var ok bool
		if p, ok = s.requests[req]; !ok {
			if p, err = s.build(req); err != nil {
				return nil, "", err
			}
			if len(s.requests) >= maxKeptRequests {
				clear(s.requests)
			}
			s.requests[req] = p
		}
		s.last, s.lastHTTP = req, p
	}
	jar := s.client.cfg.Jar != nil
	if len(req.Body) == 0 && !jar {
		return &p.Request, p.lane, nil
	}
	fresh := p.Request
	if jar {
		fresh.Header = p.Header.Clone() // http.Client adds the cookies to it
	}
	if p.GetBody != nil {
		// A transport may read the body, and so the request, after it has
		// responded: each round trip gets a request and a reader of its own.
		fresh.Body, _ = p.GetBody()
	}
	return &fresh, p.lane, nil
}

func (s *httpSession) build(req *Request) (*prepared, error) {
	hr, err := http.NewRequestWithContext(s.ctx, req.Method, req.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	lane := ""
	if s.client.lanesFit(hr.URL) {
		lane = hr.URL.Scheme + "://" + hr.URL.Host
	} else {
		if s.traced == nil {
			s.traced = httptrace.WithClientTrace(s.ctx, s.trace())
		}
		hr = hr.WithContext(s.traced)
	}
	setHeader(hr, req.Header)
	if len(req.Body) > 0 {
		hr.ContentLength = int64(len(req.Body))
		hr.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Body)), nil }
	}
	hr.Close = s.client.cfg.Pooling == PoolNaive && s.client.cfg.Transport != nil
	return &prepared{*hr, lane}, nil
}

// setHeader gives hr a copy of header, in which Host is an entry like any other.
func setHeader(hr *http.Request, header http.Header) {
	if header == nil {
		return
	}
	hr.Header = header.Clone()
	for name, values := range hr.Header {
		if strings.EqualFold(name, "Host") && len(values) > 0 {
			hr.Host = values[0]
			delete(hr.Header, name)
		}
	}
}

// trace follows the phases. The hooks of dialing run on the transport's own
// goroutine, at times for a request that has meanwhile got another connection:
// they may only advance a request that still waits for one.
func (s *httpSession) trace() *httptrace.ClientTrace {
	advance := func(to Phase) {
		for {
			now := s.phase.Load()
			if now == uint32(PhaseUnknown) || now >= uint32(PhaseHeaders) || s.phase.CompareAndSwap(now, uint32(to)) {
				return
			}
		}
	}
	foreign := s.client.cfg.Transport != nil
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { advance(PhaseDNS) },
		ConnectStart:      func(_, _ string) { advance(PhaseConnect) },
		TLSHandshakeStart: func() { advance(PhaseTLS) },
		GotConn: func(info httptrace.GotConnInfo) {
			s.phase.Store(uint32(PhaseHeaders))
			if foreign && !info.Reused {
				s.client.traced.Add(1)
			}
		},
	}
}

// drain reads body to its end, so that the connection can be used again. With
// keep, s.buf holds it all afterwards.
func (s *httpSession) drain(body io.Reader, keep bool) (n int64, err error) {
	const small, large = 4 << 10, 32 << 10
	if s.buf == nil {
		s.buf = make([]byte, small)
	}
	s.buf = s.buf[:cap(s.buf)]
	for {
		into := s.buf
		if keep {
			if n == int64(len(s.buf)) {
				s.buf = append(s.buf, make([]byte, max(large, len(s.buf)))...)
			}
			into = s.buf[n:]
		} else if n > small && len(s.buf) < large {
			s.buf = make([]byte, large)
			into = s.buf
		}
		k, err := body.Read(into)
		n += int64(k)
		switch {
		case n > s.limit:
			return n, errBodyLimit(s.limit)
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

func (s *httpSession) Close() error {
	s.park()
	if s.private {
		s.lanes.close()
		s.transport.CloseIdleConnections()
		s.client.mu.Lock()
		delete(s.client.transports, s.transport)
		delete(s.client.pools, s.lanes)
		s.client.mu.Unlock()
	}
	return nil
}
