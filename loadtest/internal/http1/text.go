package http1

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
)

// cutHeader splits a header line, and refuses one that is not as RFC 9112 wants.
func cutHeader(line []byte) (name, value []byte, err error) {
	if isOWS(line[0]) {
		return nil, nil, refuse("folded header line", line)
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, refuse("malformed header line", line)
	}
	name, value = line[:colon], trimOWS(line[colon+1:])
	spaced := false
	for _, c := range name {
		if tokenByte[c] {
			continue
		}
		if c != ' ' {
			return nil, nil, refuse("malformed header line", line)
		}
		spaced = true
	}
	if !ValidValue(value) {
		return nil, nil, refuse("malformed header line", line)
	}
	if spaced {
		return nil, nil, refuse("space in a header name", line)
	}
	return name, value, nil
}

// ValidToken reports whether s is a token of RFC 9110 §5.6.2, which methods and header
// names are.
func ValidToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return true
}

// tokenByte holds the bytes of a token; see ValidToken.
var tokenByte = func() (set [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		set[c] = true
	}
	return set
}()

// IsASCII reports whether s, such as the name of a host, is all ASCII.
func IsASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// ValidValue reports whether v has no control characters but tabs. It looks at
// eight bytes at once.
func ValidValue(v []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(v) >= 8 {
		x := binary.LittleEndian.Uint64(v)
		del := x ^ 0x7f*ones
		if below := (x - 0x20*ones) &^ x; (below|(del-ones)&^del)&tops != 0 && !validBytes(v[:8]) {
			return false
		}
		v = v[8:]
	}
	return validBytes(v)
}

func validBytes(v []byte) bool {
	for _, c := range v {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isOWS reports whether c is optional white space, as RFC 9110 calls it.
func isOWS(c byte) bool { return c == ' ' || c == '\t' }

func trimOWS(b []byte) []byte {
	for len(b) > 0 && isOWS(b[0]) {
		b = b[1:]
	}
	return trimEnd(b)
}

func trimEnd(b []byte) []byte {
	for len(b) > 0 && isOWS(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// equalFold compares b to a word in lower case, the case of ASCII letters aside.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hasToken reports whether lower is in the comma-separated list b.
func hasToken(b []byte, lower string) bool {
	for {
		element, rest, more := bytes.Cut(b, comma)
		if equalFold(trimOWS(element), lower) {
			return true
		}
		if !more {
			return false
		}
		b = rest
	}
}

var comma = []byte(",")
