package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/brunt/loadtest/internal/http1"
)

// Guard holds a RoundTripper of the user's to what an http.Client relies on. What it does
// instead is an error of the request.
type Guard struct {
	http.RoundTripper
	// Fault returns the error that says what the RoundTripper did.
	Fault func(text string) error
}

// RoundTrip is the user's.
func (g Guard) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer g.rescue(&err, "")
	resp, err = g.RoundTripper.RoundTrip(r)
	if resp != nil && resp.Body != nil {
		resp.Body = &guardedBody{guard: g, ctx: r.Context(), body: resp.Body}
	}
	switch {
	case err != nil:
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close() // err says more
		}
		return nil, err
	case resp == nil:
		return nil, g.fault("returned neither a response nor an error")
	case resp.Body == nil && resp.ContentLength > 0 && r.Method != http.MethodHead:
		return nil, g.fault("returned a response of %d bytes without a Body", resp.ContentLength)
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	if resp.StatusCode < 0 || resp.StatusCode > 999 {
		_ = resp.Body.Close()
		return nil, g.fault("returned a response with status %d", resp.StatusCode)
	}
	return resp, nil
}

// CloseIdleConnections does what that of the user's does, if it has one.
func (g Guard) CloseIdleConnections() {
	if t, ok := g.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

func (g Guard) fault(format string, args ...any) error {
	return g.Fault(fmt.Sprintf("Transport (%T) ", g.RoundTripper) + fmt.Sprintf(format, args...))
}

// rescue, deferred, makes a fault of a panic; what tells whose it is.
func (g Guard) rescue(err *error, what string) {
	if p := recover(); p != nil {
		*err = g.fault("%spanicked: %v%s", what, p, panickedAt())
	}
}

// panickedAt is where the panic began that is being recovered, such as " (at
// mock.go:17)".
func panickedAt() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf(" (at %s:%d)", f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
		if !more {
			return ""
		}
	}
}

// maxEmptyReads is how often in a row a body may read nothing, without an error,
// as for a bufio.Reader.
const maxEmptyReads = 100

// guardedBody is a response body of a guarded transport. It is closed once, and
// ends with the context of its request even if the body itself does not heed it.
type guardedBody struct {
	guard    Guard
	ctx      context.Context
	body     io.ReadCloser
	stop     func() bool // of the watch for ctx, from the first Read on
	empty    int
	close    sync.Once
	closeErr error
}

func (b *guardedBody) Read(p []byte) (n int, err error) {
	defer b.guard.rescue(&err, "returned a Body whose Read ")
	if b.stop == nil {
		b.stop = context.AfterFunc(b.ctx, func() { _ = b.shut() })
	}
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err = b.body.Read(p)
	if n < 0 || n > len(p) {
		return 0, b.guard.fault("returned a Body whose Read says %d of %d bytes", n, len(p))
	}
	if n > 0 || err != nil {
		b.empty = 0
		return n, err
	}
	if b.empty++; b.empty >= maxEmptyReads {
		return 0, b.guard.fault("returned a Body that reads nothing: %v", io.ErrNoProgress)
	}
	return 0, nil
}

func (b *guardedBody) Close() error {
	if b.stop != nil {
		b.stop()
	}
	return b.shut()
}

func (b *guardedBody) shut() error {
	b.close.Do(func() {
		defer b.guard.rescue(&b.closeErr, "returned a Body whose Close ")
		b.closeErr = b.body.Close()
	})
	return b.closeErr
}

// GuardDial holds a dialer of the user's to what it has to return, and gives it the
// time limit and the trace that a net.Dialer has built in. It runs on goroutines of
// net/http, where a panic would end the process. fault returns the error that says what
// the dialer did.
func GuardDial(dial http1.DialFunc, limit time.Duration, fault func(text string) error) http1.DialFunc {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.ConnectStart != nil {
			trace.ConnectStart(network, addr)
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				conn, err = nil, fault(fmt.Sprintf("DialContext panicked: %v%s", p, panickedAt()))
			}
		}()
		conn, err = dial(ctx, network, addr)
		if conn == nil && err == nil {
			return nil, fault("DialContext returned neither a connection nor an error")
		}
		return conn, err
	}
}
