package http1

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// Connections counts the connections of one client and can close them all, so
// that nothing outlives it: transports forget HTTP/2 connections and dials that
// finish late. It is safe for concurrent use by multiple goroutines.
type Connections struct {
	opened    atomic.Int64
	onOpen    func(context.Context)
	errClosed error

	ctx    context.Context // ends with CloseAll
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

// NewConnections returns a count of connections whose dials fail with errClosed after
// CloseAll. onOpen, if not nil, is called for each connection with the context under
// which it was dialed.
func NewConnections(errClosed error, onOpen func(context.Context)) *Connections {
	c := &Connections{errClosed: errClosed, onOpen: onOpen, open: make(map[*trackedConn]struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Opened returns how many connections were opened.
func (c *Connections) Opened() int64 { return c.opened.Load() }

// Open returns how many connections are open.
func (c *Connections) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// Done returns a channel that is closed by CloseAll.
func (c *Connections) Done() <-chan struct{} { return c.ctx.Done() }

// Closed reports whether CloseAll was called.
func (c *Connections) Closed() bool { return c.ctx.Err() != nil }

// DialFunc opens a connection.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Wrap returns a dialer of which every connection is tracked.
func (c *Connections) Wrap(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			if c.Closed() {
				err = c.errClosed
			}
			return nil, err
		}
		t, err := c.track(conn)
		if err != nil {
			return nil, err
		}
		if c.onOpen != nil {
			c.onOpen(ctx)
		}
		return t, nil
	}
}

func (c *Connections) track(conn net.Conn) (*trackedConn, error) {
	t := &trackedConn{Conn: conn}
	t.closed = func() {
		c.mu.Lock()
		delete(c.open, t)
		c.mu.Unlock()
	}
	c.mu.Lock()
	closed := c.Closed()
	if !closed {
		c.open[t] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		conn.Close()
		return nil, c.errClosed
	}
	c.opened.Add(1)
	return t, nil
}

// CloseAll closes every connection that its user has left open, and refuses new
// ones. It returns how many it closed.
func (c *Connections) CloseAll() int {
	c.mu.Lock()
	c.cancel()
	left := make([]*trackedConn, 0, len(c.open))
	for t := range c.open {
		left = append(left, t)
	}
	c.mu.Unlock()
	for _, t := range left {
		t.Close()
	}
	return len(left)
}

// trackedConn tells when it has first been closed.
type trackedConn struct {
	net.Conn
	closed func()
	once   sync.Once
}

// OnClose returns conn with a Close after which closed is called, once.
func OnClose(conn net.Conn, closed func()) net.Conn { return &trackedConn{Conn: conn, closed: closed} }

func (t *trackedConn) Close() error {
	err := t.Conn.Close()
	t.once.Do(t.closed)
	return err
}
