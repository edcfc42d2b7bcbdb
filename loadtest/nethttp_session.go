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
	traced   context.Context // for requests that go through a transport
	requests kept[*prepared]

	phase atomic.Uint32 // a Phase; the transport's dialing goroutine sets it too
	wait  connectionWait
	clock *http1.PhaseClock // nil without ConnectionConfig.Phases
	body  http1.BodyReader
}

// prepared is a request as it is sent.
type prepared struct {
	direct *http1.Request
	http   *http.Request // for the transport, if direct is nil
}

func (s *httpSession) Do(ctx context.Context, req *Request) (Response, error) {
	if s.ctx != ctx {
		s.rest()
		s.ctx = ctx
	}
	p, err := s.requests.get(req, s.build)
	if err != nil {
		return Response{}, err
	}
	if p.direct != nil {
		resp, err := s.direct.Do(ctx, p.direct, req.Check != nil)
		if c := s.direct.Clock(); c != nil {
			countPhases(ctx, c)
		}
		if err != nil {
			err = s.explainDirect(ctx, err)
		}
		return Response(resp), err
	}
	s.wait.begin()
	s.clock.Begin()
	s.enter(PhasePool)
	out, err := s.roundTrip(ctx, req, p)
	if s.clock != nil {
		countPhases(ctx, s.clock)
	}
	// What is to be had takes microseconds, and is no wait. It counts when the request
	// has ended, as its latency does.
	if d := s.wait.end(); d >= waitedTime {
		CountConnectionWait(ctx, d)
	}
	return out, err
}

// roundTrip sends p by way of the transport, and reads the response.
func (s *httpSession) roundTrip(ctx context.Context, req *Request, p *prepared) (Response, error) {
	resp, err := s.send.RoundTrip(s.again(p.http))
	if err != nil {
		return Response{}, s.explain(ctx, err)
	}
	s.clock.Responded()
	out := Response{StatusCode: resp.StatusCode, Proto: resp.Proto, Header: resp.Header}
	if resp.Body != http.NoBody {
		s.enter(PhaseBody)
		out.Bytes, out.Body, err = s.body.ReadAll(resp.Body, req.Check != nil)
		resp.Body.Close()
	}
	if own := ownError(err); own != nil {
		err = own
	}
	return out, s.explain(ctx, err)
}

// enter has the request in hand come to p, whatever phase it was in.
func (s *httpSession) enter(p Phase) {
	s.phase.Store(uint32(p))
	s.clock.Enter(http1.Phase(p))
}

// rest ends the use of a context. Requests may differ under the next one.
func (s *httpSession) rest() { s.ctx, s.traced, s.requests = nil, nil, kept[*prepared]{} }

// Park gives the connection back while the session waits for the next run, so that
// it can expire.
func (s *httpSession) Park() {
	s.rest()
	s.direct.Park()
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

func (s *httpSession) build(req *Request) (*prepared, error) {
	hr, err := newHTTPRequest(s.ctx, req)
	if err != nil {
		return nil, err
	}
	if !s.client.follows() {
		authorize(hr) // else http.Client decides, for each hop
	}
	direct, err := s.client.direct(hr, req.Body)
	if direct != nil || err != nil {
		return &prepared{direct: direct}, err
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
				break
			}
		}
		s.clock.Dialing(http1.Phase(to))
	}
	ctx, foreign := s.ctx, s.client.cfg.Transport != nil
	leave := func(to Phase) {
		advance(to)
		s.wait.stop()
	}
	return &httptrace.ClientTrace{
		// Whatever happened before: a redirect, or a connection that broke.
		GetConn: func(string) {
			s.enter(PhasePool)
			s.wait.start()
		},
		DNSStart:          func(httptrace.DNSStartInfo) { leave(PhaseDNS) },
		ConnectStart:      func(_, _ string) { leave(PhaseConnect) },
		TLSHandshakeStart: func() { advance(PhaseTLS) },
		GotConn: func(info httptrace.GotConnInfo) {
			s.enter(PhaseHeaders)
			s.wait.stop()
			if foreign && !info.Reused {
				CountConnection(ctx)
			}
		},
		// A limitedPool does not tell of a stream, which may have to wait still.
		WroteHeaders: func() {
			if s.phase.CompareAndSwap(uint32(PhasePool), uint32(PhaseHeaders)) {
				s.clock.Enter(http1.PhaseHeaders)
			}
			s.wait.stop()
		},
	}
}

// connectionWait is how long the request in hand has waited for connections. Hooks of the
// dialing goroutine use it too.
type connectionWait struct {
	since atomic.Int64 // when it began to wait, plus one; 0 if it does not
	sum   atomic.Int64
}

// begin forgets the request before.
func (w *connectionWait) begin() {
	w.since.Store(0)
	w.sum.Store(0)
}

// waitClock is the beginning of the clock of waits: any instant does.
var waitClock = time.Now()

func (w *connectionWait) start() { w.since.CompareAndSwap(0, int64(time.Since(waitClock))+1) }

func (w *connectionWait) stop() {
	if since := w.since.Swap(0); since != 0 {
		w.sum.Add(int64(time.Since(waitClock)) - since + 1)
	}
}

// end returns how long the request waited in all.
func (w *connectionWait) end() time.Duration {
	w.stop()
	return time.Duration(w.sum.Load())
}

func (s *httpSession) Close() error {
	s.rest()
	s.direct.Close()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	return nil
}
