package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
)

// testLimit is the limit of bodies, in bytes.
const testLimit = 64 << 20

// parsed is what a reader makes of a stream that holds a response.
type parsed struct {
	err    error
	status int
	header http.Header
	body   string
	bytes  int64 // of body
	closes bool
	rest   string // what follows the response
}

// parse has a parser read stream, which comes in pieces of the given size.
func parse(stream []byte, head bool, piece int) parsed {
	return new(parser).readAll(stream, head, true, piece)
}

func (w *parser) readAll(stream []byte, head, keep bool, piece int) parsed {
	w.reset(head, keep, testLimit)
	from, to := 0, 0
	for {
		n, err := w.feed(stream[from:to])
		from += n
		switch {
		case err != nil || w.state == stateDone:
		case to < len(stream):
			to = min(to+piece, len(stream))
			continue
		default:
			err = w.end()
		}
		if err != nil {
			return parsed{err: err}
		}
		return parsed{status: w.status, header: w.header, body: string(w.body), bytes: w.bytes, closes: w.closes, rest: string(stream[from:])}
	}
}

// reference is parse by net/http, interim responses skipped as its transport does.
func reference(stream []byte, head bool) parsed {
	r := bufio.NewReader(bytes.NewReader(stream))
	req := &http.Request{Method: http.MethodGet}
	if head {
		req.Method = http.MethodHead
	}
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return parsed{err: err}
		}
		if resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return parsed{err: err}
		}
		rest, _ := io.ReadAll(r)
		return parsed{
			status: resp.StatusCode, header: resp.Header, body: string(body), bytes: int64(len(body)), closes: resp.Close, rest: string(rest),
		}
	}
}

// What the parser refuses although net/http takes it. Everything else is
// read alike by both, or refused by both.
var stricter = map[string]string{
	"folded header line":                        "net/http joins folded lines; RFC 9112 §5.2 has had them gone since 2014",
	"space in a header name":                    "net/http keeps such a header under its odd name, and so overlooks a `Content-Length :`",
	"not HTTP/1.x":                              "net/http takes any digits for a version",
	"status code is not from 100 to 999":        "net/http takes what strconv.Atoi does, such as +20 and 042",
	"unrequested change of protocol (101)":      "net/http hands the connection over to the caller",
	"Transfer-Encoding in an HTTP/1.0 response": "net/http overlooks it; RFC 9112 §6.1 calls the framing faulty",
	"line of a trailer does not end in CRLF":    "net/http demands a CRLFCRLF somewhere behind, and then also takes bare LFs",
	"header line too long":                      "net/http only limits all headers together",
}

func TestHostileResponses(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range rawserver.Hostile {
		t.Run(tt.Name, func(t *testing.T) {
			got := parse([]byte(tt.Stream), tt.Head, len(tt.Stream)+1)
			var bad *ProtocolError
			switch {
			case errors.As(got.err, &bad):
				require.Equal(t, tt.Want, bad.Reason)
				seen[tt.Want] = true
			case errors.As(got.err, new(*BodyLimitError)):
				require.Equal(t, tt.Want, "limit")
			case got.err != nil:
				require.ErrorContains(t, got.err, "EOF")
				require.Equal(t, tt.Want, "EOF")
			default:
				require.Empty(t, tt.Want)
			}
			piece := 1
			if len(tt.Stream) > 10_000 {
				piece = 997
			}
			compare(t, []byte(tt.Stream), tt.Head, piece)
		})
	}
	for reason := range stricter {
		require.True(t, seen[reason], "no example of %q", reason)
	}
	require.Equal(t, `http1: bad response: malformed status line: "SMTP"`, refuse("malformed status line", []byte("SMTP")).Error())
}

// compare fails unless the parser and net/http agree on stream, or differ
// as stricter says.
func compare(t *testing.T, stream []byte, head bool, piece int) {
	t.Helper()
	want, got := reference(stream, head), parse(stream, head, len(stream)+1)
	var reason string
	if bad := (*ProtocolError)(nil); errors.As(got.err, &bad) {
		reason = bad.Reason
	}
	same(t, got, parse(stream, head, piece), piece)
	// One that keeps nothing but what it knows of heads reads it the same each time.
	kept := got
	kept.header, kept.body = nil, ""
	var w parser
	for _, size := range []int{len(stream) + 1, len(stream) + 1, piece, len(stream) + 1} {
		same(t, kept, w.readAll(stream, head, false, size), size)
	}
	switch {
	case want.err != nil:
		require.Error(t, got.err, "net/http says %v", want.err)
		return
	case stricter[reason] != "":
		return
	}
	require.NoError(t, got.err)
	// net/http takes out what it has acted upon, and adds a Cache-Control where it
	// finds a Pragma.
	for _, h := range []http.Header{want.header, got.header} {
		h.Del("Connection")
		h.Del("Transfer-Encoding")
		h.Del("Trailer")
		h.Del("Content-Length")
		if h["Pragma"] != nil {
			h.Del("Cache-Control")
		}
	}
	require.Equal(t, want, got)
}

