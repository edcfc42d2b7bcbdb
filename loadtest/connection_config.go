package loadtest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"time"
)

// Pooling is what becomes of a connection after a request.
type Pooling uint8

const (
	// PoolOptimized keeps connections alive and reuses them.
	PoolOptimized Pooling = iota
	// PoolNaive opens a connection for every request and closes it afterwards.
	PoolNaive
)

func (p Pooling) String() string {
	switch p {
	case PoolOptimized:
		return "optimized"
	case PoolNaive:
		return "naive"
	}
	return "unknown"
}

// ConnectionConfig describes the connections of a client. The zero value is
// ready to use: a pool that keeps as many connections as there are workers.
type ConnectionConfig struct {
	// MaxConnections limits the connections open at once, to all hosts
	// together; a worker waits for one to come free, or for a stream of one that
	// speaks HTTP/2. All workers share them, those of a [ThreadedEngine], too. 0
	// means no limit but the engine's concurrency.
	MaxConnections int
	// Timeout limits the opening of a connection: TCP connect and, again, TLS
	// handshake. 0 means 30 s. The engine's Timeout limits the whole request.
	Timeout time.Duration
	// MaxKeepaliveConnections limits the connections to one host, open and idle.
	// 0 means no limit but the engine's concurrency. HTTP/2 counts streams of one
	// connection as one.
	MaxKeepaliveConnections int
	// KeepaliveExpiry closes a connection that was idle for so long. 0 means 90 s.
	KeepaliveExpiry time.Duration
	// Pooling is PoolOptimized unless said otherwise.
	Pooling Pooling

	// Phases has the times that requests spend in each [Phase] measured, for
	// [Stats.PhaseQuantile]: from waiting for a connection to reading the body, they add
	// up to the service time. A response counts for PhaseBody if it has a body. The clock
	// is read at the end of each phase, and its time is recorded: 0.3 to 0.5 µs a request
	// and no allocation (BenchmarkDetails, on an Intel Xeon). Without Phases the clock is
	// read when a request begins and ends.
	Phases bool

	// Transport replaces brunt's own http.Transport, for instance by a mock or
	// by one with middleware. The fields above except Pooling and Phases, and DialContext,
	// TLS, Protocols, Proxy and Decompress, then belong to it and must be zero
	// here. It is used by many goroutines at once, and gets an *http.Request of its
	// own for each sending. A panic in it, or a response that an http.Client would
	// not take, is an error of the request in ClassOther. PoolNaive sets
	// Request.Close. Close calls its CloseIdleConnections if it has that.
	Transport http.RoundTripper
	// DialContext opens connections in place of a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS configures https; nil means the system's roots.
	TLS *tls.Config
	// Protocols says which HTTP versions to speak; nil means HTTP/1.1, and
	// HTTP/2 over TLS where the server offers it.
	Protocols *http.Protocols
	// Proxy chooses a proxy, as in http.Transport; nil means none, whatever the
	// environment says: load goes where it was pointed.
	Proxy func(*http.Request) (*url.URL, error)
	// Jar keeps cookies; nil means none. It is shared by all workers.
	Jar http.CookieJar
	// MaxRedirects is how many redirects a request follows; one more is an error
	// in ClassRedirect, and the latency covers them all. 0 means that a 3xx
	// response is a result like any other.
	MaxRedirects int
	// Decompress asks for gzip and counts the decompressed bytes. Otherwise
	// bodies are left as they come.
	Decompress bool
	// MaxResponseBytes limits what is read of a response body; a longer one is an
	// error in ClassBodyLimit and costs its connection. 0 means 64 MiB.
	MaxResponseBytes int64
}

// Validate reports every fault; each matches [ErrConfig].
func (c ConnectionConfig) Validate() error {
	var faults []error
	for _, f := range []struct {
		bad   bool
		name  string
		value any
		zero  string
	}{
		{c.MaxConnections < 0, "MaxConnections", c.MaxConnections, "no limit"},
		{c.Timeout < 0, "Timeout", c.Timeout, "the default"},
		{c.MaxKeepaliveConnections < 0, "MaxKeepaliveConnections", c.MaxKeepaliveConnections, "no limit"},
		{c.KeepaliveExpiry < 0, "KeepaliveExpiry", c.KeepaliveExpiry, "the default"},
		{c.MaxRedirects < 0, "MaxRedirects", c.MaxRedirects, "none"},
		{c.MaxResponseBytes < 0, "MaxResponseBytes", c.MaxResponseBytes, "the default"},
	} {
		if f.bad {
			faults = append(faults, fault("Conn.%s is %v: must be 0 for %s, or positive", f.name, f.value, f.zero))
		}
	}
	if c.Pooling > PoolNaive {
		faults = append(faults, fault("Conn.Pooling is %d: must be PoolOptimized or PoolNaive", c.Pooling))
	}
	if c.MaxConnections > 0 && c.MaxKeepaliveConnections > c.MaxConnections {
		faults = append(faults, fault("Conn.MaxKeepaliveConnections is %d: must be at most Conn.MaxConnections, which is %d for all hosts together",
			c.MaxKeepaliveConnections, c.MaxConnections))
	}
	if c.Transport != nil {
		own := c
		own.Transport, own.Pooling, own.Phases, own.Jar, own.MaxRedirects, own.MaxResponseBytes = nil, 0, false, nil, 0, 0
		if !own.isZero() {
			faults = append(faults, fault("Conn.Transport is set: limits, timeouts, DialContext, TLS, Protocols, Proxy and Decompress must be set there"))
		}
	}
	return errors.Join(faults...)
}

// withDefaults returns c with what 0 stands for.
func (c ConnectionConfig) withDefaults() ConnectionConfig {
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.KeepaliveExpiry = cmp.Or(c.KeepaliveExpiry, 90*time.Second)
	c.MaxResponseBytes = cmp.Or(c.MaxResponseBytes, 64<<20)
	return c
}

func (c ConnectionConfig) isZero() bool { return reflect.ValueOf(c).IsZero() }
