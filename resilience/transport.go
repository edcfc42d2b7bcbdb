package resilience

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// TransportConfig configures a [Transport]. Every field may be left out.
type TransportConfig struct {
	// Base sends the requests. Default: a clone of [http.DefaultTransport],
	// private to the Transport, that keeps as many idle connections to one host
	// as to all (100, or the limiter's MaxConcurrent if that is more; the usual 2
	// make a busy client dial without end), and asks an HTTP/2 connection on which
	// nothing has come for 15 s whether it still lives (the usual never makes a
	// client keep a dead one for a quarter of an hour). If the program has replaced
	// http.DefaultTransport by something other than an *http.Transport, that is
	// used as it is.
	Base http.RoundTripper

	// Limiter bounds the requests under way. A permit is taken for each attempt
	// and held until the response's body is closed or read to its end, because
	// until then the connection is busy. It is not held between attempts.
	Limiter *SemaphoreLimiter

	// Breaker is asked before each attempt and told its outcome when the
	// response's header is in: what happens to the body is not its concern.
	Breaker *CircuitBreaker

	// Retry repeats attempts of requests that can be sent again: see [Transport].
	Retry *RetryPolicy

	// AttemptTimeout is the longest an attempt may take until the header of its
	// response is in: connecting, TLS, sending the request with its body and the
	// service's time to answer, and not the wait for a permit. Then the attempt has
	// failed, with an [*AttemptTimeoutError], and is repeated like any other while
	// the request's own context lives. It holds for requests that are not repeated,
	// too. Default 0: the AttemptTimeout of Retry, and none without one; negative
	// means none. Without any, one attempt that hangs takes all the caller's time.
	//
	// A body that has been handed to the caller is never cut off by it: what bounds
	// the reading is the request's context, or the Timeout of [http.Client].
	//
	// The ResponseHeaderTimeout of [http.Transport] also ends an attempt, with an
	// error that is retried, but begins only when the request has been written.
	AttemptTimeout time.Duration

	// IsFailure reports whether a response is a failure: one that the breaker
	// counts, and that the retry policy is asked about, as a [*StatusError].
	// Default: [HTTPFailure] of its status, that is 5xx and 429. It must not
	// touch the body.
	IsFailure func(*http.Response) bool

	// IsIdempotent reports whether a request may be sent twice. Default
	// [IsIdempotent]. Where it says no, a request for which no connection could be
	// made is repeated all the same.
	IsIdempotent func(*http.Request) bool
}

// Transport is an [http.RoundTripper] that puts a limiter, a breaker and a retry
// policy around another one.
//
// Each attempt waits for a permit, asks the breaker, and only then goes out; a
// breaker that is open refuses before any wait. Attempts are repeated when they
// fail with an error or a response that the policy calls transient, and only if
// the request's body, if any, can be had again from GetBody, and it is idempotent, or
// no connection was made for it: what never left may be sent, whatever its method.
// Bodies are never read into memory. A response that is not returned is read to
// its end, within 64 KiB and 100 ms, so that its connection can serve the next
// attempt, and closed. For that its Close may be called during a Read, which
// bodies of net/http allow.
//
// When no further attempt follows, the caller gets what the last one yielded: a
// response, whatever its status, with its body unread; or an error. If the
// context ends or the breaker opens while a retry waits, the last response has
// been given up and the result is a [*RetryError] that holds its status.
//
// The caller's request is not modified: each attempt sends a copy of its own, so
// that what a base adds to it, such as a header, is not there in the next. Its body
// is closed exactly once, also when the request is never sent. As with net/http,
// the caller must close the response's body; one that is neither closed nor read
// to its end keeps its limiter permit.
//
// A base that breaks the rules of [http.RoundTripper] does no harm: neither
// response nor error is an error; of both, the response is closed and the error
// counts; a response without a Body gets [http.NoBody], unless its ContentLength
// promises one, which is an error. A panic in the base goes on to the caller, and
// all that the attempt held is released.
//
// A Transport is safe for concurrent use by multiple goroutines and starts no
// goroutine; timers end attempts, and the reading of a response that is given up.
type Transport struct {
	base         http.RoundTripper
	limiter      *SemaphoreLimiter
	breaker      *CircuitBreaker
	retry        *RetryPolicy
	timeout      time.Duration // of an attempt; 0 = none
	isFailure    func(*http.Response) bool
	isIdempotent func(*http.Request) bool
}

