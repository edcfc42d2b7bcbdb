package target

import (
	"bytes"
	"fmt"
	"slices"
)

// The messages of the raw servers. A request ends with an empty line; its first
// line tells a hit from a question for the count, and its Connection header and
// version say whether another may follow.
var (
	endOfHead = []byte("\r\n\r\n")
	countLine = []byte("GET " + CountPath + " ")
	hitLine   = []byte("GET / ")
	http10    = []byte(" HTTP/1.0\r\n")
	hello     = message("200 OK", Body, false)
	helloLast = message("200 OK", Body, true)
	notFound  = message("404 Not Found", "", false)
)

func message(status, body string, last bool) []byte {
	var more string
	if last {
		more = "Connection: close\r\n"
	}
	text := fmt.Appendf(nil, "HTTP/1.1 %s\r\n%sContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", status, more, len(body), body)
	return slices.Clip(text) // whoever appends to it gets a copy
}

// maxHead bounds the head of a request; a longer one costs the connection.
const maxHead = 16 << 10

// answer counts a hit and gives the reply to a head, with its empty line; last
// says that the connection ends with it.
func (s *Server) answer(head []byte) (reply []byte, last bool) {
	last = wantsClose(head)
	switch {
	case bytes.HasPrefix(head, hitLine):
		s.hit()
		if last {
			return helloLast, true
		}
		return hello, false
	case bytes.HasPrefix(head, countLine):
		return message("200 OK", s.count().String(), last), last
	}
	return notFound, last
}

// wantsClose is true of HTTP/1.0 altogether: no client here keeps such a
// connection.
func wantsClose(head []byte) bool {
	first := bytes.IndexByte(head, '\n') + 1
	if bytes.HasSuffix(head[:first], http10) {
		return true
	}
	for line := range bytes.Lines(head[first:]) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("close")) {
			return true
		}
	}
	return false
}
