package resiliencetest

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/brunt/fixtures"
)

// transportFault is a line of the matrix.
type transportFault struct {
	name   string
	says   string           // what happens, for the reproduction
	faults []fixtures.Fault // of the server; the first of them must fire
	want   promise
	phase  phase   // in which it holds the call
	only   []shape // those it can act on; nil is plainShapes

	path       string           // of the request; "" is /work
	expect     bool             // the request asks for 100 Continue
	warm       bool             // on a connection that has served one before
	proto      string           // "tls" or "h2"; "" is HTTP/1.1 in the clear
	hops       int              // requests that the fault itself asks for
	retryAfter time.Duration    // what the first answer asks for
	status     int              // that a failed call must show
	is         func(error) bool // the error of a failed call

	// Of a storm: how far apart the calls are, 0 for all at once, and how long after its begin
	// they must succeed again.
	apart, well time.Duration

	// beneath is what net/http's own transport, under whatever client, is known to leave
	// behind; it is no failure of the client.
	beneath string

	sweep *sweep               // whose event it is
	setUp func(w *world)       // instead of, or beside, faults
	heal  func(w *world)       // undoes it
	fired func(w *world) int64 // instead of the server's account
}

func (f *transportFault) shapes() []shape {
	if f.only == nil {
		return plainShapes
	}
	return f.only
}

// seldom are the shapes of a fault that takes the same code for every method.
var seldom = []shape{shapeGet, shapeCanceled}

// calm is the line without a fault, the first. A client that does not close the bodies of
// requests has it said there, and not in every other line again.
const calm = 0

const (
	bodySize   = 4 << 10   // of an answer
	uploadSize = 128 << 10 // of a request: more than HTTP/2 lets pass unasked
)

func one(f fixtures.Fault) []fixtures.Fault { return []fixtures.Fault{f} }

func first(f fixtures.Fault) []fixtures.Fault { return []fixtures.Fault{f.First(1)} }