// NewTransport returns a Transport. Every configuration is valid.
func NewTransport(cfg TransportConfig) *Transport {
	t := &Transport{
		base:         cfg.Base,
		limiter:      cfg.Limiter,
		breaker:      cfg.Breaker,
		retry:        cfg.Retry,
		timeout:      max(0, cfg.AttemptTimeout),
		isFailure:    cfg.IsFailure,
		isIdempotent: cfg.IsIdempotent,
	}
	if cfg.AttemptTimeout == 0 && cfg.Retry != nil {
		t.timeout = cfg.Retry.cfg.AttemptTimeout
	}
	if t.base == nil {
		t.base = transportBase(cfg.Limiter)
	}
	if t.isFailure == nil {
		t.isFailure = func(resp *http.Response) bool { return HTTPFailure(resp.StatusCode) }
	}
	if t.isIdempotent == nil {
		t.isIdempotent = IsIdempotent
	}
	return t
}

// transportSilence is how long an HTTP/2 connection may be silent before it is asked.
const transportSilence = 15 * time.Second

func transportBase(limiter *SemaphoreLimiter) http.RoundTripper {
	shared, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	private := shared.Clone()
	if limiter != nil && private.MaxIdleConns > 0 {
		private.MaxIdleConns = max(private.MaxIdleConns, limiter.Metrics().MaxConcurrent)
	}
	private.MaxIdleConnsPerHost = max(private.MaxIdleConns, 100)
	if private.HTTP2 == nil {
		private.HTTP2 = new(http.HTTP2Config)
	}
	private.HTTP2.SendPingTimeout = cmp.Or(private.HTTP2.SendPingTimeout, transportSilence)
	return private
}

// IsIdempotent reports whether sending req twice is as good as once: its method
// is GET, HEAD, OPTIONS, TRACE, PUT or DELETE (RFC 9110 §9.2.2), or its header
// has Idempotency-Key or X-Idempotency-Key. As in net/http the key may be there
// without a value, which is not sent.
func IsIdempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	if _, ok := req.Header["Idempotency-Key"]; ok {
		return true
	}
	_, ok := req.Header["X-Idempotency-Key"]
	return ok
}

// CloseIdleConnections closes the idle connections of the base, if it can.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	run := retryRun{policy: t.retry}
	if t.retry == nil || !transportReplayable(req) {
		resp, err := t.attempt(req, req.Body, &run)
		if resp != nil {
			return resp, nil
		}
		return nil, err
	}
	defer run.end()
	ctx := req.Context()
	if err := t.retry.admit(ctx); err != nil {
		transportCloseBody(req.Body)
		return nil, err
	}
	repeatable := t.isIdempotent(req)
	for body := req.Body; ; {
		resp, err := t.attempt(req, body, &run)
		if err == nil {
			run.succeeded = true
			return resp, nil
		}
		if !repeatable && !transportUnsent(err) {
			if resp != nil {
				return resp, nil
			}
			return nil, err
		}
		delay, err := run.next(ctx, err)
		if err != nil {
			if resp != nil {
				return resp, nil
			}
			return nil, err
		}
		if resp != nil {
			transportDiscard(resp)
		}
		if err := run.wait(ctx, delay); err != nil {
			return nil, err
		}
		if body, err = transportBodyAgain(req); err != nil {
			return nil, run.giveUp(err)
		}
	}
}

