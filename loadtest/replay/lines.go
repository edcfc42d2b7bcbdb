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
	"example.com/brunt/loadtest/internal/lines"
)

const (
	maxLogLine     = 64 << 10 // longer than a server lets a request line and its headers be
	maxRequestLine = 16 << 20 // its body may be in it
	maxQuoted      = 200      // of a bad line in its error
)

// logLines reads one line after another.
type logLines struct {
	*lines.Reader
	max int
}

// newLines reads r, and what it holds if that is compressed with gzip.
func newLines(r io.Reader, most int) (*logLines, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	r = br
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("replay: gzip: %w", err)
		}
		r = zr
	}
	return &logLines{lines.NewReader(r, most), most}, nil
}

// next returns the next line without its end, and [io.EOF] if there is none. One that is too
// long is a *loadtest.LineError, after which there may be more.
func (l *logLines) next() (string, error) {
	line, long, err := l.Next()
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("replay: after line %d: %w", l.Number()-1, err)
	case err != nil && len(line) == 0:
		return "", io.EOF
	case long:
		return "", lineError(l.Number(), string(line), fmt.Errorf("longer than %d bytes", l.max))
	}
	text := strings.TrimRight(string(line), "\r\n")
	if l.Number() == 1 {
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
