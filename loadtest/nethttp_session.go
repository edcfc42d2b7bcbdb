package loadtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/httpreq"
	"example.com/brunt/loadtest/internal/label"
	"example.com/brunt/loadtest/internal/transport"
)

// httpSession is one worker's hold on a transport, and on a connection that bypasses
// it. It keeps the requests it has built: making one anew costs as much as half the
// round trip's bookkeeping.
type httpSession struct {
	client *httpClient
	direct *http1.Session

	transport pooledTransport   // the session's own, made for the first request it takes; nil if it is not private
	send      http.RoundTripper // transport, or the client's; nil until it is made

	ctx      context.Context // that traced and requests belong to; nil while parked
	worker   *worker         // that ctx is of
	traced   context.Context // for requests that go through a transport
	requests kept[*prepared]

	trace transport.Trace // of requests that go through a transport
	body  http1.BodyReader
}

// prepared is a request as it is sent.
type prepared struct {
	direct *http1.Request
	http   *http.Request // for the transport, if direct is nil
}

func (s *httpSession) Do(ctx context.Context, req *Request) (Response, error) {
	if s.ctx != ctx {
		s.release()
		s.ctx, s.worker = ctx, workerOf(ctx)
	}
	x := extraOf(s.worker)
	p, err := s.prepare(req, x)
	if err != nil {
		return Response{}, err
	}
	if p.direct != nil {
		resp, err := s.direct.Do(ctx, x.mark(p.direct), x.keeps(req))
		if c := s.direct.Clock(); c != nil {
			countPhases(ctx, c)
		}
		if err != nil {
			err = explainDirect(ctx, err)
		}
		return Response(resp), err
	}
	s.trace.Begin()
	out, err := s.roundTrip(ctx, req, p)
	if c := s.trace.Clock; c != nil {
		countPhases(ctx, c)
	}
	// What is to be had takes microseconds, and is no wait. It counts when the request
	// has ended, as its latency does.
	if d := s.trace.Waited(); d >= label.MinWait {
		CountConnectionWait(ctx, d)
	}
	return out, err
}

// roundTrip sends p by way of the transport, and reads the response.
func (s *httpSession) roundTrip(ctx context.Context, req *Request, p *prepared) (Response, error) {
	resp, err := s.send.RoundTrip(s.again(p.http))
	if err != nil {
		return Response{}, explain(ctx, Phase(s.trace.Phase()), err)
	}
	s.trace.Clock.Responded()
	out := Response{StatusCode: resp.StatusCode, Proto: resp.Proto, Header: resp.Header}
	if resp.Body != http.NoBody {
		s.trace.Enter(http1.PhaseBody)
		out.Bytes, out.Body, err = s.body.ReadAll(resp.Body, extraOf(s.worker).keeps(req))
		resp.Body.Close()
	}
	if own := ownError(err); own != nil {
		err = own
	}
	return out, explain(ctx, Phase(s.trace.Phase()), err)
}

// release ends the use of a context. Requests may differ under the next one.
func (s *httpSession) release() {
	s.ctx, s.worker, s.traced, s.requests = nil, nil, nil, kept[*prepared]{}
}

// Park gives the connection back while the session waits for the next run, so that
// it can expire.
func (s *httpSession) Park() {
	s.release()
	s.direct.Park()
}

// explainDirect returns the error that a session of http1 stands for. Without a
// timeout, it is what http.Transport would say.
func explainDirect(ctx context.Context, err error) error {
	err = fromHTTP1(err)
	var at *PhaseError
	if !errors.As(err, &at) || errors.Is(at.Err, ErrClosed) {
		return err
	}
	return explain(ctx, at.Phase, at.Err)
}

// explain adds the phase to errors that do not tell it themselves.
func explain(ctx context.Context, p Phase, err error) error {
	if err == nil {
		return nil
	}
	var netErr net.Error
	if ctx.Err() != nil || errors.As(err, &netErr) && netErr.Timeout() {
		return &PhaseError{Phase: p, Err: err}
	}
	return err
}

// prepare returns what is sent for req.
func (s *httpSession) prepare(req *Request, x *extra) (*prepared, error) {
	if x.passing() {
		return s.build(req)
	}
	return s.requests.get(x.key(req), s.build)
}

func (s *httpSession) build(req *Request) (*prepared, error) {
	if t := req.template(); t != nil && s.client.goesDirectly(t.http, req.Body) {
		if direct := t.written(req, false); direct != nil {
			return &prepared{direct: direct}, nil
		}
	}
	hr, err := newHTTPRequest(s.ctx, req)
	if err != nil {
		return nil, err
	}
	if !s.client.follows() {
		httpreq.Authorize(hr) // else http.Client decides, for each hop
	}
	if s.client.goesDirectly(hr, req.Body) {
		direct, err := serialize(hr, req.Body, false)
		return &prepared{direct: direct}, err
	}
	if s.send == nil {
		s.transport = s.client.newTransport()
		s.send = s.client.sender(s.transport)
	}
	if s.traced == nil {
		s.traced = s.withTrace()
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
	x := extraOf(s.worker)
	if hr.GetBody == nil && !jar && !foreign && !x.traced() {
		return hr
	}
	fresh := *hr
	if jar || foreign || x.traced() {
		fresh.Header = hr.Header.Clone() // http.Client adds the cookies to it
	}
	if x.traced() {
		x.trace.set(fresh.Header)
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

// withTrace returns the context with the session's trace. A transport of the user's opens
// connections that only the trace tells of.
func (s *httpSession) withTrace() context.Context {
	ctx, opened := s.ctx, func() {}
	if s.client.cfg.Transport != nil {
		opened = func() { CountConnection(ctx) }
	}
	return httptrace.WithClientTrace(ctx, s.trace.Hooks(opened))
}

func (s *httpSession) Close() error {
	s.release()
	s.direct.Close()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	return nil
}
