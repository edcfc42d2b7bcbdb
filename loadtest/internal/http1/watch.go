package http1

import (
	"context"
	"sync"
	"time"
)

// past is a deadline that ends all reading and writing at once.
var past = time.Unix(1, 0)

// contextWatch ends what a session does over its connection when the context of its
// requests is done. A context is watched for as long as requests come with it, not
// for each of them.
type contextWatch struct {
	stop func() bool // stops the watching of ctx

	mu sync.Mutex
	// The session's goroutine reads these two without mu: nobody else changes them.
	ctx  context.Context // nil while parked
	conn *conn           // the one in use

	aborted bool // conn's deadline has passed, as ctx is done
}

// begin watches ctx; end must have ended the watching of another.
func (w *contextWatch) begin(ctx context.Context) {
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
	// Its goroutine ends with abort; end takes it back.
	w.stop = context.AfterFunc(ctx, func() { w.abort(ctx) })
}

// end ends the watching, so that abort can no longer do anything.
func (w *contextWatch) end() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	w.mu.Lock()
	w.ctx = nil
	w.mu.Unlock()
}

// abort ends the request in flight as ctx is done.
func (w *contextWatch) abort(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx != ctx {
		return
	}
	w.aborted = true
	if w.conn != nil {
		w.conn.expire()
	}
}

// take takes the connection in use away, if there is one.
func (w *contextWatch) take() *conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conn
	w.conn = nil
	return c
}

// drop closes the connection in use, if there is one.
func (w *contextWatch) drop(orderly bool) {
	if c := w.take(); c != nil {
		c.close(orderly)
	}
}
