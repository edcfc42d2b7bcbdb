package resiliencetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	cfg    transportConfig
	tb     *bubbleTB
	net    *fixtures.Network
	srv    *fixtures.Server
	url    string
	base   *http.Transport
	client *http.Client
	began  time.Time

	mu      sync.Mutex         // never held while anything waits
	records map[string]*record // by the id of a call

	unclosed     atomic.Int64 // bodies of requests
	dials, conns atomic.Int64 // connections that were tried, and came about
	open         atomic.Int64 // of these
	failures     atomic.Int64 // of name lookups
	leaked       atomic.Bool  // Authorization has come to another host
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

// newNetwork returns a network on which an upload is under way until the server has read most
// of it. Of HTTP/2 it is its flow control that holds it up: see [fixtures.WithBuffer].
func newNetwork(proto string) *fixtures.Network {
	opts := []fixtures.NetworkOption{fixtures.WithLink(fixtures.Link{Latency: fixtures.Constant(oneWay)})}
	if proto != "h2" {
		opts = append(opts, fixtures.WithBuffer(uploadSize/2))
	}
	return fixtures.NewNetwork(opts...)
}

func newWorld(c *checker, f *transportFault, cfg transportConfig, wrap wrapFunc) *world {
	w := &world{
		cfg:     cfg,
		tb:      &bubbleTB{c: c},
		net:     newNetwork(f.proto),
		began:   time.Now(),
		records: map[string]*record{},
	}
	w.base, w.url = w.net.Transport(), "http://"+server
	if f.proto == "" {
		w.srv = w.serve(server+":80", f.sweep, fixtures.WithFaults(f.faults...))
	} else {
		w.srv = w.serve(server+":443", f.sweep, fixtures.WithFaults(f.faults...), fixtures.WithTLS())
		w.base.TLSClientConfig = w.srv.TLSConfig()
		w.base.ForceAttemptHTTP2 = f.proto == "h2"
		w.url = w.srv.URL // whose address is in the certificate
	}
	dial := w.base.DialContext
	w.base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		w.dials.Add(1)
		c, err := dial(ctx, network, addr)
		if err == nil {
			c, err = f.sweep.dialed(c)
		}
		if err != nil {
			if isDNSError(err) {
				w.failures.Add(1)
			}
			return nil, err
		}
		w.conns.Add(1)
		return newConn(c, &w.open), nil
	}
	w.client = &http.Client{Transport: wrap(w.base)}
	return w
}

// note changes or reads the record of a call.
func (w *world) note(id string, f func(*record)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records[id] == nil {
		w.records[id] = &record{}
	}
	f(w.records[id])
}

// serve starts a server whose every route is answer.
func (w *world) serve(addr string, sweep *sweep, opts ...fixtures.ServerOption) *fixtures.Server {
	l, err := w.net.Listen(addr)
	w.tb.c.require(err == nil, "listen: %v", err)
	route := http.HandlerFunc(w.answer)
	return fixtures.NewServer(w.tb, append(opts, fixtures.WithListener(sweep.listen(l), w.net.DialContext),
		fixtures.WithHandler("/", route), fixtures.WithHandler("/busy", route))...)
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
	w.note(r.Header.Get(requestID), func(r *record) {
		r.executions++
		if string(body) != want {
			r.wrong++
		}
	})
	if r.Host == otherHost && r.Header.Get("Authorization") != "" {
		w.leaked.Store(true)
	}
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

// What faults of names and load are made of.

func (w *world) name(r fixtures.Record) { w.net.SetName(server, r) }
func (w *world) resolve()               { w.name(fixtures.Record{Addrs: []string{server}}) }

func (w *world) dialErrors() int64 { return w.failures.Load() }
func (w *world) dialed() int64     { return w.dials.Load() }
func (w *world) hits() int64       { return w.srv.Hits() }
func (w *world) addOther()         { w.serve(otherHost+":80", nil) }

// move lets another host have the name.
func (w *world) move() {
	w.addOther()
	addrs, err := w.net.LookupHost(context.Background(), otherHost)
	w.tb.c.require(err == nil, "lookup: %v", err)
	w.name(fixtures.Record{Addrs: addrs})
}

// occupy sends a request that keeps a worker busy.
func (w *world) occupy() {
	busy := &http.Client{Transport: w.net.Host("occupant").Transport()}
	go func() { // ends with its request, at the latest when the server closes
		resp, err := busy.Get(w.url + "/busy") //nolint:noctx // the server ends it
		if err == nil {
			_ = resp.Body.Close()
		}
		busy.CloseIdleConnections()
	}()
	time.Sleep(100 * time.Millisecond)
}
