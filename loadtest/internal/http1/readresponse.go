package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"

	"example.com/brunt/loadtest/internal/ring"
)

// Readers are borrowed for a request: what they buffer is gone with it.
var responseReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, ring.ReadSize) }}

// responseReader has net/http read responses.
type responseReader struct {
	connReader
	body BodyReader
}

// readResponse reads a response from c.
func (r *responseReader) readResponse(c *conn, head, keep bool, t *trip) (out Response) {
	r.reset(c)
	br := responseReaders.Get().(*bufio.Reader)
	br.Reset(&r.connReader)
	if _, t.err = br.Peek(1); t.err == nil {
		t.answered = true
		out = r.receive(br, head, keep, t)
	}
	br.Reset(nil)
	responseReaders.Put(br)
	return out
}

// What ReadResponse has to know of a request.
var (
	askedHead = &http.Request{Method: http.MethodHead}
	askedElse = &http.Request{Method: http.MethodGet}
)

// receive reads a response from br, which reads from r. The connection is
// reusable if the server wants it and nothing follows the response.
func (r *responseReader) receive(br *bufio.Reader, head, keep bool, t *trip) (out Response) {
	asked := askedElse
	if head {
		asked = askedHead
	}
	resp, err := readFinal(br, asked) //nolint:bodyclose // see below
	if err != nil {
		if r.left <= 0 {
			err = errHeaderBytes
		}
		t.err = fmt.Errorf("loadtest: HTTP/1.x transport connection broken: %w", err)
		return out
	}
	r.left = math.MaxInt64
	out = Response{StatusCode: resp.StatusCode, Proto: resp.Proto, Header: resp.Header}
	var body io.Reader = resp.Body
	if switched(resp) {
		body = br
	}
	if body != http.NoBody {
		t.readsBody()
		// Closing it would mean to read on, however long it is.
		out.Bytes, out.Body, t.err = r.body.ReadAll(body, keep)
	}
	t.reusable = t.err == nil && !resp.Close && resp.StatusCode >= http.StatusOK && br.Buffered() == 0 && !r.ended
	return out
}

// readFinal reads a response, and forgets the interim ones before it.
func readFinal(br *bufio.Reader, asked *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(br, asked)
		if err != nil || resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// switched reports whether what follows resp is of another protocol. Then it is the
// body, as far as we are concerned.
func switched(resp *http.Response) bool {
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") == "" {
		return false
	}
	for _, v := range resp.Header["Connection"] {
		if hasToken([]byte(v), "upgrade") {
			return true
		}
	}
	return false
}

// connReader reads from a connection as much as a response may have.
type connReader struct {
	conn  *conn
	left  int64 // bytes that may still be read
	ended bool  // the server will send no more
}

// reset prepares for the head of a response over c.
func (r *connReader) reset(c *conn) { *r = connReader{conn: c, left: MaxHeaderBytes} }

var errHeaderBytes = fmt.Errorf("response headers exceed %d bytes", MaxHeaderBytes)

func (r *connReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errHeaderBytes
	}
	n, err := r.conn.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.ended = r.ended || errors.Is(err, io.EOF)
	return n, err
}
