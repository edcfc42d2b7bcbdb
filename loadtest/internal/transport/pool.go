package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/brunt/loadtest/internal/http1"
)

// Pool is a transport with a limit on its connections. http.Transport lets a
// request that finds no free stream of HTTP/2 dial, and when it may not, wait for a
// connection although streams come free all the time; and its limit for one host
// does not hold for HTTP/2. Here a request waits for what comes first: a
// connection, a stream of one, or leave to open one. Who came first is served first,
// whatever host it is for, so that no host starves another. It is safe for concurrent
// use by multiple goroutines.
type Pool struct {
	transport *http.Transport // opens connections, and has none of its own
	limits    Limits
	closed    <-chan struct{} // by conns.CloseAll
	errClosed error
	once      bool // connections carry one request each
	expiry    time.Duration
	proxy     func(*http.Request) (*url.URL, error)

	broken atomic.Bool // a connection has become unusable, which may be later than it is closed
	dirty  atomic.Bool // something has changed since dispatch began

	mu      sync.Mutex
	hosts   map[hostKey]*hostConns
	open    int    // connections that are open, being opened or being closed
	evicted int    // of these, closed to make room
	turn    uint64 // of the request that comes next
}

// hostKey is what connections of one kind lead to.
type hostKey struct {
	scheme, addr string
	proxy        string
}

// hostConns are the connections to one host. Guarded by the pool's mu.
type hostConns struct {
	conns   []*poolConn
	opening int
	open    int  // connections that are open, being opened or being closed, as the pool's
	shared  bool // its connections carry several requests at once
	streams int  // how many one of them has turned out to carry; 0: not known
	waiting []*poolWaiter
}

// poolWaiter is a request that waits for a connection. One that is granted none may
// open one.
type poolWaiter struct {
	turn    uint64
	granted chan struct{} // closed when it is
	conn    *poolConn     // that it may use
}

// poolConn is a connection of a Pool. It is not reserved for a request
// with Reserve: reservations beyond what the server then turns out to allow keep
// each other waiting for ever.
type poolConn struct {
	*http.ClientConn
	host   *hostConns
	shared bool // it carries several requests at once
	idle   *time.Timer

	// Guarded by the pool's mu.
	busy    int  // requests that use it
	settled bool // something has come back, and so the server's settings before it
}

// Limits are those of a [Pool]; 0 stands for none.
type Limits struct {
	Total   int // connections in all
	PerHost int // connections to one host
}

// NewPool returns a pool of the connections that t, which it takes over, opens with its
// DialContext. They belong to conns: after its CloseAll, who waits for one fails with
// errClosed.
func NewPool(t *http.Transport, limits Limits, conns *http1.Connections, errClosed error) *Pool {
	p := &Pool{
		transport: t, limits: limits, closed: conns.Done(), errClosed: errClosed,
		once: t.DisableKeepAlives, expiry: t.IdleConnTimeout, proxy: t.Proxy, hosts: make(map[hostKey]*hostConns),
	}
	t.DialContext = conns.Wrap(p.count(t.DialContext))
	t.Proxy = func(r *http.Request) (*url.URL, error) { return opening(r.Context()).proxy, nil }
	return p
}

// RoundTrip sends r over the first connection that is to be had. It sends it once
// more, as http.Transport does, if the server cannot have acted upon it. The context of
// r must have a trace with GetConn and GotConn, as a [Trace] makes it, and its body needs
// no closing.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	host, proxy, err := p.host(r)
	if err != nil {
		return nil, err
	}
	// A request that fails over a ClientConn leaves its context behind in the one
	// that it was given.
	ctx, cancel := context.WithCancel(r.Context())
	r = r.WithContext(ctx)
	for try := 0; ; try++ {
		c, used, err := p.get(ctx, host, proxy)
		if err != nil {
			cancel()
			return nil, err
		}
		resp, err := c.RoundTrip(r)
		if err == nil {
			done := sync.OnceFunc(func() { cancel(); p.release(c, true) })
			if resp.Body == http.NoBody {
				done()
			} else {
				resp.Body = &poolBody{resp.Body, done}
			}
			return resp, nil
		}
		p.release(c, unprocessed(err))
		again := unprocessed(err) || used && brokeWhileIdle(r, err)
		if !again || try == maxResends || ctx.Err() != nil || !rewind(r) {
			cancel()
			return nil, err
		}
	}
}

// poolBody is a body with which the use of a connection ends.
type poolBody struct {
	io.ReadCloser
	done func()
}

