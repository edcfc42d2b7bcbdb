// Package lines reads text line by line in bounded memory.
package lines

import (
	"bufio"
	"errors"
	"io"
)

// Reader reads lines.
type Reader struct {
	r   *bufio.Reader
	max int
	n   int
	buf []byte // of a line that was read in parts
}

// NewReader returns a Reader of r whose lines have at most so many bytes, their ends
// included.
func NewReader(r io.Reader, most int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), max: most}
}

// Number returns the number of the line that was read last, from 1.
func (l *Reader) Number() int { return l.n }

// Next returns the next line with its end, which is valid until the next call. Of a line
// that is longer than it may be it returns what it may have, and long. An error comes with
// what was read before it.
func (l *Reader) Next() (line []byte, long bool, err error) {
	l.n++
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if room := l.max - len(l.buf); len(part) > room {
			part, long = part[:room], true
		}
		if len(l.buf) == 0 && !errors.Is(err, bufio.ErrBufferFull) {
			return part, long, err // without a copy
		}
		l.buf = append(l.buf, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.buf, long, err
		}
	}
}
