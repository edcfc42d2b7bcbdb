package loadtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxURLLine bounds one line of a URL list; longer than any URL that servers take.
const maxURLLine = 64 << 10

// LineError is the fault of one line of a list or a file.
type LineError struct {
	Line int // from 1
	// Text is the line, without white space around it and without the credentials of
	// a URL; of a long one the beginning.
	Text string
	Err  error
}

func (e *LineError) Error() string {
	return fmt.Sprintf("loadtest: line %d: %s", e.Line, strings.TrimPrefix(e.Err.Error(), "loadtest: "))
}

// Unwrap returns the fault without its line.
func (e *LineError) Unwrap() error { return e.Err }

// ReadURLs reads one absolute http or https URL a line. Blank lines and lines
// that begin with # are passed over, white space around a URL is dropped, and a
// byte order mark and CRLF line ends are understood. It returns no URLs when
// any line is bad, and then an error that holds a [LineError] for every one.
// A list without a URL is an error too.
func ReadURLs(r io.Reader) ([]string, error) {
	var (
		urls   []string
		faults []error
		lines  = bufio.NewScanner(r)
		n      int
	)
	lines.Buffer(make([]byte, 0, 4096), maxURLLine)
	for lines.Scan() {
		n++
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if _, err := parseURL(text); err != nil {
			faults = append(faults, &LineError{Line: n, Text: quotedURL(text), Err: err})
			continue
		}
		urls = append(urls, text)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes", maxURLLine)
		}
		faults = append(faults, &LineError{Line: n + 1, Err: err})
	}
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case len(urls) == 0:
		return nil, fmt.Errorf("%w: the list holds no URL", ErrEmptySource)
	}
	return urls, nil
}
