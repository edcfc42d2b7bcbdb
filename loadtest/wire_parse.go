package loadtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// wireParser reads one response to a request, interim responses before it
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
type wireParser struct {
	state wireState
	head  bool  // no body follows: the request was a HEAD
	keep  bool  // build header and body
	limit int64 // of the body, in bytes

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

	known *knownHead // nil: none yet
}

type wireState uint8

const (
	wireStatus wireState = iota
	wireHeader
	wireBody       // left bytes
	wireUntilClose // to the end of the connection
	wireChunkSize
	wireChunk // left bytes
	wireChunkEnd
	wireTrailer
	wireDone
)

// The longest line of a response's head; all lines together have maxHeaderBytes.
const maxHeaderLine = 64 << 10

// reset prepares for the next response. The memory of body is used again.
func (w *wireParser) reset(head, keep bool, limit int64) {
	*w = wireParser{head: head, keep: keep, limit: limit, length: -1, body: w.body[:0], known: w.known}
}

// expected returns how many bytes are known to be still to come, at least.
func (w *wireParser) expected() int64 {
	if !w.inBody() {
		return 0
	}
	return max(w.left, w.bytes) // without a length, as much as there was already
}

// inBody says whether the head is complete.
func (w *wireParser) inBody() bool { return w.state > wireHeader }

