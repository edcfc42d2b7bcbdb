package http1

import (
	"strings"
	"testing"
)

// nginxResponse has the head that nginx sends with a file.
const nginxResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.25.3\r\nDate: Thu, 26 Nov 2026 08:00:00 GMT\r\n" +
	"Content-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\nLast-Modified: Tue, 24 Oct 2023 13:46:47 GMT\r\n" +
	"Connection: keep-alive\r\nETag: \"6537cac7-267\"\r\nAccept-Ranges: bytes\r\n\r\nok"

// BenchmarkParser is the reading of a typical response by itself: one with the
// head of the last one, and one whose head differs in a byte.
func BenchmarkParser(b *testing.B) {
	for _, response := range []struct{ name, text string }{{"short", cachedResponse}, {"nginx", nginxResponse}} {
		text := []byte(response.text)
		other := []byte(strings.Replace(response.text, " OK", " ok", 1))
		for _, bench := range []struct {
			head  string
			texts [2][]byte
		}{{"known", [2][]byte{text, text}}, {"new", [2][]byte{text, other}}} {
			b.Run(response.name+"/head="+bench.head, func(b *testing.B) {
				var w parser
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					text := bench.texts[i%2]
					w.reset(false, false, testLimit)
					if n, err := w.feed(text); n != len(text) || err != nil || w.state != stateDone {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}
