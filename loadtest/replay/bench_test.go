package replay

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkWalk is what a line costs: a walk is what both the source and the schedule of a
// run do.
func BenchmarkWalk(b *testing.B) {
	for _, bb := range []struct{ name, line string }{
		{"common", strings.TrimSpace(generatedLine(0))},
		{"caddy", written["Caddy"].line},
		{"traefik", written["Traefik"].line},
	} {
		b.Run("format="+bb.name, func(b *testing.B) {
			text := strings.Repeat(bb.line+"\n", 1000)
			b.SetBytes(int64(len(bb.line) + 1))
			b.ReportAllocs()
			w := newWalk(io.MultiReader(), &Config{})
			for b.Loop() {
				_, err := w.next()
				if errors.Is(err, io.EOF) {
					w = newWalk(strings.NewReader(text), &Config{})
					_, err = w.next()
				}
				require.NoError(b, err)
			}
		})
	}
}
