package http1

import (
	"strings"
	"testing"
)

// BenchmarkParser is the reading of a typical response by itself: one with the
// head of the last one, and one whose head differs in a byte.
func BenchmarkParser(b *testing.B) {
	text := []byte(cachedResponse)
	other := []byte(strings.Replace(cachedResponse, " OK", " ok", 1))
	for _, bench := range []struct {
		head  string
		texts [2][]byte
	}{{"known", [2][]byte{text, text}}, {"new", [2][]byte{text, other}}} {
		b.Run("head="+bench.head, func(b *testing.B) {
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
