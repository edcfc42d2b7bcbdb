package http1

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Request is a request as it is sent. It is made once, and may then be used by any
// number of sessions at once.
type Request struct {
	// Idempotent requests are sent again if nothing came back over a connection
	// that was kept.
	Idempotent bool
	// Wants names a header, in lower case, that responses have even if their
	// bodies are not kept; empty means none.
	Wants string

	bytes  []byte // the head, and the body if it is short
	lines  int    // where the lines of the head end, in bytes
	body   []byte // a body that is not
	bare   bool   // there is no body
	inline bool   // short enough to be written before the response is looked for
	key    string // scheme and authority it goes to
	host   string // without the port, for TLS
	addr   string // to dial
	secure bool   // https
	head   bool   // its method is HEAD
	closes bool   // asks the server to close the connection
}

const (
	// MaxInlineBody is the longest body that is written in one go with its head,
	// before the response is looked for: sockets take as much without waiting for
	// the peer to read it.
	MaxInlineBody = 8 << 10
	// maxInlineBytes is the longest request of that kind.
	maxInlineBytes = MaxInlineBody + 8<<10
)

// NewRequest has net/http write the head of hr, so that all clients send the same.
// With closes, the request asks the server to close the connection.
func NewRequest(hr *http.Request, body []byte, closes bool) (*Request, error) {
	r := &Request{
		Idempotent: Idempotent(hr),
		bare:       len(body) == 0,
		key:        hr.URL.Scheme + "://" + hr.URL.Host,
		host:       hr.URL.Hostname(),
		addr:       Authority(hr.URL),
		secure:     hr.URL.Scheme == "https",
		head:       hr.Method == http.MethodHead,
	}
	for _, v := range hr.Header["Connection"] {
		r.closes = r.closes || hasToken([]byte(v), "close")
	}
	var err error
	if r.bytes, err = writeHead(hr, len(body)); err != nil {
		return nil, err
	}
	if closes && !r.closes {
		r.closes = true
		r.bytes = append(r.bytes[:len(r.bytes)-len("\r\n")], "Connection: close\r\n\r\n"...)
	}
	r.lines = len(r.bytes) - len("\r\n")
	if len(body) > MaxInlineBody {
		r.body = body
	} else {
		r.bytes = append(r.bytes, body...)
	}
	r.bytes = bytes.Clone(r.bytes) // without what append has in reserve
	r.inline = r.body == nil && len(r.bytes) <= maxInlineBytes
	return r, nil
}

// With returns r with further header lines, each of them ended by CRLF. The result is in
// *to, whose memory it reuses.
func (r *Request) With(lines []byte, to *Request) *Request {
	buf := to.bytes[:0]
	*to = *r
	to.bytes = append(append(append(buf, r.bytes[:r.lines]...), lines...), r.bytes[r.lines:]...)
	return to
}

// Idempotent is net/http's rule for what it sends again by itself.
func Idempotent(hr *http.Request) bool {
	switch hr.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return len(hr.Header["Idempotency-Key"]) > 0 || len(hr.Header["X-Idempotency-Key"]) > 0
}

// Authority returns u's host and port, the port being the scheme's if u has none.
func Authority(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// writeHead returns the head of hr, which has a body of length bytes.
func writeHead(hr *http.Request, length int) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(512)
	if length == 0 {
		err := hr.Write(&buf)
		return buf.Bytes(), err
	}
	end := &endOfHead{}
	hr.ContentLength, hr.Body = int64(length), io.NopCloser(end)
	if err := hr.Write(&buf); !end.reached {
		return nil, err
	}
	return buf.Bytes(), nil
}

// endOfHead is a body at whose first byte the writing of a request stops.
type endOfHead struct{ reached bool }

func (e *endOfHead) Read([]byte) (int, error) {
	e.reached = true
	return 0, io.ErrUnexpectedEOF
}
