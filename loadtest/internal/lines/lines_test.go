package lines

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type read struct {
	line string
	long bool
	err  error
}

func all(r io.Reader, most int) (out []read) {
	for l := NewReader(r, most); ; {
		line, long, err := l.Next()
		out = append(out, read{string(line), long, err})
		if len(out) != l.Number() || err != nil {
			return out
		}
	}
}

func TestLinesHaveABound(t *testing.T) {
	errTest := errors.New("planted")
	for _, size := range []int{1, 100, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200_000} {
		fits, over := strings.Repeat("x", size-1)+"\n", strings.Repeat("y", size)+"\n"
		in := fits + over + fits + over + "end"
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(in), "bytes": iotest.OneByteReader(strings.NewReader(in)), "with the error": iotest.DataErrReader(strings.NewReader(in)),
		} {
			got := all(r, size)
			require.Len(t, got, 5, name)
			for i, g := range got[:4] {
				want := read{line: fits}
				if i%2 == 1 {
					want = read{line: over[:size], long: true}
				}
				require.Equal(t, want, g, "%s of %d", name, size)
			}
			require.Equal(t, io.EOF, got[4].err)
			require.Equal(t, size < len("end"), got[4].long)
		}
	}
	require.Equal(t, []read{{"a\n", false, nil}, {"b", false, errTest}}, all(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(errTest)), 10))
	require.Equal(t, []read{{"", false, io.EOF}}, all(strings.NewReader(""), 10))
}

// What is read is what is there, and nothing twice.
func FuzzReader(f *testing.F) {
	f.Add([]byte("a\n\nbcd\r\ne"), 3)
	f.Fuzz(func(t *testing.T, data []byte, most int) {
		if most < 1 {
			t.Skip()
		}
		want := bytes.SplitAfter(data, []byte("\n"))
		got := all(bytes.NewReader(data), most)
		require.Len(t, got, len(want))
		for i, g := range got {
			require.Equal(t, len(want[i]) > most, g.long)
			require.Equal(t, i == len(want)-1, g.err != nil)
			require.Equal(t, string(want[i][:min(len(want[i]), most)]), g.line)
		}
	})
}
