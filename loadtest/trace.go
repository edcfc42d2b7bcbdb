package loadtest

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"example.com/brunt/loadtest/internal/http1"
)

// Tracing has requests say who they are, so that a server's traces and logs can be joined
// with the records of a run. A request that has such a header itself is sent with its own.
// It takes about 1 µs a request.
type Tracing struct {
	// TraceContext sends a traceparent header, as W3C Trace Context defines it: a trace for
	// each request, marked as sampled, and a span for each attempt. The trace is in
	// RequestResult.TraceID, and the span of the last attempt in SpanID. All traces of a run
	// begin with the same 16 digits.
	TraceContext bool
	// RequestID names a header, such as X-Request-Id, that is sent with an identifier of
	// the run and a number of the request in it. Both are in RequestResult.RequestID.
	// Empty sends none.
	RequestID string
}

func (t Tracing) validate() error {
	if t.RequestID != "" && !http1.ValidToken(t.RequestID) {
		return fault("Tracing.RequestID is %q: must be the name of a header, such as X-Request-Id", t.RequestID)
	}
	return nil
}

const traceparent = "Traceparent"

// tracer makes what the requests of a run say of themselves.
type tracer struct {
	Tracing
	run     string // of all traces and identifiers
	numbers atomic.Int64
}

func newTracer(t Tracing) *tracer {
	if t == (Tracing{}) {
		return nil
	}
	t.RequestID = http.CanonicalHeaderKey(t.RequestID)
	return &tracer{Tracing: t, run: hex64(rand.Uint64() | 1)} // a trace is never 0
}

func hex64(x uint64) string {
	b := [8]byte{byte(x >> 56), byte(x >> 48), byte(x >> 40), byte(x >> 32), byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)}
	return hex.EncodeToString(b[:])
}

// trace is what the request in hand says of itself.
type trace struct {
	id, request string
	parent      string // the traceparent of the attempt
	header      string // of request
	lines       []byte // of both in a head
}

// begin makes the trace of a further request.
func (t *tracer) begin(req *Request, x *trace) {
	*x = trace{lines: x.lines[:0]}
	if t.TraceContext && !has(req.Header, traceparent) {
		x.id = t.run + hex64(rand.Uint64())
	}
	if t.RequestID != "" && !has(req.Header, t.RequestID) {
		x.header, x.request = t.RequestID, t.run[:8]+"-"+strconv.FormatInt(t.numbers.Add(1), 10)
	}
}

// has reports whether h has name, which is canonical, in whatever case.
func has(h http.Header, name string) bool {
	if _, ok := h[name]; ok {
		return true
	}
	for other := range h {
		if strings.EqualFold(other, name) {
			return true
		}
	}
	return false
}

// attempt makes the span of a further attempt.
func (x *trace) attempt() {
	x.lines = x.lines[:0]
	if x.id != "" {
		x.parent = "00-" + x.id + "-" + hex64(rand.Uint64()|1) + "-01"
		x.lines = append(append(append(x.lines, "Traceparent: "...), x.parent...), "\r\n"...)
	}
	if x.request != "" {
		x.lines = append(append(append(append(x.lines, x.header...), ": "...), x.request...), "\r\n"...)
	}
}

// span returns the span of the attempt in hand; "" if there is none.
func (x *trace) span() string {
	if x.parent == "" {
		return ""
	}
	return x.parent[len("00-")+len(x.id)+1:][:16]
}

// set sets what x says in h.
func (x *trace) set(h http.Header) {
	if x.id != "" {
		h[traceparent] = []string{x.parent}
	}
	if x.request != "" {
		h[x.header] = []string{x.request}
	}
}

// Traceparent returns the value of the traceparent header of the attempt in hand, for
// functions and clients that send it by other means than HTTP headers; it is empty without
// Tracing.TraceContext. ctx is the context that [Session].Do or the function was given, or
// one derived from it.
func Traceparent(ctx context.Context) string {
	if x := extraOf(workerOf(ctx)); x != nil {
		return x.trace.parent
	}
	return ""
}
