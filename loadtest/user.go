package loadtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"time"

	"example.com/brunt/loadtest/internal/httpreq"
)

// User is one simulated user that walks through a [Scenario]. It is for the goroutine
// that runs the scenario, until that returns: Do and Pause fail afterwards, and during
// another Do or Pause, as in a Check.
type User struct {
	// Jar keeps the user's cookies; nil means none. See [User.KeepCookies].
	Jar http.CookieJar
	// MaxRedirects is how many redirects a request of the user's follows, as http.Client
	// does; with one more, Do fails. Each hop is counted as a request of the same name;
	// the last one alone is held to Expect and Check. 0 means that a 3xx response is
	// returned like any other.
	MaxRedirects int

	busy     chan struct{} // holds a value during Do and Pause; no mutex, so that a bubble's clock goes on
	worker   *worker       // nil once the scenario has returned
	ctx      context.Context
	number   int64
	scenario string        // its name
	due      time.Duration // when the next request is, in an open loop; -1 when it begins
	requests int64
	random   *rand.Rand
	body     []byte // of the latest response
	timer    *time.Timer
}

// errUserLeft is returned by the methods of a User whose scenario has returned.
var errUserLeft = errors.New("loadtest: the user's scenario has returned")

// errUserBusy is returned by the methods of a User during another of its Do or Pause.
var errUserBusy = errors.New("loadtest: a user does one thing at a time: another Do or Pause of it has not returned; use it from the scenario's own goroutine alone, and not in a Check or a Func")

// Number returns which user of the source this is, from 0.
func (u *User) Number() int64 { return u.number }

// Rand returns the user's random numbers. They depend on its number alone, so that a run
// repeats.
func (u *User) Rand() *rand.Rand {
	if u.random == nil {
		u.random = rand.New(rand.NewPCG(0, uint64(u.number)))
	}
	return u.random
}

// KeepCookies gives the user a cookie jar of its own, which it keeps until its scenario
// returns.
func (u *User) KeepCookies() {
	u.Jar, _ = cookiejar.New(nil) // without options there is no error
}

// Do sends req and returns its response with header and body, which stay valid until the
// next Do. The result counts it under its name, as if the engine had sent it: the error is
// what is counted, such as that of a 4xx status, a Check or a timeout, and what came is
// returned beside it. A breaker's refusal matches [resilience.ErrOpen]. When the run has
// been halted, nothing is sent or counted, and the error is why.
//
// In an open loop the first request was due when the user was, and one after a Pause when
// that ends; any other when Do is called. req is not kept: it may be changed and sent again.
func (u *User) Do(req *Request) (Response, error) {
	select {
	case u.busy <- struct{}{}:
	default:
		return Response{}, errUserBusy
	}
	orderly := false
	defer func() {
		<-u.busy
		if orderly {
			return
		}
		// Even a scenario that recovers cannot go on: what was in hand is not counted.
		value := recover()
		u.worker.run.recordPanic(value)
		if value != nil {
			panic(value)
		}
	}()
	resp, err := u.do(req)
	orderly = true
	return resp, err
}

func (u *User) do(req *Request) (Response, error) {
	switch {
	case req == nil:
		return Response{}, fmt.Errorf("%w: nil", ErrInvalidRequest)
	case req.Scenario != nil:
		return Response{}, fmt.Errorf("%w: a scenario within a scenario: call it as a function", ErrInvalidRequest)
	case (u.Jar != nil || u.MaxRedirects > 0) && !req.local():
		return u.browse(req)
	}
	return u.send(req, false)
}

// send sends req, whose response may be a redirect on the way if it is a hop.
func (u *User) send(req *Request, hop bool) (Response, error) {
	if err := u.over(); err != nil {
		return Response{}, err
	}
	w := u.worker
	if err := w.ensureSession(); err != nil {
		return Response{}, err
	}
	now := w.run.now()
	w.lag = 0
	if u.due >= 0 {
		w.lag, u.due = max(now-u.due, 0), -1
	}
	x := w.extra
	x.user, x.hop, x.as = u, hop, w.run.sent.known(req)
	var out outcome
	w.exchange(item{req: req, number: u.number, endpoint: w.run.names.of(req)}, now, &out)
	x.user, x.hop, x.as = nil, false, nil
	if out.resp.Body != nil {
		u.body = append(u.body[:0], out.resp.Body...) // the session may serve others before the next Do
		out.resp.Body = u.body
	}
	return out.resp, out.err
}

// over returns why the user can do nothing any more, or nil.
func (u *User) over() error {
	switch {
	case u.worker == nil:
		return errUserLeft
	case u.worker.run.stopped() || u.ctx.Err() != nil:
		return context.Cause(u.ctx)
	}
	return nil
}

// Pause waits for d, which is think time: in no latency. Meanwhile the user holds no
// connection. It returns early, with an error, when the run is halted.
func (u *User) Pause(d time.Duration) error {
	select {
	case u.busy <- struct{}{}:
	default:
		return errUserBusy
	}
	defer func() { <-u.busy }()
	if err := u.over(); err != nil || d <= 0 {
		return err
	}
	w := u.worker
	until := w.run.now() + d
	w.releaseSession()
	if u.timer == nil {
		u.timer = time.NewTimer(d)
	} else {
		u.timer.Reset(d)
	}
	select {
	case <-u.timer.C:
	case <-u.ctx.Done():
	}
	if err := u.over(); err != nil {
		u.timer.Stop()
		return err
	}
	if w.run.dispatcher != nil {
		u.due = until
	}
	return nil
}

// browse sends req as http.Client does for its jar and its redirects.
func (u *User) browse(req *Request) (Response, error) {
	hr, err := newHTTPRequest(u.ctx, req)
	if err != nil {
		return u.send(req, false) // which says so, and is counted
	}
	if len(req.Body) > 0 {
		hr.Body, hr.ContentLength = io.NopCloser(bytes.NewReader(req.Body)), int64(len(req.Body))
		hr.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Body)), nil }
	}
	hops := &userHops{user: u, req: req}
	c := http.Client{Transport: hops, Jar: u.Jar, CheckRedirect: redirectLimit(u.MaxRedirects).check}
	resp, err := c.Do(hr)
	if hops.err == nil && err != nil { // a redirect that is not followed
		hops.err = httpreq.HideCredentials(errors.Unwrap(err))
	}
	if resp != nil {
		resp.Body.Close()
	}
	return hops.resp, hops.err
}

// userHops sends a request of a user's and those to which it is redirected.
type userHops struct {
	user *User
	req  *Request
	sent int
	resp Response // the latest
	err  error
}

func (h *userHops) RoundTrip(hr *http.Request) (*http.Response, error) {
	req := *h.req
	req.Header = hr.Header
	if hr.Host != hr.URL.Host {
		req.Header = req.Header.Clone()
		req.Header["Host"] = []string{hr.Host}
	}
	if h.sent > 0 {
		req.Method, req.URL, req.Body = hr.Method, hr.URL.String(), nil
	}
	if hr.Body != nil {
		req.Body = h.req.Body
		hr.Body.Close()
	}
	h.sent++
	h.resp, h.err = h.user.send(&req, h.user.MaxRedirects > 0)
	if h.err != nil && h.resp.StatusCode == 0 {
		return nil, h.err
	}
	return &http.Response{
		StatusCode: h.resp.StatusCode, Header: h.resp.Header, Request: hr, Body: http.NoBody, Proto: cmp.Or(h.resp.Proto, "HTTP/1.1"),
	}, nil
}
