package target

import (
	"bytes"
	"fmt"
	"net"
)

// The messages of the fast server. A request ends with an empty line; the server
// looks at the first one only to tell a question for the count from a hit.
var (
	endOfHead = []byte("\r\n\r\n")
	countLine = []byte("GET " + CountPath + " ")
	hitLine   = []byte("GET / ")
	hello     = message("200 OK", Body)
	notFound  = message("404 Not Found", "")
)

func message(status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// maxHead bounds the head of a request; a longer one costs the connection.
const maxHead = 16 << 10

// talk answers the requests of one connection until it ends.
func (f *fastServer) talk(conn net.Conn) {
	buf := make([]byte, maxHead)
	held := 0
	for {
		n, err := conn.Read(buf[held:])
		if err != nil {
			return
		}
		held += n
		rest := buf[:held]
		for {
			end := bytes.Index(rest, endOfHead)
			if end < 0 {
				break
			}
			if _, err := conn.Write(f.answer(rest[:end])); err != nil {
				return
			}
			rest = rest[end+len(endOfHead):]
		}
		if held = copy(buf, rest); held == len(buf) {
			return
		}
	}
}

func (f *fastServer) answer(head []byte) []byte {
	switch {
	case bytes.HasPrefix(head, hitLine):
		f.owner.hits.Add(1)
		return hello
	case bytes.HasPrefix(head, countLine):
		return message("200 OK", f.owner.count().String())
	}
	return notFound
}