// transportFaults are the lines of the matrix.
var transportFaults = []transportFault{
	{name: "calm", says: "all is well", want: endured, fired: (*world).hits},

	// Statuses.
	{name: "503-once", says: "the first answer is 503", faults: first(fixtures.Status(503)), phase: backingOff},
	{name: "503-twice", says: "the first two answers are 503", faults: one(fixtures.Status(503).First(2)), phase: backingOff},
	{name: "503-forever", says: "every answer is 503", faults: one(fixtures.Status(503)), want: lasts, status: 503, phase: backingOff},
	{name: "500-once", says: "the first answer is 500", faults: first(fixtures.Status(500)), phase: backingOff},
	{name: "408-once", says: "the first answer is 408", faults: first(fixtures.Status(408)), want: either, phase: backingOff},
	{name: "421-once", says: "the first answer is 421", faults: first(fixtures.Status(421)), want: either, phase: backingOff},
	{name: "425-once", says: "the first answer is 425", faults: first(fixtures.Status(425)), want: either, phase: backingOff},
	{name: "flapping", says: "for 500ms every answer is 503, for 2.5s all is well, and so on", faults: one(fixtures.Status(503).Flap(500*time.Millisecond, 2500*time.Millisecond)), phase: backingOff},
	{name: "429-retry-after", says: "the first answer is 429 with Retry-After: 3", faults: first(fixtures.RetryAfter(429, "3")), retryAfter: 3 * time.Second, phase: backingOff},
	{name: "503-retry-after-date", says: "the first answer is 503 with Retry-After a date 5s ahead", faults: first(fixtures.RetryAfterDate(503, 5*time.Second, 0)), retryAfter: 5 * time.Second, phase: backingOff},
	{name: "503-retry-after-fast-clock", says: "the first answer is 503 with Retry-After a date 5s after its Date, by a clock an hour ahead", faults: first(fixtures.RetryAfterDate(503, 5*time.Second, time.Hour)), want: either, retryAfter: 5 * time.Second, phase: backingOff},
	{name: "503-retry-after-slow-clock", says: "the first answer is 503 with Retry-After a date 5s after its Date, by a clock an hour behind", faults: first(fixtures.RetryAfterDate(503, 5*time.Second, -time.Hour)), want: either, retryAfter: 5 * time.Second, phase: backingOff},
	{name: "429-retry-after-nonsense", says: "the first answer is 429 with Retry-After: soon", faults: first(fixtures.RetryAfter(429, "soon")), phase: backingOff},
	{name: "429-retry-after-negative", says: "the first answer is 429 with Retry-After: -1", faults: first(fixtures.RetryAfter(429, "-1")), phase: backingOff},
	{name: "429-retry-after-overflow", says: "the first answer is 429 with Retry-After: 99999999999999999999", faults: first(fixtures.RetryAfter(429, "99999999999999999999")), want: either, retryAfter: 24 * time.Hour, status: 429, phase: backingOff},

	// Redirects.
	{name: "redirect-loop", says: "every answer is 302 to itself", faults: one(fixtures.Redirect(302, "")), want: lasts, hops: 10, only: seldom},
	{name: "redirect-307", says: "the first answer is 307 to another path", faults: first(fixtures.Redirect(307, "/landed")), want: endured, hops: 1},
	{name: "redirect-308", says: "the first answer is 308 to another path", faults: first(fixtures.Redirect(308, "/landed")), want: endured, hops: 1},
	{name: "redirect-other-host", says: "the first answer is 307 to another host, and the request has Authorization", faults: first(fixtures.Redirect(307, "http://other.test/work")), want: endured, hops: 1, setUp: (*world).addOther},

	// Time.
	{name: "latency-spike", says: "the first answer takes 20s", faults: first(fixtures.Delay(fixtures.Constant(20 * time.Second)))},
	{name: "stall-before-answer", says: "the first request is executed, and nothing comes", faults: first(fixtures.Stall(fixtures.Executed))},
	{name: "stall-in-header", says: "the first answer stops in its header", faults: first(fixtures.Stall(fixtures.HeaderByte(10)))},
	{name: "stall-in-body", says: "the first answer stops after 1000 bytes of its body", faults: first(fixtures.Stall(fixtures.BodyByte(1000))), phase: reading},
	{name: "stall-at-chunk", says: "the first answer stops after 2 of 4 chunks", faults: first(fixtures.Stall(fixtures.Chunk(2))), path: "/stream", phase: reading},
	{name: "trickle-from-header", says: "the first answer comes in pieces of 64 bytes each 10ms", faults: first(fixtures.Trickle(fixtures.HeaderByte(0), 64, 10*time.Millisecond)), want: endured},
	{name: "trickle-body", says: "the body of the first answer comes in pieces of 64 bytes each 10ms", faults: first(fixtures.Trickle(fixtures.BodyByte(0), 64, 10*time.Millisecond)), want: endured, phase: reading},
	{name: "trickle-chunks", says: "the body of the first answer comes from its 2nd chunk on in pieces of 64 bytes each 10ms", faults: first(fixtures.Trickle(fixtures.Chunk(1), 64, 10*time.Millisecond)), want: endured, path: "/stream", phase: reading},
	{name: "pause-in-upload", says: "the server stops reading the first request for 300ms after 1000 bytes", faults: first(fixtures.Pause(fixtures.UploadByte(1000), 300*time.Millisecond)), want: endured, only: uploads},
	{name: "stall-in-upload", says: "the server stops reading the first request after 1000 bytes, for ever", faults: first(fixtures.Stall(fixtures.UploadByte(1000))), phase: uploading, only: stuck},

	// Connections.
	{name: "refused-once", says: "the first connection is refused", faults: first(fixtures.Refuse()), want: unsent, phase: connecting},
	{name: "refused-forever", says: "every connection is refused", faults: one(fixtures.Refuse()), want: lasts, is: isRefused, phase: connecting},
	{name: "blackhole-once", says: "nobody answers the first SYN", faults: first(fixtures.Blackhole()), phase: connecting},
	{name: "accept-and-silence", says: "the first connection is accepted, and nothing comes", faults: first(fixtures.Stall(fixtures.Accepted))},
	{name: "close-when-accepted", says: "the first connection is closed at once", faults: first(fixtures.Close(fixtures.Accepted))},
	{name: "close-before-body", says: "the connection is closed when the header of the first request is read", faults: first(fixtures.Close(fixtures.HeaderRead))},
	{name: "close-after-body", says: "the connection is closed when the first request is read", faults: first(fixtures.Close(fixtures.BodyRead))},
	{name: "reset-when-accepted", says: "the first connection is reset at once", faults: first(fixtures.Reset(fixtures.Accepted))},
	{name: "reset-in-upload", says: "the connection is reset after 1000 bytes of the first request's body", faults: first(fixtures.Reset(fixtures.UploadByte(1000))), only: uploads},
	{name: "reset-in-header", says: "the connection is reset in the header of the first answer", faults: first(fixtures.Reset(fixtures.HeaderByte(10)))},
	{name: "reset-in-body", says: "the connection is reset after 1000 bytes of the first answer's body", faults: first(fixtures.Reset(fixtures.BodyByte(1000)))},
	{name: "response-lost", says: "the first request is executed, and the connection closed before its answer", faults: first(fixtures.Close(fixtures.Executed))},
	{name: "stale-closed", says: "the connection is closed while it is idle", faults: first(fixtures.Close(fixtures.Answered)), want: endured, warm: true, only: plainShapes[:3]},
	{name: "stale-reset", says: "the connection is reset while it is idle", faults: first(fixtures.Reset(fixtures.Answered)), want: endured, warm: true, only: plainShapes[:3]},
	{name: "stale-silent", says: "the idle connection is dead, and nobody says so", faults: first(fixtures.Stall(fixtures.Answered)), warm: true},
	{name: "stale-race", says: "a connection that has served one request is reset when the next has been read", faults: first(fixtures.Reset(fixtures.HeaderRead).After(1)), warm: true},
	{name: "unsolicited-408", says: "the idle connection is sent 408 and closed", faults: first(fixtures.Unsolicited(408)), want: endured, warm: true, only: plainShapes[:3]},

	// Headers.
	{name: "garbage", says: "the first answer is 64 random bytes", faults: first(fixtures.Garbage(64)), want: either},
	{name: "header-64KiB", says: "the first answer has a header field of 64 KiB", faults: first(fixtures.HugeHeader(64 << 10)), want: endured},
	{name: "header-11MiB", says: "every answer has a header field of 11 MiB", faults: one(fixtures.HugeHeader(11 << 20)), want: lasts, only: []shape{shapeGet}},
	{name: "interim-200", says: "200 interim answers of 102 come before the first answer", faults: first(fixtures.Interim(102, 200)), want: endured},
	{name: "early-answer", says: "every upload is answered with 413 when its header is read", faults: one(fixtures.EarlyAnswer(413)), want: lasts, status: 413, only: uploads},
	{name: "no-continue", says: "the request asks for 100 Continue, which never comes; the body is answered all the same", faults: first(fixtures.NoContinue()), want: endured, expect: true, only: uploads},
	{name: "continue-and-silence", says: "the first request asks for 100 Continue, and nothing comes", faults: first(fixtures.Stall(fixtures.HeaderRead)), expect: true, only: uploads},

	// Bodies.
	{name: "truncated", says: "the connection is closed after 1000 bytes of the first answer's body", faults: first(fixtures.Close(fixtures.BodyByte(1000)))},
	{name: "truncated-at-chunk", says: "the connection is closed after 2 of the first answer's 4 chunks", faults: first(fixtures.Close(fixtures.Chunk(2))), path: "/stream"},
	{name: "missing-final-chunk", says: "the connection is closed before the last chunk of the first answer, which is empty", faults: first(fixtures.MissingFinalChunk())},
	{name: "length-too-long", says: "the Content-Length of the first answer is 10 too many", faults: first(fixtures.ContentLength(10)), phase: reading},
	{name: "length-too-short", says: "the Content-Length of the first answer is 10 too few", faults: first(fixtures.ContentLength(-10)), want: silent},
	{name: "close-delimited", says: "the first answer has no length, and ends after 1000 bytes", faults: first(fixtures.CloseDelimited(1000)), want: silent},
	{name: "corrupt", says: "a byte of the first answer's body is wrong", faults: first(fixtures.Corrupt(100)), want: silent},
	{name: "broken-gzip", says: "the checksum of the first answer, which is gzip, is wrong", faults: first(fixtures.BrokenGzip())},
	{name: "endless", says: "the first answer's body does not end", faults: first(fixtures.Endless(1000, 100*time.Millisecond)), phase: reading},

	// Load.
	{name: "pool-exhausted", says: "the server's only worker is busy for 3s", faults: []fixtures.Fault{fixtures.Workers(1), fixtures.Delay(fixtures.Constant(3 * time.Second)).On("/busy")}, want: endured, setUp: (*world).occupy},
	{name: "slow-backend", says: "one in three connections is to a backend that takes 40s", faults: one(fixtures.Delay(fixtures.Constant(40 * time.Second)).Every(3).ByConnection())},

	// Names.
	{
		name: "dns-nxdomain", says: "the name does not exist", want: lasts, is: isDNSError, phase: connecting, only: seldom,
		setUp: func(w *world) { w.name(fixtures.Record{}) }, heal: (*world).resolve, fired: (*world).dialErrors,
	},
	{
		name: "dns-servfail-once", says: "the name server fails for the first 500ms", want: unsent, is: isDNSError, phase: connecting,
		setUp: func(w *world) {
			w.name(fixtures.Record{ServFail: true})
			time.AfterFunc(500*time.Millisecond, w.resolve)
		}, heal: (*world).resolve, fired: (*world).dialErrors,
	},
	{
		name: "dns-slow", says: "the name server takes 3s", want: endured, phase: connecting,
		setUp: func(w *world) { w.name(fixtures.Record{Addrs: []string{server}, Delay: 3 * time.Second}) }, heal: (*world).resolve, fired: (*world).dialed,
	},
	{
		name: "dns-first-address-dead", says: "nobody answers at the first of two addresses", phase: connecting,
		setUp: func(w *world) { w.name(fixtures.Record{Addrs: []string{"10.9.9.9", server}}) }, heal: (*world).resolve, fired: (*world).dialed,
	},
	{
		name: "dns-address-changes", says: "the idle connection is dead, its host refuses others, and the name has the address of another host", warm: true, only: plainShapes[:3],
		faults: []fixtures.Fault{fixtures.Stall(fixtures.Answered).First(1), fixtures.Refuse().After(1)}, setUp: (*world).move,
	},

	// TLS.
	{name: "tls-expired", says: "the certificate has expired", proto: "tls", faults: one(fixtures.ExpiredCertificate()), want: lasts, is: isCertificateError, only: []shape{shapeGet, shapePost}},
	{name: "tls-handshake-stalls", says: "the first handshake stalls", proto: "tls", faults: first(fixtures.Stall(fixtures.Accepted)), phase: connecting},
	{name: "tls-no-close-notify", says: "the first answer has no length, and its connection is cut after 1000 bytes", proto: "tls", faults: first(fixtures.NoCloseNotify(1000)), want: silent, only: seldom},

	// HTTP/2.
	{name: "h2-refused-stream", says: "the first stream is refused, REFUSED_STREAM", proto: "h2", faults: first(fixtures.RefuseStream()), want: unsent},
	{name: "h2-goaway-unprocessed", says: "the first request is answered by GOAWAY, and not processed", proto: "h2", faults: first(fixtures.GoAway(false)), want: unsent, beneath: goAwayLeaves},
	{name: "h2-goaway-processed", says: "the first request is the last of its connection, GOAWAY", proto: "h2", faults: first(fixtures.GoAway(true)), want: endured, beneath: goAwayLeaves},
	{name: "h2-internal-error", says: "the first request is executed, and its stream ends with INTERNAL_ERROR", proto: "h2", faults: first(fixtures.Close(fixtures.Executed))},
	{name: "h2-reset", says: "the first request is executed, and its connection reset", proto: "h2", faults: first(fixtures.Reset(fixtures.Executed))},
	{name: "h2-max-streams-1", says: "a connection takes one request at a time", proto: "h2", faults: one(fixtures.MaxStreams(1)), want: endured, only: []shape{shapeGet, shapePost, shapeStorm}},
	{name: "h2-window-withheld", says: "the first connection takes no more than 64 KiB of uploads", proto: "h2", faults: first(fixtures.WithholdWindow()), want: either, phase: uploading, only: stuck},
	{name: "h2-stale-silent", says: "the idle connection is dead, and nobody says so", proto: "h2", faults: first(fixtures.Stall(fixtures.Answered)), want: either, warm: true},

	// Storms.
	{name: "storm-503", says: "every answer is 503", faults: one(fixtures.Status(503)), want: lasts, status: 503, only: []shape{shapeStorm}},
	{name: "storm-refused", says: "every connection is refused", faults: one(fixtures.Refuse()), want: lasts, is: isRefused, only: []shape{shapeStorm}},
	{name: "storm-response-lost", says: "half of the requests are executed and their answers lost", faults: one(fixtures.Close(fixtures.Executed).Share(0.5)), want: either, only: []shape{shapeStorm}},
	{
		name: "metastable", says: "for 20s answers take 20s more, and at all times every request beyond the 10th inside costs 150ms each, whether or not its client has left; 5 GETs a second", want: either, only: []shape{shapeStorm},
		apart: 200 * time.Millisecond, well: 70 * time.Second,
		faults: []fixtures.Fault{fixtures.Overload(10, fixtures.Constant(150*time.Millisecond)), fixtures.Delay(fixtures.Constant(20*time.Second)).During(0, 20*time.Second)},
	},
}

const goAwayLeaves = "net/http, before Go 1.27, does not close a connection that has had GOAWAY and no request left (golang/go#39752), nor ever a body from GetBody for which it then finds no connection"

func isDNSError(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isCertificateError(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid)
}

// shows reports whether a failed call shows what happened.
func (f *transportFault) shows(status int, err error) bool {
	if err == nil {
		return status != 0 && (f.status == 0 || f.status == status)
	}
	switch {
	case f.want != lasts:
		return true
	case f.status != 0:
		return strings.Contains(err.Error(), strconv.Itoa(f.status)) || strings.Contains(err.Error(), http.StatusText(f.status))
	case f.is != nil:
		return f.is(err)
	}
	return true
}
