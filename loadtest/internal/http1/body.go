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
	if !keep {
		n, err = b.discard(body)
		return n, nil, err
	}
	if b.buf == nil {
		b.buf = make([]byte, ring.ReadSize)
	}
	b.buf = b.buf[:cap(b.buf)]
	for {
		if n == int64(len(b.buf)) {
			b.buf = append(b.buf, make([]byte, max(ring.LargeReadSize, len(b.buf)))...)
		}
		k, err := body.Read(b.buf[n:])
		n += int64(k)
		if err != nil || n > b.Limit {
			return n, b.buf[:n], b.ended(n, err)
		}
	}
}

// discard reads body to its end into memory that sessions share.
func (b *BodyReader) discard(body io.Reader) (n int64, err error) {
	var in ring.Buffer
	defer in.Free()
	for {
		k, err := body.Read(in.Room(n))
		n += int64(k)
		if err != nil || n > b.Limit {
			return n, b.ended(n, err)
		}
	}
}

// ended returns the error of a body of which n bytes were read when its reading
// stopped with err.
func (b *BodyReader) ended(n int64, err error) error {
	switch {
	case n > b.Limit:
		return &BodyLimitError{b.Limit}
	case err == io.EOF: //nolint:errorlint // as io.Reader has it
		return nil
	}
	return err
}

// Free drops the memory of the last body that was kept.
func (b *BodyReader) Free() { b.buf = nil }