// same fails unless got, read in pieces, is want. What an error quotes may end
// with a piece.
func same(t *testing.T, want, got parsed, piece int) {
	t.Helper()
	var bad, other *ProtocolError
	if errors.As(want.err, &bad) && errors.As(got.err, &other) {
		require.Equal(t, bad.Reason, other.Reason, "in pieces of %d", piece)
		return
	}
	require.Equal(t, want, got, "in pieces of %d", piece)
}

// Only a connection that ends before the first byte of a response ends where one might:
// its request may be sent again.
func TestTheEndOfTheConnection(t *testing.T) {
	const interim = "HTTP/1.1 103 Early Hints\r\n\r\n"
	for stream, want := range map[string]error{
		"": io.EOF, "H": io.ErrUnexpectedEOF, "HTTP/1.1 200 OK\r\n": io.ErrUnexpectedEOF, interim: io.ErrUnexpectedEOF,
		interim + strings.Repeat("H", len(interim)): io.ErrUnexpectedEOF,
	} {
		require.Equal(t, want, parse([]byte(stream), false, len(stream)+1).err, "%q", stream)
	}
}

// A body may have as many bytes as the limit says, however it ends.
func TestBodiesMayBeAsLongAsTheLimit(t *testing.T) {
	const limit = 5
	for name, stream := range map[string]func(body string) string{
		"length": func(body string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		},
		"the end": func(body string) string { return "HTTP/1.1 200 OK\r\n\r\n" + body },
		"chunks": func(body string) string {
			return fmt.Sprintf("%s2\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", rawserver.Chunked, body[:2], len(body)-2, body[2:])
		},
	} {
		for size := limit - 1; size <= limit+1; size++ {
			var p parser
			p.reset(false, true, limit)
			_, err := p.feed([]byte(stream(strings.Repeat("x", size))))
			if size > limit {
				require.Equal(t, &BodyLimitError{limit}, err, name)
				continue
			}
			require.NoError(t, err, name)
			require.NoError(t, p.end(), name)
			require.Len(t, p.body, size, name)
		}
	}
	var p parser
	p.reset(false, true, limit)
	_, err := p.feed([]byte(rawserver.Chunked + "2\r\nxx\r\n4\r\n"))
	require.Equal(t, &BodyLimitError{limit}, err, "the size of a chunk says so before there is more of it")
}

// All lines of a head together may be as long as the limit, of which a single one is
// far.
func TestHeadsMayBeAsLongAsTheLimit(t *testing.T) {
	const status, end = "HTTP/1.1 204 No Content\r\n", "\r\n"
	line := "A: " + strings.Repeat("a", MaxHeaderLine/2-5) + "\r\n"
	head := func(size int) string {
		head := status + strings.Repeat(line, (size-len(status))/len(line)-1)
		return head + "B: " + strings.Repeat("b", size-len(head)-5-len(end)) + "\r\n" + end
	}
	require.NoError(t, parse([]byte(head(MaxHeaderBytes)), false, MaxHeaderBytes).err)
	var bad *ProtocolError
	require.ErrorAs(t, parse([]byte(head(MaxHeaderBytes+1)), false, MaxHeaderBytes).err, &bad)
	require.Equal(t, "headers too large", bad.Reason)
	require.ErrorAs(t, parse([]byte(head(MaxHeaderBytes)[:MaxHeaderBytes-2]+line), false, MaxHeaderBytes).err, &bad)
	require.Equal(t, "headers too large", bad.Reason, "found before the end of the head")
}

func TestValidToken(t *testing.T) {
	for s, want := range map[string]bool{"": false, "GET": true, "a-b": true, "a b": false, "a,": false, "\u00e9": false} {
		require.Equal(t, want, ValidToken(s), "%q", s)
	}
}

func FuzzResponse(f *testing.F) {
	for _, tt := range rawserver.Hostile {
		if len(tt.Stream) < 10_000 {
			f.Add([]byte(tt.Stream), tt.Head, uint8(7))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, head bool, piece uint8) {
		compare(t, stream, head, int(piece)+1)
	})
}
