package ring

import "sync"

// A Buffer holds what has been read from a connection and not been consumed yet.
// Its memory is borrowed when there is something to read and given back by
// [Buffer.Free], so that many connections that wait share a few buffers, which
// stay in the CPU's caches. The zero Buffer is empty and ready for use.
type Buffer struct {
	buf      []byte
	from, to int
	small    *[ReadSize]byte
	large    *[LargeReadSize]byte // buf, if much is expected
}

const (
	// ReadSize is how much is read at once: all of most responses.
	ReadSize = 4 << 10
	// LargeReadSize is how much is read at once where more than ReadSize is expected.
	LargeReadSize = 32 << 10
)

var (
	smallReads = sync.Pool{New: func() any { return new([ReadSize]byte) }}
	largeReads = sync.Pool{New: func() any { return new([LargeReadSize]byte) }}
)

// Empty reports whether all that was read has been consumed.
func (b *Buffer) Empty() bool { return b.from == b.to }

// Bytes returns what has been read and not been consumed. It is valid until the
// next call of Room or Free.
func (b *Buffer) Bytes() []byte { return b.buf[b.from:b.to] }

// Room returns where to read more into, behind what is there already. expected is
// how many bytes are still to come, as far as that is known.
func (b *Buffer) Room(expected int64) []byte {
	to := b.buf
	switch {
	case b.buf == nil:
		b.small = smallReads.Get().(*[ReadSize]byte)
		to = b.small[:]
	case b.large == nil && expected > ReadSize:
		b.large = largeReads.Get().(*[LargeReadSize]byte)
		to = b.large[:]
	case b.to-b.from == len(b.buf):
		to = make([]byte, 2*len(b.buf)) // a long header line
	}
	b.to = copy(to, b.buf[b.from:b.to])
	b.buf, b.from = to, 0
	return b.buf[b.to:]
}

// Filled adds the n bytes that were read into what Room returned.
func (b *Buffer) Filled(n int) { b.to += n }

// Consume drops the first n bytes.
func (b *Buffer) Consume(n int) { b.from += n }

// Free gives the memory back.
func (b *Buffer) Free() {
	if b.small != nil {
		smallReads.Put(b.small)
	}
	if b.large != nil {
		largeReads.Put(b.large)
	}
	*b = Buffer{}
}
