package loadtest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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

// parse has a wire parser read stream, which comes in pieces of the given size.
func parse(stream []byte, head bool, piece int) parsed {
	return new(wireParser).parse(stream, head, true, piece)
}

func (w *wireParser) parse(stream []byte, head, keep bool, piece int) parsed {
	w.reset(head, keep, defaultMaxResponseBytes)
	from, to := 0, 0
	for {
		n, err := w.feed(stream[from:to])
		from += n
		switch {
		case err != nil || w.state == wireDone:
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

// What the wire parser refuses although net/http takes it. Everything else is
// read alike by both, or refused by both.
var stricter = map[string]string{
	reasonFolded:      "net/http joins folded lines; RFC 9112 §5.2 has had them gone since 2014",
	reasonNameSpace:   "net/http keeps such a header under its odd name, and so overlooks a `Content-Length :`",
	reasonVersion:     "net/http takes any digits for a version",
	reasonStatusRange: "net/http takes what strconv.Atoi does, such as +20 and 042",
	reasonUpgrade:     "net/http hands the connection over to the caller",
	reasonEncoding10:  "net/http overlooks it; RFC 9112 §6.1 calls the framing faulty",
	reasonTrailerLF:   "net/http demands a CRLFCRLF somewhere behind, and then also takes bare LFs",
	reasonLineLength:  "net/http only limits all headers together",
}

// hostile responses, and what the parser makes of them: a reason, or "" if it
// takes them, or "EOF" if they are not complete.
var hostile = []struct {
	name, stream string
	head         bool
	want         string
}{
	{"plain", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, ""},
	{"odd reason", "HTTP/1.1 200 \x00\r\xff\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"spaces before the code", "HTTP/1.1   200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, ""},
	{"mixed line ends", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\nok", false, ""},
	{"nothing", "", false, "EOF"},
	{"blank line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", false, reasonStatusLine},
	{"HTTP/0.9", "<html>hello</html>", false, "EOF"},
	{"HTTP/0.9 with a line", "<html>hello</html>\n", false, reasonStatusLine},
	{"lower case", "http/1.1 200 OK\r\n\r\n", false, reasonStatusLine},
	{"short version", "HTTP/1 200 OK\r\n\r\n", false, reasonStatusLine},
	{"long version", "HTTP/1.10 200 OK\r\n\r\n", false, reasonStatusLine},
	{"version 2", "HTTP/2.0 200 OK\r\n\r\n", false, reasonVersion},
	{"version 0.9", "HTTP/0.9 200 OK\r\n\r\n", false, reasonVersion},
	{"version 1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"tab instead of space", "HTTP/1.1\t200 OK\r\n\r\n", false, reasonStatusLine},
	{"no code", "HTTP/1.1 \r\n\r\n", false, reasonStatusCode},
	{"words", "HTTP/1.1 two hundred\r\n\r\n", false, reasonStatusCode},
	{"two digits", "HTTP/1.1 20 OK\r\n\r\n", false, reasonStatusCode},
	{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", false, reasonStatusCode},
	{"plus", "HTTP/1.1 +20 OK\r\n\r\n", false, reasonStatusRange},
	{"minus", "HTTP/1.1 -20 OK\r\n\r\n", false, reasonStatusRange},
	{"minus nothing", "HTTP/1.1 -00 OK\r\n\r\n", false, reasonStatusRange},
	{"code below 100", "HTTP/1.1 042 OK\r\n\r\n", false, reasonStatusRange},
	{"code 999", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", false, ""},

	{"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", false, reasonFolded},
	{"folded by a tab", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\t0\r\n\r\n", false, reasonFolded},
	{"folded length", "HTTP/1.1 200 OK\nContent-Length:\n 0\n\n", false, reasonFolded},
	{"folded at once", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", false, reasonFolded},
	{"folded blank", "HTTP/1.1 200 OK\r\nA: b\r\n \r\nContent-Length: 0\r\n\r\n", false, reasonFolded},
	{"no colon", "HTTP/1.1 200 OK\r\nAb\r\n\r\n", false, reasonHeaderLine},
	{"no name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", false, reasonHeaderLine},
	{"space in the name", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", false, reasonNameSpace},
	{"tab in the name", "HTTP/1.1 200 OK\r\nA\t: 2\r\n\r\nok", false, reasonHeaderLine},
	{"colon in the value", "HTTP/1.1 200 OK\r\nA:b:c\r\nContent-Length:0\r\n\r\n", false, ""},
	{"control in the value", "HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", false, reasonHeaderLine},
	{"control far in the value", "HTTP/1.1 200 OK\r\nA: 0123456789abcdef\x1f0123456789\r\n\r\n", false, reasonHeaderLine},
	{"delete in the value", "HTTP/1.1 200 OK\r\nA: 01234567\x7f1234567\r\n\r\n", false, reasonHeaderLine},
	{"CR in the value", "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 0\r\n\r\n", false, reasonHeaderLine},
	{"two CRs", "HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", false, reasonHeaderLine},
	{"tabs in the value", "HTTP/1.1 200 OK\r\nA:\t0123456\t0123456789\t \r\nContent-Length: 0\r\n\r\n", false, ""},
	{"eight bits", "HTTP/1.1 200 OK\r\nA: \x80\xff\xa0 b\xfcchereien\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"eight bits in the name", "HTTP/1.1 200 OK\r\nB\xfc: x\r\nContent-Length: 0\r\n\r\n", false, reasonHeaderLine},
	{"empty value", "HTTP/1.1 200 OK\r\nA:\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"head cut off", "HTTP/1.1 200 OK\r\nA: b\r\n", false, "EOF"},
	{"head cut off in a line", "HTTP/1.1 200 OK\r\nContent-Length: 0", false, "EOF"},
	{"head cut off by a CR", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", false, "EOF"},
	{"line as long as may be", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: " + strings.Repeat("a", maxHeaderLine-5) + "\r\n\r\n", false, ""},
	{"line too long", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHeaderLine-4) + "\r\nContent-Length: 0\r\n\r\n", false, reasonLineLength},

	{"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length:2 \r\n\r\nok", false, ""},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", false, reasonLengths},
	{"two spellings of a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nok", false, reasonLengths},
	{"list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", false, reasonLength},
	{"empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", false, reasonLength},
	{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", false, reasonLength},
	{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", false, reasonLength},
	{"hexadecimal length", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", false, reasonLength},
	{"length with an underscore", "HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789", false, reasonLength},
	{"length with zeros", "HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000000000002\r\n\r\nok", false, ""},
	{"greatest length", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", false, "limit"},
	{"length too great", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", false, reasonLength},
	{"length beyond the body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false, "EOF"},
	{"more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false, ""},
	{"no length", "HTTP/1.1 200 OK\r\n\r\nto the end", false, ""},
	{"no length, kept alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nto the end", false, ""},
	{"bad length of no body", "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", false, reasonLength},

	{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", true, ""},
	{"HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, ""},
	{"HEAD, no length", "HTTP/1.1 200 OK\r\n\r\n", true, ""},
	{"HEAD with a body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, ""},
	{"HEAD, bad coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", true, reasonEncoding},
	{"204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, ""},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, ""},
	{"304, chunked", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, ""},

	{"100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"103 and 102", "HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: close\r\n\r\nHTTP/1.1 102 P\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"100 alone", "HTTP/1.1 100 Continue\r\n\r\n", false, "EOF"},
	{"bad 100", "HTTP/1.1 100 Continue\r\nContent-Length: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, reasonLength},
	{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, reasonUpgrade},
	{"endless 100", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHeaderBytes/25+1), false, reasonHeaderSize},

	{"chunked", chunked + "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n", false, ""},
	{"chunked in capitals", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", false, ""},
	{"chunked with a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, ""},
	{"chunked, then a length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, ""},
	{"chunked with two lengths", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, reasonLengths},
	{"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, reasonEncoding},
	{"gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, reasonEncoding},
	{"identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", false, reasonEncoding},
	{"empty coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 0\r\n\r\n", false, reasonEncoding},
	{"obscured coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n", false, reasonEncoding},
	{"chunked by HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, reasonEncoding10},
	{"extensions", chunked + "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", false, ""},
	{"space behind a size", chunked + "3 \t\r\nabc\r\n0\r\n\r\n", false, ""},
	{"space before an extension", chunked + "3 ;a\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"space before a size", chunked + " 3\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"no size", chunked + "\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"extension without a size", chunked + ";a\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"signed size", chunked + "+3\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"0x", chunked + "0x3\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"size of 16 digits", chunked + "0000000000000003\r\nabc\r\n0\r\n\r\n", false, ""},
	{"size of 17 digits", chunked + "00000000000000003\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"greatest size", chunked + "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", false, "limit"},
	{"bare LF behind a size", chunked + "3\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"CR in a size line", chunked + "3;a\rb\r\nabc\r\n0\r\n\r\n", false, reasonChunkLine},
	{"bare LF behind a chunk", chunked + "3\r\nabc\n0\r\n\r\n", false, reasonChunkEnd},
	{"chunk too long", chunked + "3\r\nabcd\r\n0\r\n\r\n", false, reasonChunkEnd},
	{"chunk too short", chunked + "4\r\nabc\r\n0\r\n\r\n", false, reasonChunkEnd},
	{"chunk cut off", chunked + "5\r\nabc", false, "EOF"},
	{"no last chunk", chunked + "3\r\nabc\r\n", false, "EOF"},
	{"no end of the trailer", chunked + "0\r\n", false, "EOF"},
	{"half an end of the trailer", chunked + "0\r\n\r", false, "EOF"},
	{"size line as long as may be", chunked + "0;" + strings.Repeat("a", maxChunkLine-4) + "\r\n\r\n", false, ""},
	{"size line too long", chunked + "0;" + strings.Repeat("a", maxChunkLine-3) + "\r\n\r\n", false, reasonChunkLength},
	{"mostly extensions", chunked + strings.Repeat("1;"+strings.Repeat("e", 2000)+"\r\nx\r\n", 9) + "0\r\n\r\n", false, reasonChunkOverhead},
	{"some extensions", chunked + strings.Repeat("1;"+strings.Repeat("e", 2000)+"\r\nx\r\n", 8) + "0\r\n\r\n", false, ""},
	{"single bytes", chunked + strings.Repeat("1\r\nx\r\n", 9000) + "0\r\n\r\n", false, ""},
	{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A, Digest\r\n\r\n2\r\nok\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\nrest", false, ""},
	{"folded trailer", chunked + "0\r\nA: b\r\n c\r\n\r\n", false, reasonFolded},
	{"bad trailer", chunked + "0\r\nA b\r\n\r\n", false, reasonHeaderLine},
	{"bare LF in a trailer", chunked + "0\r\nA: b\nC: d\r\n\r\n", false, reasonTrailerLF},
	{"bare LF for a trailer", chunked + "0\r\n\n\r\n\r\n", false, reasonTrailerLF},
	{"trailer cut off", chunked + "0\r\nA: b\r\n", false, "EOF"},
	{"trailer as long as may be", chunked + "0\r\nA: " + strings.Repeat("b", maxTrailerBytes-7) + "\r\n\r\n", false, ""},
	{"trailer too long", chunked + "0\r\nA: " + strings.Repeat("b", maxTrailerBytes-6) + "\r\n\r\n", false, reasonTrailerSize},
	{"length in the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a, content-Length\r\n\r\n0\r\n\r\n", false, reasonTrailerName},
	{"trailer without chunks", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTrailer: Content-Length\r\n\r\n", false, ""},

	{"close", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"close in a second line", "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close,\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"not close", "HTTP/1.1 200 OK\r\nConnection: closed, not close\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"HTTP/1.0, kept alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"HTTP/1.0, both", "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n\r\nok", false, ""},
}

func TestHostileResponses(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			got := parse([]byte(tt.stream), tt.head, len(tt.stream)+1)
			var bad *ProtocolError
			switch {
			case errors.As(got.err, &bad):
				require.ErrorIs(t, got.err, ErrProtocol)
				require.Equal(t, ClassProtocol, classify(got.err))
				require.Equal(t, tt.want, bad.Reason)
				seen[tt.want] = true
			case classify(got.err) == ClassBodyLimit:
				require.Equal(t, tt.want, "limit")
			case got.err != nil:
				require.Equal(t, ClassEOF, classify(got.err))
				require.Equal(t, tt.want, "EOF")
			default:
				require.Empty(t, tt.want)
			}
			piece := 1
			if len(tt.stream) > 10_000 {
				piece = 997
			}
			compare(t, []byte(tt.stream), tt.head, piece)
		})
	}
	for reason := range stricter {
		require.True(t, seen[reason], "no example of %q", reason)
	}
	require.Equal(t, `loadtest: bad HTTP response: malformed status line: "SMTP"`, refuse(reasonStatusLine, []byte("SMTP")).Error())
}

// compare fails unless the wire parser and net/http agree on stream, or differ
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
	var w wireParser
	for _, size := range []int{len(stream) + 1, len(stream) + 1, piece, len(stream) + 1} {
		same(t, kept, w.parse(stream, head, false, size), size)
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

func FuzzWireResponse(f *testing.F) {
	for _, tt := range hostile {
		if len(tt.stream) < 10_000 {
			f.Add([]byte(tt.stream), tt.head, uint8(7))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, head bool, piece uint8) {
		compare(t, stream, head, int(piece)+1)
	})
}
