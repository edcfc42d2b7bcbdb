package http1

import (
	"bytes"
	"io"
	"net/http"
)

// parser reads one response to a request, interim responses before it
// included, from whatever pieces the bytes come in. It does no I/O, and does not
// allocate unless it is to keep what it reads.
//
// It follows net/http, and is stricter where leniency has led proxies and
// servers to disagree about where a response ends: no folded header lines, no
// spaces in header names, no Transfer-Encoding in HTTP/1.0, CRLF in trailers. It
// also refuses versions other than 1.x, status codes outside 100 to 999, a change
// of protocol, and header lines of more than 64 KiB. As in net/http, a line of
// the head may end in a bare LF, repeated Content-Lengths must be the same text,
// chunked is the only Transfer-Encoding, and wins over a Content-Length.
type parser struct {
	state parseState
	head  bool     // no body follows: the request was a HEAD
	keep  bool     // build header and body
	asked *Request // build the header that it wants; nil if it wants none
	limit int64    // of the body, in bytes

	status int
	minor  byte  // of the HTTP version, 0 to 9
	closes bool  // the connection ends with this response
	length int64 // Content-Length; -1: none
	digits int   // in Content-Length

	badLength error

	encodings            int  // number of Transfer-Encoding lines
	chunked              bool // the last of them says so, and nothing else
	sayClose, sayKeep    bool // options of Connection
	badTrailer           bool // Trailer announces what must not be in one
	searched             int  // bytes of an incomplete line known to hold no line end
	headBytes, tailBytes int  // length of heads and of trailer so far
	left                 int64
	excess               int64 // see chunkSize
	bytes                int64 // of body

	header http.Header // with keep
	body   []byte      // with keep

	cached *cachedHead // nil: none yet
}

type parseState uint8

const (
	stateStatus parseState = iota
	stateHeader
	stateBody       // left bytes
	stateUntilClose // to the end of the connection
	stateChunkSize
	stateChunk // left bytes
	stateChunkEnd
	stateTrailer
	stateDone
)

const (
	// MaxHeaderLine is the longest line of a response's head, in bytes.
	MaxHeaderLine = 64 << 10
	// MaxHeaderBytes limits all lines of a response's head together: a tenth of
	// net/http's default, and still absurd.
	MaxHeaderBytes = 1 << 20
)

// reset prepares for the next response. The memory of body is used again.
func (r *parser) reset(head, keep bool, limit int64) {
	*r = parser{head: head, keep: keep, limit: limit, length: -1, body: r.body[:0], cached: r.cached}
}

// expected returns how many bytes are known to be still to come, at least.
func (r *parser) expected() int64 {
	if !r.inBody() {
		return 0
	}
	return max(r.left, r.bytes) // without a length, as much as there was already
}

// inBody reports whether the head is complete.
func (r *parser) inBody() bool { return r.state > stateHeader }

// feed takes what it can of p and returns how much that was. What it leaves is
// the beginning of a line, to be fed again with more behind it, or, if the state
// is stateDone, no part of the response.
func (r *parser) feed(p []byte) (n int, err error) {
	whole := r.state == stateStatus && r.headBytes == 0 // p begins with the head
	if whole {
		n = r.recall(p)
		whole = n == 0
	}
	for r.state != stateDone && err == nil {
		rest := p[n:]
		var took int
		switch r.state {
		case stateBody, stateUntilClose, stateChunk:
			took, err = r.data(rest)
		case stateChunkEnd:
			took, err = r.chunkEnd(rest)
		default:
			took, err = r.line(rest)
			if whole && err == nil && r.inBody() {
				r.remember(p[:n+took])
				whole = false
			}
		}
		if took == 0 {
			break
		}
		n += took
	}
	return n, err
}

