package httpreq

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// WithoutUserinfo returns a valid URL without its user name and password.
func WithoutUserinfo(raw string) string {
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

// QuoteURL returns raw as an error may quote it. Where no host can be told, all before
// the last @ may be a password.
func QuoteURL(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return WithoutUserinfo(raw)
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

// HideCredentialsOf is err, from a request to raw, with its credentials hidden if it
// has any.
func HideCredentialsOf(raw string, err error) error {
	if err == nil || len(WithoutUserinfo(raw)) == len(raw) {
		return err
	}
	return HideCredentials(err)
}

// HideCredentials is err with a text that quotes no credentials of a URL.
func HideCredentials(err error) error {
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
