package http1

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/ring"
)

// A body is read to its end and to its last byte, however it comes and ends, and one
// that is kept is not cut where the memory for it grows.
func TestBodiesAreReadWhole(t *testing.T) {
	const limit = 3 * ring.LargeReadSize
	whole := make([]byte, limit+1)
	for i := range whole {
		whole[i] = byte(i % 251)
	}
	var b BodyReader
	for _, size := range []int{0, 1, ring.ReadSize - 1, ring.ReadSize, ring.ReadSize + 1, ring.LargeReadSize, ring.ReadSize + ring.LargeReadSize, limit, limit + 1} {
		for how, body := range map[string]func(io.Reader) io.Reader{
			"at once":      func(r io.Reader) io.Reader { return r },
			"in halves":    iotest.HalfReader,
			"with its end": iotest.DataErrReader,
		} {
			for _, keep := range []bool{false, true} {
				b.Limit = limit
				n, kept, err := b.ReadAll(body(bytes.NewReader(whole[:size])), keep)
				if size > limit {
					require.Equal(t, &BodyLimitError{limit}, err)
					continue
				}
				require.NoError(t, err, "%d bytes %s", size, how)
				require.EqualValues(t, size, n, "%d bytes %s", size, how)
				if keep {
					require.True(t, bytes.Equal(whole[:size], kept), "%d bytes %s", size, how)
				} else {
					require.Nil(t, kept)
				}
			}
		}
	}
}

// A body that breaks off ends with the error of its connection, after what there was.
func TestBodiesThatBreakOffSayWhy(t *testing.T) {
	errBroken := errors.New("broken")
	for _, keep := range []bool{false, true} {
		b := BodyReader{Limit: 100}
		n, kept, err := b.ReadAll(io.MultiReader(bytes.NewReader([]byte("abc")), iotest.ErrReader(errBroken)), keep)
		require.Equal(t, errBroken, err)
		require.EqualValues(t, 3, n)
		if keep {
			require.Equal(t, "abc", string(kept))
		}
	}
}

// The memory of a body that was kept holds the next one too.
func TestKeptBodiesShareTheirMemory(t *testing.T) {
	b := BodyReader{Limit: 1 << 20}
	body := bytes.Repeat([]byte("x"), 100_000)
	_, kept, err := b.ReadAll(bytes.NewReader(body), true)
	require.NoError(t, err)
	_, next, err := b.ReadAll(bytes.NewReader(body[:50_000]), true)
	require.NoError(t, err)
	require.Same(t, &kept[0], &next[0])
	b.Free()
	_, next, err = b.ReadAll(bytes.NewReader(body), true)
	require.NoError(t, err)
	require.NotSame(t, &kept[0], &next[0])
}
