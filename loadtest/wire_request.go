package loadtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"example.com/brunt/loadtest/internal/http1"
)

// wireRequest is a request as it goes over the wire.
type wireRequest struct {
	bytes      []byte // the head, and the body if it is short
	body       []byte // a body that is not
	bare       bool   // there is no body
	key        string // scheme and authority it goes to
	host       string // without the port, for TLS
	addr       string // to dial
	secure     bool   // https
	head       bool   // its method is HEAD
	idempotent bool   // may be sent again
	closes     bool   // asks the server to close the connection
}

// maxInlineBody is the longest body that is written in one go with its head,
// before the response is looked for: sockets take as much without waiting for
// the peer to read it.
const maxInlineBody = 8 << 10

// write is what Wire sends for req.
func (c *wireClient) write(req *Request) (*wireRequest, error) {
	hr, err := c.httpRequest(req)
	if err != nil {
		return nil, err
	}
	authorize(hr)
	r, err := serialize(hr, req.Body, !c.pooled())
	if err != nil {
		return nil, err
	}
	r.idempotent = r.idempotent || hr.Method == http.MethodPut || hr.Method == http.MethodDelete
	return r, nil
}

// serialize has net/http write the head of hr, so that both clients send the same.
func serialize(hr *http.Request, body []byte, closes bool) (*wireRequest, error) {
	r := &wireRequest{
		bare:       len(body) == 0,
		key:        hr.URL.Scheme + "://" + hr.URL.Host,
		host:       hr.URL.Hostname(),
		addr:       authority(hr.URL),
		secure:     hr.URL.Scheme == "https",
		head:       hr.Method == http.MethodHead,
		idempotent: idempotent(hr),
	}
	for _, v := range hr.Header["Connection"] {
		r.closes = r.closes || http1.HasToken([]byte(v), "close")
	}
	var err error
	r.bytes, err = writeHead(hr, len(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	if closes && !r.closes {
		r.closes = true
		r.bytes = append(r.bytes[:len(r.bytes)-len("\r\n")], "Connection: close\r\n\r\n"...)
	}
	if len(body) > maxInlineBody {
		r.body = body
	} else {
		r.bytes = append(r.bytes, body...)
	}
	r.bytes = bytes.Clone(r.bytes) // without what append has in reserve
	return r, nil
}

// writeHead returns the head of hr, which has a body of length bytes.
func writeHead(hr *http.Request, length int) ([]byte, error) {
	var buf bytes.Buffer
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

// request returns what req is on the wire, made once for each context.
func (s *wireSession) request(req *Request) (*wireRequest, error) {
	if s.lastReq == req {
		return s.last, nil
	}
	r, ok := s.requests[req]
	if !ok {
		var err error
		if r, err = s.client.request(req); err != nil {
			return nil, err
		}
		if len(s.requests) >= maxKeptRequests {
			clear(s.requests)
		}
		if s.last != nil { // most sessions only ever send one request
			if s.requests == nil {
				s.requests = map[*Request]*wireRequest{s.lastReq: s.last}
			}
			s.requests[req] = r
		}
	}
	s.lastReq, s.last = req, r
	return r, nil
}
