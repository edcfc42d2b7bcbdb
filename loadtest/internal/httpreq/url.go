package httpreq

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ParseURL returns raw as every client requests it: net/url's reading, in which bytes
// that may not stand in a request line are percent-encoded. Its errors quote no
// credentials.
func ParseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("empty URL")
	}
	u, err := url.Parse(raw)
	if err != nil {
		fault := fmt.Errorf("bad URL %q: %w", QuoteURL(raw), parseFault(raw, err))
		if !strings.Contains(raw, "://") {
			fault = fmt.Errorf("%w; begin it with http:// or https://", fault)
		}
		return nil, fault
	}
	if err := NormalizeURL(u); err != nil {
		return nil, fmt.Errorf("URL %q: %w", QuoteURL(raw), err)
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // as http.NewRequest does
	return u, nil
}

// NormalizeURL percent-encodes what net/http would write as it is, or would encode at
// the price of decoding what its author has encoded, such as a %2F. Browsers
// encode the same bytes; the rest is sent as it was written. It returns why u is not the
// URL of an HTTP request if it is none.
func NormalizeURL(u *url.URL) error {
	if err := checkURL(u); err != nil {
		return err
	}
	if strings.Contains(u.RawPath, "%") {
		u.RawPath = escapeRaw(u.RawPath, " \"<>\\^`{|}")
	}
	u.RawQuery = escapeRaw(u.RawQuery, " \"<>")
	return nil
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
