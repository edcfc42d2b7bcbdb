package loadtest

import "sync"

// window is what has been read of a response and not been parsed yet. Its memory
// is borrowed when there is something to read and given back with the response,
// so that many connections that wait share a few buffers, which stay in the
// CPU's caches.
type window struct {
	buf      []byte
	from, to int
	small    *[readSize]byte
	large    *[largeRead]byte // buf, if the body is long
}

const (
	// readSize is what is read at once: all of most responses.
	readSize = 4 << 10
	// largeRead is read at once of bodies that are longer than readSize.
	largeRead = 32 << 10
)

var (
	smallReads = sync.Pool{New: func() any { return new([readSize]byte) }}
	largeReads = sync.Pool{New: func() any { return new([largeRead]byte) }}
)

func (w *window) empty() bool { return w.from == w.to }

// room returns where to read more into, behind what is there already.
func (w *window) room(p *wireParser) []byte {
	to := w.buf
	switch kept := w.to - w.from; {
	case w.buf == nil:
		w.small = smallReads.Get().(*[readSize]byte)
		to = w.small[:]
	case w.large == nil && p.inBody() && max(p.left, p.bytes) > readSize:
		w.large = largeReads.Get().(*[largeRead]byte)
		to = w.large[:]
	case kept == len(w.buf):
		to = make([]byte, 2*len(w.buf)) // a long header line
	}
	w.to = copy(to, w.buf[w.from:w.to])
	w.buf, w.from = to, 0
	return w.buf[w.to:]
}

// parse takes n more bytes that were read, and says whether they complete the
// response.
func (w *window) parse(p *wireParser, n int) (done bool, err error) {
	w.to += n
	took, err := p.feed(w.buf[w.from:w.to])
	w.from += took
	return p.state == wireDone, err
}

// free gives back what was borrowed.
func (w *window) free() {
	if w.small != nil {
		smallReads.Put(w.small)
	}
	if w.large != nil {
		largeReads.Put(w.large)
	}
	*w = window{}
}
