package rawserver

import "strings"

// Response is what a server may send.
type Response struct {
	Name, Stream string
	Head         bool   // in response to a HEAD
	Want         string // why http1's parser refuses it; "": it does not; "EOF": it is incomplete; "limit": it is too long
}

// Chunked is the head of a chunked response.
const Chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// The limits of http1's parser.
const (
	maxHeaderLine   = 64 << 10
	maxHeaderBytes  = 1 << 20
	maxChunkLine    = 4 << 10
	maxTrailerBytes = 4 << 10
	maxChunkExcess  = 16 << 10
)

// extensions is a chunked response with an excess of extensions: what they are longer
// than 16 bytes and twice the data for each chunk.
func extensions(excess int) string {
	var b strings.Builder
	for b.WriteString(Chunked); excess > 0; {
		n := min(excess, 2000)
		excess -= n
		b.WriteString("1;" + strings.Repeat("e", n+14) + "\r\nx\r\n")
	}
	return b.String() + "0\r\n\r\n"
}

// Hostile are responses that clients have disagreed about, and some plain ones.
var Hostile = []Response{
	{"plain", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, ""},
	{"odd reason", "HTTP/1.1 200 \x00\r\xff\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"spaces before the code", "HTTP/1.1   200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, ""},
	{"mixed line ends", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\nok", false, ""},
	{"nothing", "", false, "EOF"},
	{"blank line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", false, "malformed status line"},
	{"HTTP/0.9", "<html>hello</html>", false, "EOF"},
	{"HTTP/0.9 with a line", "<html>hello</html>\n", false, "malformed status line"},
	{"lower case", "http/1.1 200 OK\r\n\r\n", false, "malformed status line"},
	{"short version", "HTTP/1 200 OK\r\n\r\n", false, "malformed status line"},
	{"version alone", "HTTP/1.1\r\n\r\n", false, "malformed status line"},
	{"long version", "HTTP/1.10 200 OK\r\n\r\n", false, "malformed status line"},
	{"version 2", "HTTP/2.0 200 OK\r\n\r\n", false, "not HTTP/1.x"},
	{"version 0.9", "HTTP/0.9 200 OK\r\n\r\n", false, "not HTTP/1.x"},
	{"version 1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"tab instead of space", "HTTP/1.1\t200 OK\r\n\r\n", false, "malformed status line"},
	{"no code", "HTTP/1.1 \r\n\r\n", false, "malformed status code"},
	{"words", "HTTP/1.1 two hundred\r\n\r\n", false, "malformed status code"},
	{"a letter first", "HTTP/1.1 x00 OK\r\n\r\n", false, "malformed status code"},
	{"a letter within", "HTTP/1.1 2x0 OK\r\n\r\n", false, "malformed status code"},
	{"a letter last", "HTTP/1.1 20x OK\r\n\r\n", false, "malformed status code"},
	{"two digits", "HTTP/1.1 20 OK\r\n\r\n", false, "malformed status code"},
	{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", false, "malformed status code"},
	{"plus", "HTTP/1.1 +20 OK\r\n\r\n", false, "status code is not from 100 to 999"},
	{"minus", "HTTP/1.1 -20 OK\r\n\r\n", false, "status code is not from 100 to 999"},
	{"minus nothing", "HTTP/1.1 -00 OK\r\n\r\n", false, "status code is not from 100 to 999"},
	{"code below 100", "HTTP/1.1 042 OK\r\n\r\n", false, "status code is not from 100 to 999"},
	{"code 999", "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", false, ""},

	{"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", false, "folded header line"},
	{"folded by a tab", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\t0\r\n\r\n", false, "folded header line"},
	{"folded length", "HTTP/1.1 200 OK\nContent-Length:\n 0\n\n", false, "folded header line"},
	{"folded at once", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", false, "folded header line"},
	{"folded blank", "HTTP/1.1 200 OK\r\nA: b\r\n \r\nContent-Length: 0\r\n\r\n", false, "folded header line"},
	{"no colon", "HTTP/1.1 200 OK\r\nAb\r\n\r\n", false, "malformed header line"},
	{"no name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", false, "malformed header line"},
	{"space in the name", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", false, "space in a header name"},
	{"tab in the name", "HTTP/1.1 200 OK\r\nA\t: 2\r\n\r\nok", false, "malformed header line"},
	{"colon in the value", "HTTP/1.1 200 OK\r\nA:b:c\r\nContent-Length:0\r\n\r\n", false, ""},
	{"control in the value", "HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", false, "malformed header line"},
	{"control far in the value", "HTTP/1.1 200 OK\r\nA: 0123456789abcdef\x1f0123456789\r\n\r\n", false, "malformed header line"},
	{"delete in the value", "HTTP/1.1 200 OK\r\nA: 01234567\x7f1234567\r\n\r\n", false, "malformed header line"},
	{"CR in the value", "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 0\r\n\r\n", false, "malformed header line"},
	{"two CRs", "HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", false, "malformed header line"},
	{"tabs in the value", "HTTP/1.1 200 OK\r\nA:\t0123456\t0123456789\t \r\nContent-Length: 0\r\n\r\n", false, ""},
	{"eight bits", "HTTP/1.1 200 OK\r\nA: \x80\xff\xa0 b\xfcchereien\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"eight bits in the name", "HTTP/1.1 200 OK\r\nB\xfc: x\r\nContent-Length: 0\r\n\r\n", false, "malformed header line"},
	{"empty value", "HTTP/1.1 200 OK\r\nA:\r\nContent-Length: 0\r\n\r\n", false, ""},
	{"head cut off", "HTTP/1.1 200 OK\r\nA: b\r\n", false, "EOF"},
	{"head cut off in a line", "HTTP/1.1 200 OK\r\nContent-Length: 0", false, "EOF"},
	{"head cut off by a CR", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", false, "EOF"},
	{"line as long as may be", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: " + strings.Repeat("a", maxHeaderLine-5) + "\r\n\r\n", false, ""},
	{"line too long", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHeaderLine-4) + "\r\nContent-Length: 0\r\n\r\n", false, "header line too long"},

	{"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length:2 \r\n\r\nok", false, ""},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", false, "conflicting Content-Length"},
	{"no length, and one", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nok", false, "conflicting Content-Length"},
	{"bad length, and two", "HTTP/1.1 200 OK\r\nContent-Length: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", false, "bad Content-Length"},
	{"two spellings of a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nok", false, "conflicting Content-Length"},
	{"list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", false, "bad Content-Length"},
	{"empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", false, "bad Content-Length"},
	{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", false, "bad Content-Length"},
	{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", false, "bad Content-Length"},
	{"hexadecimal length", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", false, "bad Content-Length"},
	{"length with an underscore", "HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789", false, "bad Content-Length"},
	{"length with zeros", "HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000000000002\r\n\r\nok", false, ""},
	{"greatest length", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", false, "limit"},
	{"length too great", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", false, "bad Content-Length"},
	{"length beyond the body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false, "EOF"},
	{"more than the length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false, ""},
	{"no length", "HTTP/1.1 200 OK\r\n\r\nto the end", false, ""},
	{"no length, kept alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nto the end", false, ""},
	{"bad length of no body", "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", false, "bad Content-Length"},

	{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", true, ""},
	{"HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, ""},
	{"HEAD, no length", "HTTP/1.1 200 OK\r\n\r\n", true, ""},
	{"HEAD with a body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, ""},
	{"HEAD, bad coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", true, "unsupported Transfer-Encoding"},
	{"204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, ""},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, ""},
	{"304, chunked", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, ""},

	{"100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"103 and 102", "HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: close\r\n\r\nHTTP/1.1 102 P\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"100 alone", "HTTP/1.1 100 Continue\r\n\r\n", false, "EOF"},
	{"bad 100", "HTTP/1.1 100 Continue\r\nContent-Length: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "bad Content-Length"},
	{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, "unrequested change of protocol (101)"},
	{"endless 100", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHeaderBytes/25+1), false, "headers too large"},

	{"chunked", Chunked + "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n", false, ""},
	{"chunked in capitals", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\na\r\n0123456789\r\nF\r\n0123456789abcde\r\n0\r\n\r\n", false, ""},
	{"chunked with a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, ""},
	{"chunked, then a length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, ""},
	{"chunked with two lengths", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, "conflicting Content-Length"},
	{"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, "unsupported Transfer-Encoding"},
	{"gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, "unsupported Transfer-Encoding"},
	{"identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", false, "unsupported Transfer-Encoding"},
	{"empty coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 0\r\n\r\n", false, "unsupported Transfer-Encoding"},
	{"obscured coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n", false, "unsupported Transfer-Encoding"},
	{"chunked by HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, "Transfer-Encoding in an HTTP/1.0 response"},
	{"extensions", Chunked + "3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n", false, ""},
	{"space behind a size", Chunked + "3 \t\r\nabc\r\n0\r\n\r\n", false, ""},
	{"space before an extension", Chunked + "3 ;a\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"space before a size", Chunked + " 3\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"no size", Chunked + "\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"extension without a size", Chunked + ";a\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"signed size", Chunked + "+3\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"0x", Chunked + "0x3\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"size of 16 digits", Chunked + "0000000000000003\r\nabc\r\n0\r\n\r\n", false, ""},
	{"size of 17 digits", Chunked + "00000000000000003\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"greatest size", Chunked + "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", false, "limit"},
	{"bare LF behind a size", Chunked + "3\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"CR in a size line", Chunked + "3;a\rb\r\nabc\r\n0\r\n\r\n", false, "malformed chunk size"},
	{"bare LF behind a chunk", Chunked + "3\r\nabc\n0\r\n\r\n", false, "chunk does not end in CRLF"},
	{"chunk too long", Chunked + "3\r\nabcd\r\n0\r\n\r\n", false, "chunk does not end in CRLF"},
	{"chunk too short", Chunked + "4\r\nabc\r\n0\r\n\r\n", false, "chunk does not end in CRLF"},
	{"chunk cut off", Chunked + "5\r\nabc", false, "EOF"},
	{"no last chunk", Chunked + "3\r\nabc\r\n", false, "EOF"},
	{"no end of the trailer", Chunked + "0\r\n", false, "EOF"},
	{"half an end of the trailer", Chunked + "0\r\n\r", false, "EOF"},
	{"size line as long as may be", Chunked + "0;" + strings.Repeat("a", maxChunkLine-4) + "\r\n\r\n", false, ""},
	{"size line too long", Chunked + "0;" + strings.Repeat("a", maxChunkLine-3) + "\r\n\r\n", false, "chunk size line too long"},
	{"mostly extensions", Chunked + strings.Repeat("1;"+strings.Repeat("e", 2000)+"\r\nx\r\n", 9) + "0\r\n\r\n", false, "chunked encoding contains too much non-data"},
	{"some extensions", Chunked + strings.Repeat("1;"+strings.Repeat("e", 2000)+"\r\nx\r\n", 8) + "0\r\n\r\n", false, ""},
	{"extensions as long as may be", extensions(maxChunkExcess), false, ""},
	{"extensions too long", extensions(maxChunkExcess + 1), false, "chunked encoding contains too much non-data"},
	{"single bytes", Chunked + strings.Repeat("1\r\nx\r\n", 9000) + "0\r\n\r\n", false, ""},
	{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A, Digest\r\n\r\n2\r\nok\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\nrest", false, ""},
	{"folded trailer", Chunked + "0\r\nA: b\r\n c\r\n\r\n", false, "folded header line"},
	{"bad trailer", Chunked + "0\r\nA b\r\n\r\n", false, "malformed header line"},
	{"bare LF in a trailer", Chunked + "0\r\nA: b\nC: d\r\n\r\n", false, "line of a trailer does not end in CRLF"},
	{"bare LF for a trailer", Chunked + "0\r\n\n\r\n\r\n", false, "line of a trailer does not end in CRLF"},
	{"trailer cut off", Chunked + "0\r\nA: b\r\n", false, "EOF"},
	{"trailer as long as may be", Chunked + "0\r\nA: " + strings.Repeat("b", maxTrailerBytes-7) + "\r\n\r\n", false, ""},
	{"trailer too long", Chunked + "0\r\nA: " + strings.Repeat("b", maxTrailerBytes-6) + "\r\n\r\n", false, "trailer too large"},
	{"trailer of many lines too long", Chunked + "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", maxTrailerBytes/4)+"\r\n", 4) + "\r\n", false, "trailer too large"},
	{"coding in the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Transfer-Encoding\r\n\r\n0\r\n\r\n", false, "bad name in Trailer"},
	{"trailer in the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: trailer\r\n\r\n0\r\n\r\n", false, "bad name in Trailer"},
	{"length in the first of two trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: content-length\r\nTrailer: a\r\n\r\n0\r\n\r\n", false, "bad name in Trailer"},
	{"length in the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a, content-Length\r\n\r\n0\r\n\r\n", false, "bad name in Trailer"},
	{"trailer without chunks", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTrailer: Content-Length\r\n\r\n", false, ""},

	{"close", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"close in a second line", "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close,\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"not close", "HTTP/1.1 200 OK\r\nConnection: closed, not close\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"HTTP/1.0, kept alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", false, ""},
	{"HTTP/1.0, both", "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n\r\nok", false, ""},
}