func (b *poolBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

// maxResends is how often a request is sent again; http.Transport has the same for
// HTTP/2.
const maxResends = 6

// unprocessed knows the errors of HTTP/2 that say that the server has not acted
// upon a request. net/http exports none of them.
func unprocessed(err error) bool {
	text := err.Error()
	return strings.Contains(text, "client conn not usable") || strings.Contains(text, "graceful shutdown GOAWAY") ||
		strings.Contains(text, "REFUSED_STREAM") || strings.Contains(text, "PROTOCOL_ERROR; received from peer") // golang/go#47635
}

// brokeWhileIdle knows the errors of HTTP/1.1 with which r, sent over a connection
// that was used before, may be sent again.
func brokeWhileIdle(r *http.Request, err error) bool {
	if fmt.Sprintf("%T", err) == "http.nothingWrittenError" {
		return true
	}
	text := err.Error()
	return http1.Idempotent(r) && (strings.Contains(text, "failed to read from server") || strings.Contains(text, "server closed idle connection"))
}

// rewind makes the body of r anew, and says whether it could.
func rewind(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	if r.GetBody == nil {
		return false
	}
	var err error
	r.Body, err = r.GetBody()
	return err == nil
}

// host is where r goes, and by which proxy.
func (p *Pool) host(r *http.Request) (hostKey, *url.URL, error) {
	h := hostKey{scheme: r.URL.Scheme, addr: http1.Authority(r.URL)}
	if !http1.IsASCII(h.addr) {
		h.addr = asciiAuthority(r.URL)
	}
	switch {
	case h.scheme != "http" && h.scheme != "https":
		return h, nil, fmt.Errorf("transport: unsupported protocol scheme %q", h.scheme)
	case p.proxy == nil:
		return h, nil, nil
	}
	proxy, err := p.proxy(r)
	if proxy != nil {
		h.proxy = proxy.String()
	}
	return h, proxy, err
}

// asciiAuthority returns what http.Transport dials for u, the name of whose host it
// translates: it has one asked to dial, in vain.
func asciiAuthority(u *url.URL) string {
	addr := http1.Authority(u)
	probe := &http.Transport{DialContext: func(_ context.Context, _, to string) (net.Conn, error) {
		addr = to
		return nil, net.ErrClosed
	}}
	resp, err := probe.RoundTrip(&http.Request{URL: &url.URL{Scheme: "http", Host: addr}, Header: http.Header{}})
	if err == nil {
		resp.Body.Close() // which cannot be
	}
	return addr
}

// get returns a connection on which there is room for a request, and whether it
// has carried one before.
func (p *Pool) get(ctx context.Context, to hostKey, proxy *url.URL) (*poolConn, bool, error) {
	trace := httptrace.ContextClientTrace(ctx)
	trace.GetConn(to.addr)
	w := &poolWaiter{granted: make(chan struct{})}
	p.mu.Lock()
	h := p.hosts[to]
	if h == nil {
		h = &hostConns{}
		p.hosts[to] = h
	}
	w.turn = p.turn
	p.turn++
	h.waiting = append(h.waiting, w)
	p.unlock()

	var err error
	select {
	case <-w.granted:
	case <-p.closed:
		err = p.errClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil && ctx.Err() != nil { // a canceled context wins
		err = context.Cause(ctx)
	}
	if err != nil {
		p.forgo(h, w)
		return nil, false, err
	}
	c, used := w.conn, true
	if c == nil {
		if c, err = p.dial(ctx, h, to, proxy); err != nil {
			return nil, false, err
		}
		used = false
	}
	if c.shared {
		// The stream may still have to wait, if the server allows fewer than one has
		// to believe until its settings come. WroteHeaders ends that.
		trace.GetConn(to.addr)
	} else {
		trace.GotConn(httptrace.GotConnInfo{Reused: used})
	}
	return c, used, nil
}

// forgo takes back what w waits for, or has been granted.
func (p *Pool) forgo(h *hostConns, w *poolWaiter) {
	p.mu.Lock()
	defer p.unlock()
	select {
	case <-w.granted:
		if w.conn != nil {
			p.put(w.conn)
			return
		}
		h.opening--
		p.vacate(h)
	default:
		h.waiting = slices.DeleteFunc(h.waiting, func(other *poolWaiter) bool { return other == w })
	}
}

// openingKey is the key under which the context of a dial holds an *openingConn.
type openingKey struct{}

type openingConn struct {
	proxy  *url.URL
	host   *hostConns
	opened bool // the connection counts until it is closed
}

func opening(ctx context.Context) *openingConn {
	o, _ := ctx.Value(openingKey{}).(*openingConn)
	return o
}

// release ends the use of c by a request, to which the server may have answered.
func (p *Pool) release(c *poolConn, answered bool) {
	p.mu.Lock()
	defer p.unlock()
	if answered && !c.settled {
		c.settled = true
		if n := c.Available() + c.InFlight(); c.shared && n > 0 {
			c.host.streams = n
		}
	}
	p.put(c)
}

// put is release for who holds mu.
func (p *Pool) put(c *poolConn) {
	if c.busy--; c.busy == 0 {
		c.idle.Reset(p.expiry)
	}
}

// dial opens a connection for a request that was granted leave to.
func (p *Pool) dial(ctx context.Context, h *hostConns, to hostKey, proxy *url.URL) (*poolConn, error) {
	o := &openingConn{proxy: proxy, host: h}
	cc, err := p.transport.NewClientConn(context.WithValue(ctx, openingKey{}, o), to.scheme, to.addr)
	p.mu.Lock()
	defer p.unlock()
	h.opening--
	if err != nil {
		if !o.opened {
			p.vacate(h)
		}
		p.prune()
		return nil, err
	}
	c := &poolConn{ClientConn: cc, host: h, shared: cc.Available() > 1, busy: 1}
	c.idle = time.AfterFunc(p.expiry, func() { p.expire(c) })
	c.idle.Stop()
	h.shared = h.shared || c.shared
	h.conns = append(h.conns, c)
	cc.SetStateHook(func(cc *http.ClientConn) {
		if cc.Err() != nil {
			p.broken.Store(true)
		}
		p.changed()
	})
	return c, nil
}

// count has each connection of dial count until it is closed.
func (p *Pool) count(dial http1.DialFunc) http1.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		o := opening(ctx)
		o.opened = true
		// Ends at once: to close, net/http may hold a lock that who holds mu waits for.
		return http1.OnClose(conn, func() { go p.connClosed(o.host) }), nil
	}
}

