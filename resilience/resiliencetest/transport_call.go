package resiliencetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// opened is counted until it is closed.
type opened struct {
	count  *atomic.Int64
	closed atomic.Bool
}

func (o *opened) close() {
	if o.closed.CompareAndSwap(false, true) {
		o.count.Add(-1)
	}
}

// sent is the body of a request, which whoever sends it must close.
type sent struct {
	io.Reader
	opened
}

func newBody(count *atomic.Int64) io.ReadCloser {
	count.Add(1)
	return &sent{strings.NewReader(upload), opened{count: count}}
}

func (s *sent) Close() error {
	s.close()
	return nil
}

// seenConn is a connection of the client.
type seenConn struct {
	net.Conn
	opened
}

func newConn(c net.Conn, count *atomic.Int64) net.Conn {
	count.Add(1)
	return &seenConn{c, opened{count: count}}
}

func (c *seenConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// call is one call and what became of it.
type call struct {
	id     string
	method string
	path   string
	expect bool
	cancel func(ctx context.Context) // returns when the caller cancels; nil: never

	began, canceled, ended time.Duration // since the world began; canceled 0 is not
	returned               bool
	status                 int // of the answer, 0 if it failed before its header was in hand
	err                    error
	right                  bool // the answer is what the server meant
	record
}

// record is what the server and the base have seen of a call.
type record struct {
	attempts          []time.Duration
	executions, wrong int // wrong: with a body that nobody sent
}

// ok reports whether the caller takes the call for one that has worked.
func (c *call) ok() bool { return c.returned && c.err == nil && c.status < 300 }

// run makes a call, and returns when it has returned or the limit has passed.
func (w *world) run(c *call) {
	// It ends with the cell, not with the call: a context may live long, and must not be
	// what tidies up behind the client.
	ctx, cancel := context.WithTimeout(context.Background(), w.cfg.deadline)
	w.tb.Cleanup(cancel)
	c.began = time.Since(w.began)
	result := make(chan call, 1)
	r := *c
	go func() { // ends when the client returns; if it never does, the cell is over anyhow
		defer func() {
			if p := recover(); p != nil {
				w.tb.c.set(Panicked, "%v", p)
			}
			r.ended = time.Since(w.began)
			result <- r
		}()
		w.send(ctx, &r)
		r.returned = true
	}()
	under, ended := context.WithCancel(ctx) // while the call is under way
	defer ended()
	var due chan struct{} // nil is never
	if wait := c.cancel; wait != nil {
		due = make(chan struct{})
		go func() { // ends soon after the call has
			defer close(due)
			wait(under)
		}()
	}
	limit := time.After(w.cfg.limit)
	for {
		select {
		case <-due:
			due, c.canceled = nil, time.Since(w.began)
			cancel()
		case r := <-result:
			r.canceled = c.canceled
			*c = r
			return
		case <-limit:
			c.ended = time.Since(w.began)
			return
		}
	}
}

// traced returns a context by which the base tells of each attempt at a call.
func (w *world) traced(ctx context.Context, id string) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) {
		w.note(id, func(r *record) { r.attempts = append(r.attempts, time.Since(w.began)) })
	}})
}

func (w *world) send(ctx context.Context, c *call) {
	req, err := http.NewRequestWithContext(w.traced(ctx, c.id), c.method, w.url+c.path, nil)
	w.tb.c.require(err == nil, "request: %v", err)
	req.Header.Set(requestID, c.id)
	req.Header.Set("Authorization", "Bearer secret")
	if c.method != http.MethodGet {
		req.Body, req.ContentLength = newBody(&w.unclosed), int64(len(upload))
		req.GetBody = func() (io.ReadCloser, error) { return newBody(&w.unclosed), nil }
	}
	if c.expect {
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		c.err = err
		return
	}
	c.status = resp.StatusCode
	got, err := io.ReadAll(resp.Body)
	c.err = errors.Join(err, resp.Body.Close())
	if err != nil {
		c.err = err // as it is
	}
	c.right = string(got) == answer
}
