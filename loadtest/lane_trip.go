package loadtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/ring"
)

// maxInlineBytes is the longest request that is written in one go before the
// response is looked for; see maxInlineBody.
const maxInlineBytes = maxInlineBody + 8<<10

// Readers are borrowed for a request: what they buffer is gone with it.
var responseReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, ring.ReadSize) }}

// travel sends r over c and reads the response to its end. It keeps the body if
// so told. If it is wary and can find out, it sends nothing over a connection
// that the server has given up.
func (s *httpSession) travel(c *wireConn, r *wireRequest, keep, wary bool) (out Response, t trip) {
	s.phase.Store(uint32(PhaseHeaders))
	if wary {
		if t.err = c.peek(); t.err != nil {
			return out, t
		}
	}
	var up *upload
	if r.body == nil && (r.bare || c.buffered) && len(r.bytes) <= maxInlineBytes {
		var n int
		n, t.err = c.Write(r.bytes)
		if t.sent = n > 0; t.err != nil {
			return out, t
		}
	} else {
		up = startUpload(c, r)
	}
	in := &s.in
	in.reset(c)
	br := responseReaders.Get().(*bufio.Reader)
	br.Reset(in)
	if _, t.err = br.Peek(1); t.err == nil {
		t.answered = true
		out, t.reusable, t.err = s.receive(br, r.head, keep)
	}
	br.Reset(nil)
	responseReaders.Put(br)
	if up != nil {
		if t.err != nil || !up.finish() {
			s.drop(false)
			<-up.done
			t.reusable = false
		}
		t.sent = up.wrote > 0
	}
	return out, t
}

// What ReadResponse has to know of a request.
var (
	askedHead = &http.Request{Method: http.MethodHead}
	askedElse = &http.Request{Method: http.MethodGet}
)

// receive reads a response from br, which reads from s.in. The connection is
// reusable if the server wants it and nothing follows the response.
func (s *httpSession) receive(br *bufio.Reader, head, keep bool) (out Response, reusable bool, err error) {
	asked := askedElse
	if head {
		asked = askedHead
	}
	resp, err := readFinal(br, asked) //nolint:bodyclose // see below
	if err != nil {
		if s.in.left <= 0 {
			err = errHeaderBytes
		}
		return out, false, fmt.Errorf("loadtest: HTTP/1.x transport connection broken: %w", err)
	}
	s.in.left = math.MaxInt64
	out = Response{StatusCode: resp.StatusCode, Proto: resp.Proto, Header: resp.Header}
	var body io.Reader = resp.Body
	if switched(resp) {
		body = br
	}
	if body != http.NoBody {
		s.phase.Store(uint32(PhaseBody))
		// Closing it would mean to read on, however long it is.
		out.Bytes, err = s.drain(body, keep)
	}
	if keep {
		out.Body = s.buf[:min(out.Bytes, int64(len(s.buf)))]
	}
	reusable = err == nil && !resp.Close && resp.StatusCode >= http.StatusOK && br.Buffered() == 0 && !s.in.ended
	return out, reusable, err
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

// switched says whether what follows resp is of another protocol. Then it is the
// body, as far as we are concerned.
func switched(resp *http.Response) bool {
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") == "" {
		return false
	}
	for _, v := range resp.Header["Connection"] {
		if http1.HasToken([]byte(v), "upgrade") {
			return true
		}
	}
	return false
}

// laneReader reads from a lane as much as a response may have.
type laneReader struct {
	conn  *wireConn
	left  int64 // bytes that may still be read
	ended bool  // the server will send no more
}

// reset prepares for the head of a response over c.
func (l *laneReader) reset(c *wireConn) { *l = laneReader{conn: c, left: http1.MaxHeaderBytes} }

var errHeaderBytes = fmt.Errorf("response headers exceed %d bytes", http1.MaxHeaderBytes)

func (l *laneReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHeaderBytes
	}
	n, err := l.conn.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	l.ended = l.ended || errors.Is(err, io.EOF)
	return n, err
}
