package http1

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"example.com/brunt/loadtest/internal/ring"
)

// Codec is what reads responses.
type Codec uint8

const (
	// Parse is this package's parser: strict, and without allocating.
	Parse Codec = iota
	// ReadResponse is net/http's. Connections are then kept and closed as
	// http.Transport does.
	ReadResponse
)

// Config describes a client.
type Config struct {
	Codec     Codec
	Dial      DialFunc              // nil: a net.Dialer's
	Timeout   time.Duration         // of a dial by a net.Dialer or a ring, and of a TLS handshake
	TLS       *tls.Config           // nil: the system's roots
	Expiry    time.Duration         // an idle connection is closed after it
	BodyLimit int64                 // of a response, in bytes
	Rings     bool                  // without Dial, serve connections without TLS by rings
	PlainRing bool                  // have rings do without io_uring
	ErrClosed error                 // what requests fail with after Close
	OnOpen    func(context.Context) // called for each connection, with the context that it was dialed under; may be nil
	Phases    bool                  // measure them, by Session.Clock
}

// Client opens sessions. It is safe for concurrent use by multiple goroutines.
type Client struct {
	// Conns has every connection of the client. Others may add theirs.
	Conns *Connections

	cfg        Config
	dialPlain  DialFunc // for http
	dialSecure DialFunc // for https
	rings      ring.Group
	shared     pool
}

// NewClient returns a client that has no connections yet. The caller closes it.
func NewClient(cfg Config) *Client {
	c := &Client{cfg: cfg, Conns: NewConnections(cfg.ErrClosed, cfg.OnOpen), shared: pool{expiry: cfg.Expiry}}
	c.rings.Plain = cfg.PlainRing
	dial := cfg.Dial
	if dial == nil {
		dial = c.netDialer()
	}
	c.dialSecure = c.Conns.Wrap(dial)
	c.dialPlain = c.dialSecure
	if cfg.Rings && cfg.Dial == nil {
		// What the user has dialed may be in the user's hands still.
		c.dialPlain = c.Conns.Wrap(c.ringDialer(dial))
	}
	return c
}

// Session returns a session that shares idle connections with all others.
func (c *Client) Session() *Session { return c.session(&c.shared) }

// PrivateSession returns a session that shares no connections. They are closed with
// it.
func (c *Client) PrivateSession() *Session { return c.session(&pool{expiry: c.cfg.Expiry}) }

func (c *Client) session(p *pool) *Session {
	s := &Session{client: c, pool: p}
	if c.cfg.Phases {
		s.clock = new(PhaseClock)
	}
	if c.cfg.Codec == ReadResponse {
		s.reader = &responseReader{body: BodyReader{Limit: c.cfg.BodyLimit}}
	}
	return s
}

// Close closes every connection, idle or not, and returns how many could not be
// closed.
func (c *Client) Close() int {
	c.shared.close()
	c.Conns.CloseAll()
	c.rings.Close()
	return c.Conns.Open()
}

// Response is the response to a request.
type Response struct {
	StatusCode int
	Proto      string      // such as "HTTP/1.1"
	Header     http.Header // with Parse, nil unless the body is kept; then only what Request.Wants names
	Body       []byte      // nil unless it is kept; valid until the next request
	Bytes      int64       // of the body
}
