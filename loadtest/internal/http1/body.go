package http1

import (
	"io"

	"example.com/brunt/loadtest/internal/ring"
)

// BodyReader reads bodies of responses to their end, so that their connections can be
// used again. It is used by one goroutine at a time.
type BodyReader struct {
	Limit int64 // of a body, in bytes

	buf []byte // of the last body that was kept
}

// ReadAll returns how many bytes body has and, with keep, the bytes, which are valid
// until the next call. The error of a body that is too long is a [*BodyLimitError].
func (b *BodyReader) ReadAll(body io.Reader, keep bool) (n int64, kept []byte, err error) {
	var in ring.Buffer // memory that sessions share
	defer in.Free()
	for {
		var room []byte
		if keep {
			room = b.room(n)
		} else {
			room = in.Room(n)
		}
		k, err := body.Read(room)
		switch n += int64(k); {
		case n > b.Limit:
			err = &BodyLimitError{b.Limit}
		case err == nil:
			continue
		case err == io.EOF:
			err = nil
		}
		if keep {
			kept = b.buf[:n]
		}
		return n, kept, err
	}
}

// room returns where to read more into, behind the n bytes that are kept.
func (b *BodyReader) room(n int64) []byte {
	switch {
	case b.buf == nil:
		b.buf = make([]byte, ring.ReadSize)
	case n == int64(len(b.buf)):
		b.buf = append(b.buf, make([]byte, max(ring.LargeReadSize, len(b.buf)))...)
	}
	b.buf = b.buf[:cap(b.buf)]
	return b.buf[n:]
}

// Free drops the memory of the last body that was kept.
func (b *BodyReader) Free() { b.buf = nil }
