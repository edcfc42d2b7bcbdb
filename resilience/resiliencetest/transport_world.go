package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/brunt/fixtures"
)

const (
	server    = "api.test"
	otherHost = "other.test"
	requestID = "X-Request-Id"
	oneWay    = 2 * time.Millisecond // between client and server
)

var (
	answer = strings.Repeat("0123456789abcdef", bodySize/16)
	upload = strings.Repeat("fedcba9876543210", uploadSize/16)
)

type wrapFunc = func(base http.RoundTripper) http.RoundTripper

// world is what a cell happens in: a network with a server that has the fault, and the
// client under test.
type world struct {
	tb     *bubbleTB
	net    *fixtures.Network
	srv    *fixtures.Server
	url    string
	base   *http.Transport
	tested http.RoundTripper
	client *http.Client
	began  time.Time
	others sync.WaitGroup // goroutines of the world's own

	mu         sync.Mutex // never held while anything waits
	attempts   map[string][]time.Duration
	executions map[string]int
	wrong      map[string]int // executions with a body that nobody sent
	unclosed   int            // bodies of requests
	leaked     bool           // Authorization has come to another host
	dials      int
	failures   int64 // of name lookups
	conns      []*seenConn
}

// bubbleTB is the TB of a cell: what goes wrong in the fixtures ends it.
type bubbleTB struct {
	testing.TB // nil: nothing else is asked for
	c          *checker

	mu       sync.Mutex
	cleanups []func()
}

func (*bubbleTB) Helper()             {}
func (*bubbleTB) Name() string        { return "matrix" }
func (*bubbleTB) Logf(string, ...any) {}

func (b *bubbleTB) Errorf(format string, args ...any) { b.c.violated(format, args...) }
func (b *bubbleTB) Fatalf(format string, args ...any) { b.c.require(false, format, args...) }

func (b *bubbleTB) Cleanup(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanups = append(b.cleanups, f)
}

func (b *bubbleTB) cleanUp() {
	b.mu.Lock()
	cleanups := b.cleanups
	b.cleanups = nil
	b.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
}

// ports tells how a server is reached by a protocol.
func ports(proto string) (scheme, port string) {
	if proto == "" {
		return "http", "80"
	}
	return "https", "443"
}

func newWorld(c *checker, proto string, wrap wrapFunc, sweep *sweep, faults ...fixtures.Fault) *world {
	w := &world{
		tb:         &bubbleTB{c: c},
		net:        fixtures.NewNetwork(fixtures.WithLink(fixtures.Link{Latency: fixtures.Constant(oneWay)})),
		began:      time.Now(),
		attempts:   map[string][]time.Duration{},
		executions: map[string]int{},
		wrong:      map[string]int{},
	}
	var opts []fixtures.ServerOption
	if proto != "" {
		opts = append(opts, fixtures.WithTLS())
	}
	scheme, port := ports(proto)
	w.srv = w.serve(net.JoinHostPort(server, port), sweep, append(opts, fixtures.WithFaults(faults...))...)
	w.url = scheme + "://" + server
	w.base = w.net.Transport()
	if proto != "" {
		w.base.TLSClientConfig = w.srv.TLSConfig()
		w.base.ForceAttemptHTTP2 = proto == "h2"
		w.url = w.srv.URL // whose address is in the certificate
	}
	dial := w.base.DialContext
	w.base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return w.dial(func() (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return sweep.dialed(c)
		})
	}
	w.tested = wrap(w.base)
	w.client = &http.Client{Transport: w.tested}
	return w
}

// serve starts a server whose every route is answer.
func (w *world) serve(addr string, sweep *sweep, opts ...fixtures.ServerOption) *fixtures.Server {
	l, err := w.net.Listen(addr)
	w.tb.c.require(err == nil, "listen: %v", err)
	route := http.HandlerFunc(w.answer)
	return fixtures.NewServer(w.tb, append(opts, fixtures.WithListener(sweep.listen(l), w.net.DialContext),
		fixtures.WithHandler("/", route), fixtures.WithHandler("/busy", route))...)
}

