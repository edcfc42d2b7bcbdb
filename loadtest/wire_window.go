package loadtest

import "sync"

// window is what has been read of a response and not been parsed yet.
type window struct {
	buf      []byte
	from, to int
	large    *[largeRead]byte // buf, if it is borrowed
}

// largeRead is read at once of bodies that are longer than readSize.
const largeRead = 32 << 10

// largeReads are few, as only requests in flight have one, and sessions many.
var largeReads = sync.Pool{New: func() any { return new([largeRead]byte) }}

func (w *window) empty() bool { return w.from == w.to }

// room returns where to read more into, behind what is there already.
func (w *window) room(p *wireParser) []byte {
	to := w.buf
	switch kept := w.to - w.from; {
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

func (w *window) free() {
	if w.large != nil {
		largeReads.Put(w.large)
	}
}
