package replay

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"example.com/brunt/loadtest"
)

const (
	maxLogLine     = 64 << 10 // longer than a server lets a request line and its headers be
	maxRequestLine = 16 << 20 // its body may be in it
	maxQuoted      = 200      // of a bad line in its error
)

// lines reads one line after another.
type lines struct {
	r   *bufio.Reader
	max int
	buf []byte
	n   int // the number of the line that was read last
}

// newLines reads r, and what it holds if that is compressed with gzip.
func newLines(r io.Reader, most int) (*lines, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("replay: gzip: %w", err)
		}
		br = bufio.NewReaderSize(zr, 64<<10)
	}
	return &lines{r: br, max: most}, nil
}

// next returns the next line without its end, and [io.EOF] if there is none. One that is too
// long is a *loadtest.LineError, after which there may be more.
func (l *lines) next() (string, error) {
	l.n++
	l.buf = l.buf[:0]
	var part []byte
	err := bufio.ErrBufferFull
	size := 0
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = l.r.ReadSlice('\n')
		if size += len(part); size <= l.max {
			l.buf = append(l.buf, part...)
		}
	}
	switch {
	case err != nil && (!errors.Is(err, io.EOF) || size == 0):
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("replay: after line %d: %w", l.n-1, err)
		}
		return "", err
	case size > l.max:
		return "", lineError(l.n, string(l.buf), fmt.Errorf("longer than %d bytes", l.max))
	}
	text := strings.TrimRight(string(l.buf), "\r\n")
	if l.n == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	return text, nil
}

// userinfo matches the credentials of a URL.
var userinfo = regexp.MustCompile(`//[^/?#\s"]*@`)

func lineError(n int, text string, err error) *loadtest.LineError {
	text = userinfo.ReplaceAllLiteralString(strings.TrimSpace(text), "//")
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	return &loadtest.LineError{Line: n, Text: text, Err: err}
}