// traced returns a context by which the base tells of each attempt at a call.
func (w *world) traced(ctx context.Context, id string) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.attempts[id] = append(w.attempts[id], time.Since(w.began))
	}})
}

func (w *world) answer(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // nothing is executed
	}
	want := ""
	if r.Method != http.MethodGet {
		want = upload
	}
	w.mu.Lock()
	id := r.Header.Get(requestID)
	w.executions[id]++
	if string(body) != want {
		w.wrong[id]++
	}
	if r.Host == otherHost && r.Header.Get("Authorization") != "" {
		w.leaked = true
	}
	w.mu.Unlock()
	if r.URL.Path != "/stream" {
		rw.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		_, _ = io.WriteString(rw, answer)
		return
	}
	for i := range 4 {
		_, _ = io.WriteString(rw, answer[i*bodySize/4:(i+1)*bodySize/4])
		_ = http.NewResponseController(rw).Flush()
	}
}

// dial counts what dial does.
func (w *world) dial(dial func() (net.Conn, error)) (net.Conn, error) {
	w.mu.Lock()
	w.dials++
	w.mu.Unlock()
	c, err := dial()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if isDNSError(err) {
			w.failures++
		}
		return nil, err
	}
	seen := &seenConn{Conn: c}
	w.conns = append(w.conns, seen)
	return seen, nil
}

// seenConn is a connection of the client.
type seenConn struct {
	net.Conn
	mu     sync.Mutex
	closed bool
}

func (c *seenConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *seenConn) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed
}

// What faults of names and load are made of.

func (w *world) name(r fixtures.Record) { w.net.SetName(server, r) }
func (w *world) resolve()               { w.name(fixtures.Record{Addrs: []string{server}}) }

func (w *world) dialErrors() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failures
}

func (w *world) hits() int64 { return w.srv.Hits() }

func (w *world) dialed() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(w.dials)
}

func (w *world) addOther() { w.serve(net.JoinHostPort(otherHost, "80"), nil) }

// occupy sends a request that keeps a worker busy.
func (w *world) occupy() {
	busy := &http.Client{Transport: w.net.Host("occupant").Transport()}
	w.others.Go(func() { // ends with its request, at the latest when the server closes
		resp, err := busy.Get(w.url + "/busy") //nolint:noctx // the server ends it
		if err == nil {
			_ = resp.Body.Close()
		}
		busy.CloseIdleConnections()
	})
	time.Sleep(100 * time.Millisecond)
}

// sent is the body of a request, which whoever sends it must close.
type sent struct {
	io.Reader
	w    *world
	once sync.Once
}

func (w *world) body() io.ReadCloser {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unclosed++
	return &sent{Reader: strings.NewReader(upload), w: w}
}

func (s *sent) Close() error {
	s.once.Do(func() {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		s.w.unclosed--
	})
	return nil
}

// call is one call and what became of it.
type call struct {
	id       string
	method   string
	path     string
	expect   bool
	deadline time.Duration
	limit    time.Duration
	cancel   func(ctx context.Context) // returns when the caller cancels; nil: never

	began, canceled, ended time.Duration // since the world began; canceled 0 is not
	returned               bool
	status                 int
	err                    error
	answered               bool // the header of the answer was in hand when it failed
	right                  bool // the answer is what the server meant
	attempts               []time.Duration
	executions, wrong      int
}

// ok reports whether the caller takes the call for one that has worked.
func (c *call) ok() bool { return c.returned && c.err == nil && c.status < 300 }

