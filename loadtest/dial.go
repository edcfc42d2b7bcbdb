package loadtest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// connections counts the connections of one client and can close them all, so
// that nothing outlives it: transports forget HTTP/2 connections and dials that
// finish late.
type connections struct {
	opened atomic.Int64
	onOpen func(context.Context) // called for each, with the context under which it was dialed

	ctx    context.Context // ends with closeAll
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

func newConnections(opened func(context.Context)) *connections {
	c := &connections{onOpen: opened, open: make(map[*trackedConn]struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// closed says whether closeAll was called.
func (c *connections) closed() bool { return c.ctx.Err() != nil }

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// wrap makes a dialer of which every connection is tracked.
func (c *connections) wrap(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			if c.closed() {
				err = ErrClosed
			}
			return nil, err
		}
		t, err := c.track(conn)
		if err != nil {
			return nil, err
		}
		c.onOpen(ctx)
		return t, nil
	}
}

func (c *connections) track(conn net.Conn) (*trackedConn, error) {
	t := &trackedConn{Conn: conn, all: c}
	c.mu.Lock()
	closed := c.closed()
	if !closed {
		c.open[t] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		conn.Close()
		return nil, ErrClosed
	}
	c.opened.Add(1)
	return t, nil
}

// closeAll closes every connection that its user has left open, and refuses new
// ones. It returns how many it closed.
func (c *connections) closeAll() int {
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

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// trackedConn is known to its client for as long as it is open.
type trackedConn struct {
	net.Conn
	all  *connections
	once sync.Once
}

func (t *trackedConn) Close() error {
	err := t.Conn.Close()
	t.once.Do(func() {
		t.all.mu.Lock()
		delete(t.all.open, t)
		t.all.mu.Unlock()
	})
	return err
}