// end takes the end of the connection.
func (r *parser) end() error {
	switch {
	case r.state == stateDone:
		return nil
	case r.state == stateUntilClose:
		r.state = stateDone
		return nil
	case r.state == stateStatus && r.headBytes+r.searched == 0:
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// data takes bytes of the body.
func (r *parser) data(p []byte) (int, error) {
	n := len(p)
	if r.state != stateUntilClose {
		n = int(min(int64(n), r.left))
		r.left -= int64(n)
	}
	r.bytes += int64(n)
	if r.bytes > r.limit {
		return n, &BodyLimitError{r.limit}
	}
	if r.keep {
		r.body = append(r.body, p[:n]...)
	}
	if r.left == 0 {
		switch r.state {
		case stateBody:
			r.state = stateDone
		case stateChunk:
			r.state = stateChunkEnd
		}
	}
	return n, nil
}

// line takes one line, without which it takes nothing.
func (r *parser) line(p []byte) (int, error) {
	at := bytes.IndexByte(p[r.searched:], '\n')
	size := len(p)
	if at >= 0 {
		size = r.searched + at + 1
	}
	if err := r.tooLong(p, size); err != nil {
		return 0, err
	}
	if at < 0 {
		r.searched = size
		return 0, nil
	}
	r.searched = 0
	line, crlf := p[:size-1], false
	if len(line) > 0 && line[len(line)-1] == '\r' {
		line, crlf = line[:len(line)-1], true
	}
	switch r.state {
	case stateStatus:
		r.headBytes += size
		return size, r.statusLine(line)
	case stateHeader:
		r.headBytes += size
		if len(line) == 0 {
			return size, r.headEnd()
		}
		return size, r.headerLine(line)
	case stateChunkSize:
		return size, r.chunkSize(line, crlf)
	default: // stateTrailer
		r.tailBytes += size
		return size, r.trailerLine(line, crlf)
	}
}

// tooLong refuses a line that has size bytes already, its end perhaps included.
func (r *parser) tooLong(p []byte, size int) error {
	switch r.state {
	case stateChunkSize:
		if size > maxChunkLine {
			return refuse("chunk size line too long", p)
		}
	case stateTrailer:
		if r.tailBytes+size > maxTrailerBytes {
			return refuse("trailer too large", nil)
		}
	default:
		if r.headBytes+size > MaxHeaderBytes {
			return refuse("headers too large", nil)
		}
		if size > MaxHeaderLine {
			return refuse("header line too long", p)
		}
	}
	return nil
}

// statusLine takes "HTTP/1.1 200 OK". The reason may be missing, as may its space.
func (r *parser) statusLine(line []byte) error {
	const version = len("HTTP/1.1")
	if len(line) <= version || line[version] != ' ' || string(line[:5]) != "HTTP/" || line[6] != '.' ||
		!isDigit(line[5]) || !isDigit(line[7]) {
		return refuse("malformed status line", line)
	}
	if line[5] != '1' {
		return refuse("not HTTP/1.x", line)
	}
	code := bytes.TrimLeft(line[version+1:], " ")
	if len(code) < 3 || len(code) > 3 && code[3] != ' ' {
		return refuse("malformed status code", line)
	}
	code = code[:3]
	signed := (code[0] == '+' || code[0] == '-') && isDigit(code[1]) && isDigit(code[2])
	if signed || code[0] == '0' && isDigit(code[1]) && isDigit(code[2]) {
		return refuse("status code is not from 100 to 999", line)
	}
	if !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return refuse("malformed status code", line)
	}
	r.minor = line[7] - '0'
	r.status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	r.state = stateHeader
	if r.keep || r.asked != nil {
		r.header = make(http.Header)
	}
	return nil
}

// headerLine takes "Name: value".
func (r *parser) headerLine(line []byte) error {
	name, value, err := cutHeader(line)
	if err != nil {
		return err
	}
	switch len(name) {
	case len("Connection"):
		if equalFold(name, "connection") {
			r.sayClose = r.sayClose || hasToken(value, "close")
			r.sayKeep = r.sayKeep || hasToken(value, "keep-alive")
		}
	case len("Content-Length"):
		if equalFold(name, "content-length") {
			// Refused at the end of the head: it might be folded, which is worse.
			if err := r.contentLength(line, value); err != nil && r.badLength == nil {
				r.badLength = err
			}
		}
	case len("Transfer-Encoding"):
		if equalFold(name, "transfer-encoding") {
			r.encodings++
			r.chunked = equalFold(value, "chunked")
		}
	case len("Trailer"):
		if equalFold(name, "trailer") {
			r.badTrailer = r.badTrailer || hasToken(value, "transfer-encoding") || hasToken(value, "trailer") ||
				hasToken(value, "content-length")
		}
	}
	if r.keep || r.asked != nil && equalFold(name, r.asked.Wants) {
		key := http.CanonicalHeaderKey(string(name))
		r.header[key] = append(r.header[key], string(value))
	}
	return nil
}

// contentLength takes a value of digits only, and the same one each time.
func (r *parser) contentLength(line, value []byte) error {
	if len(value) == 0 {
		return refuse("bad Content-Length", line)
	}
	var n int64
	for _, c := range value {
		const most = 1<<63 - 1
		d := int64(c - '0')
		if !isDigit(c) || n > (most-d)/10 {
			return refuse("bad Content-Length", line)
		}
		n = n*10 + d
	}
	// Numbers of one value and length are the same digits.
	if r.length >= 0 && (n != r.length || len(value) != r.digits) {
		return refuse("conflicting Content-Length", line)
	}
	r.length, r.digits = n, len(value)
	return nil
}

// headEnd takes the blank line, and decides where the response ends.
func (r *parser) headEnd() error {
	switch {
	case r.badLength != nil:
		return r.badLength
	case r.encodings > 0 && r.minor == 0:
		return refuse("Transfer-Encoding in an HTTP/1.0 response", nil)
	case r.encodings > 1, r.encodings == 1 && !r.chunked:
		return refuse("unsupported Transfer-Encoding", nil)
	case r.chunked && r.badTrailer:
		return refuse("bad name in Trailer", nil)
	case r.status == http.StatusSwitchingProtocols:
		return refuse("unrequested change of protocol (101)", nil)
	case r.status < 200:
		r.interim()
		return nil
	}
	r.closes = r.sayClose || r.minor == 0 && !r.sayKeep
	switch {
	case r.head, r.status == http.StatusNoContent, r.status == http.StatusNotModified:
		r.state = stateDone
	case r.chunked:
		r.state = stateChunkSize
	case r.length < 0:
		r.state, r.closes = stateUntilClose, true
	case r.length > r.limit:
		r.state = stateBody
		return &BodyLimitError{r.limit}
	case r.length == 0:
		r.state = stateDone
	default:
		r.state, r.left = stateBody, r.length
	}
	return nil
}

// interim forgets a response that another is to follow, but for its size.
func (r *parser) interim() {
	so, asked := r.headBytes, r.asked
	r.reset(r.head, r.keep, r.limit)
	r.headBytes, r.asked = so, asked
}
