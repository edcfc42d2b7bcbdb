package loadtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// parseURL returns raw as every client requests it: net/url's reading, in which bytes
// that may not stand in a request line are percent-encoded. Its errors quote no
// credentials.
func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("empty URL")
	}
	u, err := url.Parse(raw)
	if err != nil {
		fault := fmt.Errorf("bad URL %q: %w", quotedURL(raw), parseFault(raw, err))
		if !strings.Contains(raw, "://") {
			fault = fmt.Errorf("%w; begin it with http:// or https://", fault)
		}
		return nil, fault
	}
	if err := checkURL(u); err != nil {
		return nil, fmt.Errorf("URL %q: %w", quotedURL(raw), err)
	}
	escapeURL(u)
	u.Host = strings.TrimSuffix(u.Host, ":") // as http.NewRequest does
	return u, nil
}

// checkURL returns why u is not the URL of an HTTP request.
func checkURL(u *url.URL) error {
	switch port := u.Port(); {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("scheme must be http or https")
	case u.Hostname() == "":
		return errors.New("no host")
	case port != "" && !validPort(port):
		return fmt.Errorf("port %s is above 65535", port)
	}
	if strings.ContainsAny(u.Hostname(), "[]") {
		return fmt.Errorf("host %q holds a bracket: only an IPv6 address is in brackets, and all of it", u.Host)
	}
	return checkHost(u.Host)
}

// validPort reports whether digits are at most 65535; 0 is for the dialer to refuse.
func validPort(digits string) bool {
	_, err := strconv.ParseUint(digits, 10, 16)
	return err == nil
}

// escapeURL percent-encodes what net/http would write as it is, or would encode at
// the price of decoding what its author has encoded, such as a %2F. Browsers
// encode the same bytes; the rest is sent as it was written.
func escapeURL(u *url.URL) {
	if strings.Contains(u.RawPath, "%") {
		u.RawPath = escapeRaw(u.RawPath, " \"<>\\^`{|}")
	}
	u.RawQuery = escapeRaw(u.RawQuery, " \"<>")
}

// escapeRaw percent-encodes the bytes of s that are in set or not printable ASCII.
func escapeRaw(s, set string) string {
	out := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if c > '~' || strings.IndexByte(set, c) >= 0 {
			out = fmt.Appendf(out, "%%%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// withoutUserinfo returns a valid URL without its user name and password.
func withoutUserinfo(raw string) string {
	if strings.IndexByte(raw, '@') < 0 {
		return raw
	}
	scheme, rest, _ := strings.Cut(raw, "//")
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return raw
	}
	return scheme + "//" + rest[at+1:]
}

// quotedURL returns raw as an error may quote it. Where no host can be told, all before
// the last @ may be a password.
func quotedURL(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return withoutUserinfo(raw)
	}
	if at := strings.LastIndexByte(raw, '@'); at >= 0 {
		return "***" + raw[at:]
	}
	return raw
}

// parseFault returns what url.Parse said of raw, as far as it cannot be about a password.
func parseFault(raw string, err error) error {
	if strings.Contains(raw, "@") {
		return errors.New("it cannot be parsed; in a user name or password, percent-encode what is special")
	}
	var parse *url.Error
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}

// userinfo matches where a text quotes a URL with credentials, as net/url writes it.
var userinfo = regexp.MustCompile(`//[^/?#\s]*@`)

// withoutCredentials is err, from a request to raw, with its credentials hidden if it
// has any.
func withoutCredentials(raw string, err error) error {
	if err == nil || len(withoutUserinfo(raw)) == len(raw) {
		return err
	}
	return hideCredentials(err)
}

// hideCredentials is err with a text that quotes no credentials of a URL.
func hideCredentials(err error) error {
	text := err.Error()
	clean := userinfo.ReplaceAllLiteralString(text, "//")
	if clean == text {
		return err
	}
	return &cleanError{clean, err}
}

// cleanError is an error with another text.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

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
