package loadtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/ring"
)

// httpSession is one worker's hold on a transport and on a lane. It keeps the
// requests it has built: making one anew costs as much as half the round trip's
// bookkeeping.
type httpSession struct {
	client  *httpClient
	lanes   *lanePool
	private bool // transport and lanes are the session's own, and closed with it
	limit   int64

	transport pooledTransport   // made for the first request it takes; nil if it is not private
	send      http.RoundTripper // transport, or the client's

	contextWatch                 // of the context that traced and requests belong to, and of the lane at hand
	traced       context.Context // for requests that go through a transport
	requests     map[*Request]*prepared
	lastReq      *Request // what last was made from
	last         *prepared

	fresh bool       // nothing was sent over the lane since the session began to serve ctx, or took it
	in    laneReader // what a lane's response is read from

	phase atomic.Uint32 // a Phase; the transport's dialing goroutine sets it too
	buf   []byte        // bodies for checks
}

// prepared is a request as it is sent: by a lane or by a transport.
type prepared struct {
	lane *wireRequest
	http *http.Request // for the transport, if lane is nil
}

// maxKeptRequests bounds the memory of a session whose requests are all different.
const maxKeptRequests = 256

func (s *httpSession) Do(ctx context.Context, req *Request) (Response, error) {
	if s.ctx != ctx {
		s.serve(ctx)
	}
	p, err := s.request(req)
	if err != nil {
		return Response{}, err
	}
	if p.lane != nil {
		return s.ride(ctx, p.lane, req.Check != nil)
	}
	s.phase.Store(uint32(PhasePool))
	resp, err := s.send.RoundTrip(s.again(p.http))
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

// serve begins to send requests under ctx, and to watch it.
func (s *httpSession) serve(ctx context.Context) {
	s.rest()
	s.fresh = true
	s.begin(ctx)
}

// rest ends serving a context. Requests may differ under the next one.
func (s *httpSession) rest() {
	s.end()
	s.traced, s.requests, s.lastReq, s.last = nil, nil, nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted { // between two requests: the lane is as good as before
		s.aborted = false
		if s.conn != nil {
			_ = s.conn.SetDeadline(time.Time{}) // if that fails, so does the next request
		}
	}
}

// park gives the lane back while the session waits for the next run, so that
// its connection can expire.
func (s *httpSession) park() {
	s.rest()
	s.leave()
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

// request returns req as it is sent, built once for each context.
func (s *httpSession) request(req *Request) (*prepared, error) {
	if s.lastReq == req {
		return s.last, nil
	}
	p, ok := s.requests[req]
	if !ok {
		var err error
		if p, err = s.build(req); err != nil {
			return nil, err
		}
		if len(s.requests) >= maxKeptRequests {
			clear(s.requests)
		}
		if s.last != nil { // most sessions only ever send one request
			if s.requests == nil {
				s.requests = map[*Request]*prepared{s.lastReq: s.last}
			}
			s.requests[req] = p
		}
	}
	s.lastReq, s.last = req, p
	return p, nil
}

func (s *httpSession) build(req *Request) (*prepared, error) {
	hr, err := newHTTPRequest(s.ctx, req)
	if err != nil {
		return nil, err
	}
	if !s.client.follows() {
		authorize(hr) // else http.Client decides, for each hop
	}
	lane, err := s.client.lane(hr, req.Body)
	if lane != nil || err != nil {
		return &prepared{lane: lane}, err
	}
	if s.send == nil {
		s.transport = s.client.newTransport()
		s.send = s.client.sender(s.transport)
	}
	if s.traced == nil {
		s.traced = httptrace.WithClientTrace(s.ctx, s.trace())
	}
	hr = hr.WithContext(s.traced)
	if len(req.Body) > 0 {
		hr.ContentLength = int64(len(req.Body))
		hr.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Body)), nil }
	}
	hr.Close = s.client.cfg.Pooling == PoolNaive && s.client.cfg.Transport != nil
	return &prepared{http: hr}, nil
}

// again is hr for one more round trip.
func (s *httpSession) again(hr *http.Request) *http.Request {
	jar, foreign := s.client.cfg.Jar != nil, s.client.cfg.Transport != nil
	if hr.GetBody == nil && !jar && !foreign {
		return hr
	}
	fresh := *hr
	if jar || foreign {
		fresh.Header = hr.Header.Clone() // http.Client adds the cookies to it
	}
	if foreign { // as with an http.Client, middleware may do with it as it likes
		u := *hr.URL
		fresh.URL = &u
	}
	if hr.GetBody != nil {
		// A transport may read the body, and so the request, after it has
		// responded: each round trip gets a request and a reader of its own.
		fresh.Body, _ = hr.GetBody()
	}
	return &fresh
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
		// Whatever happened before: a redirect, or a connection that broke.
		GetConn:           func(string) { s.phase.Store(uint32(PhasePool)) },
		DNSStart:          func(httptrace.DNSStartInfo) { advance(PhaseDNS) },
		ConnectStart:      func(_, _ string) { advance(PhaseConnect) },
		TLSHandshakeStart: func() { advance(PhaseTLS) },
		GotConn: func(info httptrace.GotConnInfo) {
			s.phase.Store(uint32(PhaseHeaders))
			if foreign && !info.Reused {
				s.client.traced.Add(1)
			}
		},
		// A limitedPool does not tell of a stream, which may have to wait still.
		WroteHeaders: func() { s.phase.CompareAndSwap(uint32(PhasePool), uint32(PhaseHeaders)) },
	}
}

// drain reads body to its end, so that the connection can be used again. With
// keep, s.buf holds it all afterwards.
func (s *httpSession) drain(body io.Reader, keep bool) (n int64, err error) {
	if !keep {
		return s.discard(body)
	}
	if s.buf == nil {
		s.buf = make([]byte, ring.ReadSize)
	}
	s.buf = s.buf[:cap(s.buf)]
	for {
		if n == int64(len(s.buf)) {
			s.buf = append(s.buf, make([]byte, max(ring.LargeReadSize, len(s.buf)))...)
		}
		k, err := body.Read(s.buf[n:])
		n += int64(k)
		if err != nil || n > s.limit {
			return n, s.ended(n, err)
		}
	}
}

// discard reads body to its end into memory that sessions share.
func (s *httpSession) discard(body io.Reader) (n int64, err error) {
	var in ring.Buffer
	defer in.Free()
	for {
		k, err := body.Read(in.Room(n))
		n += int64(k)
		if err != nil || n > s.limit {
			return n, s.ended(n, err)
		}
	}
}

// ended is the error of a body of which n bytes were read when its reading
// stopped with err.
func (s *httpSession) ended(n int64, err error) error {
	switch {
	case n > s.limit:
		return ownError(&http1.BodyLimitError{Limit: s.limit})
	case err == io.EOF: //nolint:errorlint // as io.Reader has it
		return nil
	}
	return err
}

func (s *httpSession) Close() error {
	s.park()
	if !s.private {
		return nil
	}
	s.lanes.close()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	delete(s.client.transports, s.transport)
	delete(s.client.pools, s.lanes)
	return nil
}