// run makes a call, and returns when it has returned or the limit has passed.
func (w *world) run(c *call) {
	// It ends with the cell, not with the call: a context may live long, and must not be
	// what tidies up behind the client.
	ctx, cancel := context.WithTimeout(context.Background(), c.deadline)
	w.tb.Cleanup(cancel)
	c.began = time.Since(w.began)
	result := make(chan call, 1)
	r := *c
	w.others.Go(func() { // ends when the client returns; if it never does, the cell is over anyhow
		defer func() {
			if p := recover(); p != nil {
				w.tb.c.set(Panicked, "%v", p)
			}
			r.ended = time.Since(w.began)
			result <- r
		}()
		w.send(ctx, &r)
		r.returned = true
	})
	canceled := make(chan struct{})
	under, ended := context.WithCancel(ctx) // while the call is under way
	defer ended()
	if c.cancel != nil {
		w.others.Go(func() { // ends when the call has, or the caller cancels
			defer close(canceled)
			if c.cancel(under); under.Err() == nil {
				c.canceled = time.Since(w.began)
				cancel()
			}
		})
	} else {
		close(canceled)
	}
	timer := time.NewTimer(c.limit)
	defer timer.Stop()
	select {
	case r := <-result:
		ended()
		<-canceled
		r.canceled = c.canceled
		*c = r
	case <-timer.C:
		ended()
		<-canceled
		c.ended = time.Since(w.began)
	}
}

func (w *world) send(ctx context.Context, c *call) {
	req, err := http.NewRequestWithContext(w.traced(ctx, c.id), c.method, w.url+c.path, nil)
	w.tb.c.require(err == nil, "request: %v", err)
	req.Header.Set(requestID, c.id)
	req.Header.Set("Authorization", "Bearer secret")
	if c.method != http.MethodGet {
		req.Body, req.ContentLength = w.body(), int64(len(upload))
		req.GetBody = func() (io.ReadCloser, error) { return w.body(), nil }
	}
	if c.expect {
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		c.err = err
		return
	}
	c.status, c.answered = resp.StatusCode, true
	got, err := io.ReadAll(resp.Body)
	c.err = errors.Join(err, resp.Body.Close())
	if err != nil {
		c.err = err // as it is
	}
	c.right = string(got) == answer
}

// account fills in what the server and the base saw of calls.
func (w *world) account(calls []*call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range calls {
		c.attempts, c.executions, c.wrong = w.attempts[c.id], w.executions[c.id], w.wrong[c.id]
	}
}

// leave closes what is idle and then the server, and returns how many connections were open
// in between, and what goroutines are there in the end that were not before.
func (w *world) leave(before map[string]string) (open int, left []string) {
	w.client.CloseIdleConnections()
	if closer, ok := w.tested.(io.Closer); ok {
		_ = closer.Close()
	}
	w.base.CloseIdleConnections()
	time.Sleep(time.Second)
	w.base.CloseIdleConnections() // those that were busy a moment ago
	time.Sleep(time.Second)
	w.mu.Lock()
	for _, c := range w.conns {
		if c.open() {
			open++
		}
	}
	w.mu.Unlock()
	w.tb.cleanUp()
	for range 10 {
		time.Sleep(time.Second)
		left = nil
		for id, stack := range bubbleGoroutines() {
			if _, was := before[id]; !was {
				left = append(left, stack)
			}
		}
		if left == nil {
			break
		}
	}
	return open, left
}

var goroutineHeader = regexp.MustCompile(`^goroutine (\d+) .*synctest bubble (\d+)`)

// bubbleGoroutines returns the goroutines of the caller's bubble by their ids, each as the
// line that says who started it.
func bubbleGoroutines() map[string]string {
	buf := make([]byte, 64<<10)
	own := goroutineHeader.FindSubmatch(buf[:runtime.Stack(buf, false)])
	if own == nil {
		return nil
	}
	bubble := string(own[2])
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 64<<20 {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	out := map[string]string{}
	for g := range strings.SplitSeq(string(buf[:n]), "\n\n") {
		head := goroutineHeader.FindStringSubmatch(g)
		if head == nil || head[2] != bubble {
			continue
		}
		_, creator, _ := strings.Cut(g, "created by ")
		creator, _, _ = strings.Cut(creator, " in goroutine")
		out[head[1]] = creator
	}
	return out
}
