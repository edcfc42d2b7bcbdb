package check

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/brunt/loadtest"
)

// ErrFailed matches every error of a check of this package.
var ErrFailed = errors.New("check: failed")

// Error says what a check wanted and what came. It matches [ErrFailed].
type Error struct {
	// Want is what was wanted, such as `status 201`. It is the same for each response
	// that fails the check.
	Want string
	// Err joins the errors of the checks in [Any]; nil for others.
	Err error

	got func() string // not yet without credentials: most errors are only counted
}

func (e *Error) Error() string { return "check: want " + e.Want + "; got " + e.Got() }

// Got returns what came: of a JSON value or a header the value, else the status, the
// content type and the beginning of the body. It is one line, and hides what looks like a
// credential.
func (e *Error) Got() string {
	if e.got == nil {
		return ""
	}
	return hide(e.got())
}

// Is matches ErrFailed.
func (e *Error) Is(target error) bool { return target == ErrFailed }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// FailedCheck returns Want, under which a result counts the failures of the check; see
// [loadtest.EngineResult.FailedChecks].
func (e *Error) FailedCheck() string { return e.Want }

// came returns the error of a check to which r came.
func came(want string, r loadtest.Response) *Error {
	return &Error{Want: want, got: describe(r)}
}

// wanted returns what the check that failed with err wanted.
func wanted(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Want
	}
	return fmt.Sprintf("no error %q", excerpt(err.Error()))
}

// describe returns what says what came. It keeps nothing of r.
func describe(r loadtest.Response) func() string {
	var kind string
	if v := r.Header["Content-Type"]; len(v) > 0 {
		kind = strings.Clone(v[0])
	}
	status, size, body := r.StatusCode, r.Bytes, bytes.Clone(r.Body[:min(len(r.Body), window)])
	return func() string {
		var b strings.Builder
		if status != 0 {
			fmt.Fprintf(&b, "%d ", status)
		}
		if kind != "" {
			b.WriteString(excerpt(kind) + " ")
		}
		if size == 0 && len(body) == 0 {
			b.WriteString("without a body")
		} else {
			fmt.Fprintf(&b, "of %d bytes: %s", size, excerpt(string(body)))
		}
		return b.String()
	}
}

const (
	window = 1024 // bytes in which credentials are looked for
	shown  = 200  // bytes of them that are shown
)

// excerpt returns the beginning of s as one line of printable text.
func excerpt(s string) string {
	cut := len(s) >= window
	s = hide(s[:min(len(s), window)])
	var b strings.Builder
	for s != "" && b.Len() < shown {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsSpace(r):
			n = len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		s = s[n:]
	}
	if s != "" || cut {
		b.WriteString("…")
	}
	return b.String()
}

// Where text may quote a credential: in a URL, as a bearer token, or as the value of a
// member, field or header with such a name, in quotes or not, or a list of them.
var (
	userinfo = regexp.MustCompile(`//[^/?#\s"]*@`)
	bearer   = regexp.MustCompile(`(?i)\b(bearer\s+)[\w.~+/=-]{8,}`)
	named    = regexp.MustCompile(`(?i)((?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|authorization|cookie|session[_-]?id)["'\]]*\s*[:=]\s*)` +
		`(?:\[(?:"(?:[^"\\]|\\.)*"?[\s,]*)+\]?|"(?:[^"\\]|\\.)*"?|'[^']*'?|(?:(?:basic|bearer|digest)\s+)?[^\s"'&,;}<]+)`)
)

// hide returns s without what looks like a credential.
func hide(s string) string {
	s = userinfo.ReplaceAllLiteralString(s, "//***@")
	s = bearer.ReplaceAllString(s, "${1}***")
	return named.ReplaceAllString(s, "${1}***")
}