// attempt sends req with body once. It returns a response and nil; a response and
// a *StatusError when that counts as a failure; or an error alone.
func (t *Transport) attempt(req *http.Request, body io.ReadCloser, run *retryRun) (resp *http.Response, err error) {
	ctx := req.Context()
	sent := false
	defer func() {
		if !sent { // the base closes what it is given; the rest is ours to close
			transportCloseBody(body)
		}
	}()
	if err := t.refusal(); err != nil {
		return nil, err
	}
	if t.limiter != nil {
		if err := t.limiter.Acquire(ctx); err != nil {
			return nil, err
		}
	}
	clock := startAttempt(ctx, t.timeout)
	defer func() {
		held := transportHeld{limiter: t.limiter, clock: clock}
		if !held.until(resp) { // nil if send did not return
			held.release()
		}
	}()
	return t.send(req, body, clock, run, &sent)
}

// send asks the breaker, sends a copy of req and reports the outcome. It sets sent
// when the base takes charge of the request's body.
func (t *Transport) send(req *http.Request, body io.ReadCloser, clock attemptClock, run *retryRun, sent *bool) (resp *http.Response, err error) {
	var permit Permit
	if t.breaker != nil {
		if permit, err = t.breaker.Allow(); err != nil {
			return nil, err
		}
	}
	returned := false
	defer func() {
		handed := false
		defer func() {
			if !handed && resp != nil { // a callback panicked
				_ = resp.Body.Close()
			}
		}()
		permit.report(req.Context(), returned, err)
		handed = returned
	}()
	run.begin()
	*sent = true
	out := req.Clone(clock.ctx)
	out.Body = body
	out.Trailer = req.Trailer // its values may be set while the body is read
	resp, err = transportAnswer(t.base, out)
	if late := clock.stop(); err != nil {
		err = attemptError(clock.ctx, clock.cause, err)
	} else if late != nil {
		_ = resp.Body.Close()
		resp, err = nil, late
	}
	if resp != nil {
		if resp.Request == out {
			resp.Request = req
		}
		if t.isFailure(resp) {
			err = NewStatusError(resp)
		}
	}
	returned = true
	return resp, err
}

// transportAnswer returns what base answers: a response with a body, or an error.
func transportAnswer(base http.RoundTripper, out *http.Request) (*http.Response, error) {
	resp, err := base.RoundTrip(out)
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		return nil, err
	case resp == nil:
		return nil, fmt.Errorf("resilience: base %T returned neither a response nor an error", base)
	case resp.Body == nil && resp.ContentLength > 0 && out.Method != http.MethodHead:
		return nil, fmt.Errorf("resilience: base %T returned a response of %d bytes without a Body", base, resp.ContentLength)
	}
	own := *resp // the base may return the same one to everybody
	if own.Body == nil {
		own.Body = http.NoBody
	}
	return &own, nil
}

// refusal lets a breaker that is open refuse before the request queues for a
// permit. Whether it lets the request pass is decided with the permit in hand.
func (t *Transport) refusal() error {
	if t.breaker == nil || t.breaker.State() != StateOpen || t.breaker.RetryAfter() == 0 {
		return nil
	}
	permit, err := t.breaker.Allow()
	if err == nil {
		permit.Ignore() // it has half-opened this very moment
	}
	return err
}

func transportCloseBody(body io.ReadCloser) {
	if body != nil {
		_ = body.Close()
	}
}

// transportUnsent reports whether err says that there was no connection to send the
// request on.
func transportUnsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// transportReplayable reports whether the body of req, if any, can be had again.
func transportReplayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// transportBodyAgain returns the body of req, which is replayable, once more.
func transportBodyAgain(req *http.Request) (io.ReadCloser, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("resilience: request body can't be had again: %w", err)
	}
	return body, nil
}

// Bounds of what is read of a response that is given up.
const (
	transportDrainBytes = 64 << 10
	transportDrainTime  = 100 * time.Millisecond
)

// transportDiscard reads a response to its end, within bounds, and closes it.
func transportDiscard(resp *http.Response) {
	body := resp.Body
	if resp.ContentLength > transportDrainBytes {
		_ = body.Close()
		return
	}
	// The function ends with Close, which also ends a Read that hangs.
	timer := time.AfterFunc(transportDrainTime, func() { _ = body.Close() })
	_, _ = io.CopyN(io.Discard, body, transportDrainBytes)
	if timer.Stop() {
		_ = body.Close()
	}
}