// feed takes what it can of p and returns how much that was. What it leaves is
// the beginning of a line, to be fed again with more behind it, or, if the state
// is wireDone, no part of the response.
func (w *wireParser) feed(p []byte) (n int, err error) {
	whole := w.state == wireStatus && w.headBytes == 0 // p begins with the head
	if whole {
		n = w.recall(p)
		whole = n == 0
	}
	for w.state != wireDone && err == nil {
		rest := p[n:]
		var took int
		switch w.state {
		case wireBody, wireUntilClose, wireChunk:
			took, err = w.data(rest)
		case wireChunkEnd:
			took, err = w.chunkEnd(rest)
		default:
			took, err = w.line(rest)
			if whole && err == nil && w.inBody() {
				w.remember(p[:n+took])
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
func (w *wireParser) end() error {
	switch {
	case w.state == wireDone:
		return nil
	case w.state == wireUntilClose:
		w.state = wireDone
		return nil
	case w.state == wireStatus && w.headBytes+w.searched == 0:
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// data takes bytes of the body.
func (w *wireParser) data(p []byte) (int, error) {
	n := len(p)
	if w.state != wireUntilClose {
		n = int(min(int64(n), w.left))
		w.left -= int64(n)
	}
	w.bytes += int64(n)
	if w.bytes > w.limit {
		return n, errBodyLimit(w.limit)
	}
	if w.keep {
		w.body = append(w.body, p[:n]...)
	}
	if w.left == 0 {
		switch w.state {
		case wireBody:
			w.state = wireDone
		case wireChunk:
			w.state = wireChunkEnd
		}
	}
	return n, nil
}

// errBodyLimit is the error of a body of more than limit bytes.
func errBodyLimit(limit int64) error {
	return &classError{ClassBodyLimit, fmt.Sprintf("loadtest: response body exceeds MaxResponseBytes (%d)", limit)}
}

// line takes one line, without which it takes nothing.
func (w *wireParser) line(p []byte) (int, error) {
	at := bytes.IndexByte(p[w.searched:], '\n')
	size := len(p)
	if at >= 0 {
		size = w.searched + at + 1
	}
	if err := w.tooLong(p, size); err != nil {
		return 0, err
	}
	if at < 0 {
		w.searched = size
		return 0, nil
	}
	w.searched = 0
	line, crlf := p[:size-1], false
	if len(line) > 0 && line[len(line)-1] == '\r' {
		line, crlf = line[:len(line)-1], true
	}
	switch w.state {
	case wireStatus:
		w.headBytes += size
		return size, w.statusLine(line)
	case wireHeader:
		w.headBytes += size
		if len(line) == 0 {
			return size, w.headEnd()
		}
		return size, w.headerLine(line)
	case wireChunkSize:
		return size, w.chunkSize(line, crlf)
	default: // wireTrailer
		w.tailBytes += size
		return size, w.trailerLine(line, crlf)
	}
}

// tooLong refuses a line that has size bytes already, its end perhaps included.
func (w *wireParser) tooLong(p []byte, size int) error {
	switch w.state {
	case wireChunkSize:
		if size > maxChunkLine {
			return refuse(reasonChunkLength, p)
		}
	case wireTrailer:
		if w.tailBytes+size > maxTrailerBytes {
			return refuse(reasonTrailerSize, nil)
		}
	default:
		if w.headBytes+size > maxHeaderBytes {
			return refuse(reasonHeaderSize, nil)
		}
		if size > maxHeaderLine {
			return refuse(reasonLineLength, p)
		}
	}
	return nil
}

// statusLine takes "HTTP/1.1 200 OK". The reason may be missing, as may its space.
func (w *wireParser) statusLine(line []byte) error {
	const version = len("HTTP/1.1")
	if len(line) <= version || line[version] != ' ' || string(line[:5]) != "HTTP/" || line[6] != '.' ||
		!isDigit(line[5]) || !isDigit(line[7]) {
		return refuse(reasonStatusLine, line)
	}
	if line[5] != '1' {
		return refuse(reasonVersion, line)
	}
	code := bytes.TrimLeft(line[version+1:], " ")
	if len(code) < 3 || len(code) > 3 && code[3] != ' ' {
		return refuse(reasonStatusCode, line)
	}
	code = code[:3]
	signed := (code[0] == '+' || code[0] == '-') && isDigit(code[1]) && isDigit(code[2])
	if signed || code[0] == '0' && isDigit(code[1]) && isDigit(code[2]) {
		return refuse(reasonStatusRange, line)
	}
	if !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return refuse(reasonStatusCode, line)
	}
	w.minor = line[7] - '0'
	w.status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	w.state = wireHeader
	if w.keep {
		w.header = make(http.Header)
	}
	return nil
}

// headerLine takes "Name: value".
func (w *wireParser) headerLine(line []byte) error {
	name, value, err := cutHeader(line)
	if err != nil {
		return err
	}
	switch len(name) {
	case len("Connection"):
		if equalFold(name, "connection") {
			w.sayClose = w.sayClose || hasToken(value, "close")
			w.sayKeep = w.sayKeep || hasToken(value, "keep-alive")
		}
	case len("Content-Length"):
		if equalFold(name, "content-length") {
			// Refused at the end of the head: it might be folded, which is worse.
			if err := w.contentLength(line, value); err != nil && w.badLength == nil {
				w.badLength = err
			}
		}
	case len("Transfer-Encoding"):
		if equalFold(name, "transfer-encoding") {
			w.encodings++
			w.chunked = equalFold(value, "chunked")
		}
	case len("Trailer"):
		if equalFold(name, "trailer") {
			w.badTrailer = w.badTrailer || hasToken(value, "transfer-encoding") || hasToken(value, "trailer") ||
				hasToken(value, "content-length")
		}
	}
	if w.keep {
		key := http.CanonicalHeaderKey(string(name))
		w.header[key] = append(w.header[key], string(value))
	}
	return nil
}

// contentLength takes a value of digits only, and the same one each time.
func (w *wireParser) contentLength(line, value []byte) error {
	if len(value) == 0 {
		return refuse(reasonLength, line)
	}
	var n int64
	for _, c := range value {
		const most = 1<<63 - 1
		d := int64(c - '0')
		if !isDigit(c) || n > (most-d)/10 {
			return refuse(reasonLength, line)
		}
		n = n*10 + d
	}
	// Numbers of one value and length are the same digits.
	if w.length >= 0 && (n != w.length || len(value) != w.digits) {
		return refuse(reasonLengths, line)
	}
	w.length, w.digits = n, len(value)
	return nil
}

// headEnd takes the blank line, and decides where the response ends.
func (w *wireParser) headEnd() error {
	switch {
	case w.badLength != nil:
		return w.badLength
	case w.encodings > 0 && w.minor == 0:
		return refuse(reasonEncoding10, nil)
	case w.encodings > 1, w.encodings == 1 && !w.chunked:
		return refuse(reasonEncoding, nil)
	case w.chunked && w.badTrailer:
		return refuse(reasonTrailerName, nil)
	case w.status == http.StatusSwitchingProtocols:
		return refuse(reasonUpgrade, nil)
	case w.status < 200:
		w.interim()
		return nil
	}
	w.closes = w.sayClose || w.minor == 0 && !w.sayKeep
	switch {
	case w.head, w.status == http.StatusNoContent, w.status == http.StatusNotModified:
		w.state = wireDone
	case w.chunked:
		w.state = wireChunkSize
	case w.length < 0:
		w.state, w.closes = wireUntilClose, true
	case w.length > w.limit:
		w.state = wireBody
		return errBodyLimit(w.limit)
	case w.length == 0:
		w.state = wireDone
	default:
		w.state, w.left = wireBody, w.length
	}
	return nil
}

// interim forgets a response that another is to follow, but for its size.
func (w *wireParser) interim() {
	so := w.headBytes
	w.reset(w.head, w.keep, w.limit)
	w.headBytes = so
}