// connClosed makes the room that a connection to h has had.
func (p *Pool) connClosed(h *hostConns) {
	p.mu.Lock()
	defer p.unlock()
	p.evicted = max(0, p.evicted-1)
	p.vacate(h)
	p.prune()
}

// vacate takes back that a connection to h may be open. The caller holds mu.
func (p *Pool) vacate(h *hostConns) {
	h.open--
	p.open--
}

// changed serves those who wait, after a change. If somebody else holds mu, he does
// when he unlocks it; he may be who calls.
func (p *Pool) changed() {
	p.dirty.Store(true)
	if p.mu.TryLock() {
		p.unlock()
	}
}

// unlock serves those who wait, and then unlocks mu.
func (p *Pool) unlock() {
	for {
		p.dirty.Store(false)
		p.dispatch()
		p.mu.Unlock()
		if !p.dirty.Load() || !p.mu.TryLock() {
			return
		}
	}
}

// dispatch grants what there is to those who wait, in their order. Who waits for a
// limit of his host lets others pass, who waits for the limit of all does not.
func (p *Pool) dispatch() {
	if p.broken.Swap(false) {
		p.prune()
	}
	var full []*hostConns
	for {
		var next *hostConns
		for _, h := range p.hosts {
			if len(h.waiting) > 0 && (next == nil || h.waiting[0].turn < next.waiting[0].turn) && !slices.Contains(full, h) {
				next = h
			}
		}
		if next == nil {
			return
		}
		w := next.waiting[0]
		switch w.conn = next.take(p.once); {
		case w.conn != nil:
		case p.limits.PerHost > 0 && next.open >= p.limits.PerHost,
			next.shared && next.opening > 0 && !p.once: // one connection more is room for many
			full = append(full, next)
			continue
		case p.limits.Total > 0 && p.open >= p.limits.Total:
			p.evict()
			return
		default:
			next.opening++
			next.open++
			p.open++
		}
		next.waiting[0] = nil
		next.waiting = next.waiting[1:]
		close(w.granted)
	}
}

// take returns a connection with room for one more request; nil if there is none.
// Those opened first are the last to be idle, the others can expire.
func (h *hostConns) take(once bool) *poolConn {
	for _, c := range h.conns {
		if c.room() && !once {
			c.busy++
			c.idle.Stop()
			return c
		}
	}
	return nil
}

// room says whether one more request finds room on c. Of those that use it some
// may not have got to it yet.
func (c *poolConn) room() bool {
	switch {
	case !c.shared:
		return c.busy == 0 && c.Available() > 0
	case !c.settled && c.host.streams > 0 && c.busy >= c.host.streams:
		return false // its settings will say so
	}
	return c.Available() > max(0, c.busy-c.InFlight())
}

// prune forgets connections that are closed, and hosts without any.
func (p *Pool) prune() {
	for key, h := range p.hosts {
		h.conns = slices.DeleteFunc(h.conns, func(c *poolConn) bool { return c.Err() != nil })
		if len(h.conns)+len(h.waiting)+h.open == 0 {
			delete(p.hosts, key)
		}
	}
}

// evict closes a connection that is idle, so that another can be opened.
func (p *Pool) evict() {
	if p.evicted > 0 {
		return // one is on its way
	}
	for _, h := range p.hosts {
		for _, c := range h.conns {
			if c.busy == 0 {
				p.evicted++
				c.shut()
				return
			}
		}
	}
}

// shut takes c out of the pool and closes it. A goodbye of TLS may take time. The
// caller holds the pool's mu.
func (c *poolConn) shut() {
	c.host.conns = slices.DeleteFunc(c.host.conns, func(other *poolConn) bool { return other == c })
	c.idle.Stop()
	go c.Close() // ends when the peer has taken the goodbye, or some seconds later
}

// expire closes a connection that has been idle for too long.
func (p *Pool) expire(c *poolConn) {
	p.mu.Lock()
	defer p.unlock()
	if c.busy == 0 {
		c.shut()
	}
}

// CloseIdleConnections closes those that carry no request.
func (p *Pool) CloseIdleConnections() {
	p.mu.Lock()
	defer p.unlock()
	for _, h := range p.hosts {
		for _, c := range slices.Clone(h.conns) {
			if c.busy == 0 {
				c.shut()
			}
		}
	}
}
