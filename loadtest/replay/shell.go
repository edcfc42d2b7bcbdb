package replay

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// words splits one command into words as a POSIX shell and bash do, as far as nothing is
// expanded: what has '…', "…" or $'…' around it, or a backslash before it, is taken
// literally, and a backslash before a line end joins lines. What only a shell can do is
// refused.
func words(s string) (out []string, err error) {
	var word []byte
	in := false
	end := func() {
		if in {
			out = append(out, string(word))
		}
		word, in = word[:0], false
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for s != "" {
		c := s[0]
		switch {
		case c == '\n':
			end()
			if len(out) > 0 && strings.TrimSpace(s) != "" {
				return nil, errors.New("more than one command: end a line with a backslash if it goes on")
			}
			s = s[1:]
			continue
		case c == ' ' || c == '\t':
			end()
			s = s[1:]
			continue
		case c == '#' && !in:
			at := strings.IndexByte(s+"\n", '\n')
			s = s[min(at, len(s)):]
			continue
		case strings.HasPrefix(s, "\\\n"):
			s = s[2:]
			continue
		}
		in = true
		var n int
		switch {
		case c == '\\' && len(s) > 1:
			word, n = append(word, s[1]), 2
		case c == '\\':
			return nil, errors.New("nothing follows the last backslash")
		case c == '\'':
			at := strings.IndexByte(s[1:], '\'')
			if at < 0 {
				return nil, errors.New("a ' is not closed")
			}
			word, n = append(word, s[1:1+at]...), at+2
		case c == '"':
			word, n, err = doubleQuoted(word, s)
		case strings.HasPrefix(s, "$'"):
			word, n, err = ansiQuoted(word, s)
		case isExpansion(s):
			err = fmt.Errorf("%q is for a shell to expand: write what it stands for, or quote it with '", cut(s[:min(len(s), 20)]))
		case strings.IndexByte("|&;<>()", c) >= 0:
			err = fmt.Errorf("%q is for a shell: give one command alone, and quote a URL that has it", string(c))
		default:
			word, n = append(word, c), 1
		}
		if err != nil {
			return nil, err
		}
		s = s[n:]
	}
	end()
	return out, nil
}

// isExpansion reports whether a shell would put something else in place of the beginning of
// s, also within double quotes.
func isExpansion(s string) bool {
	if s[0] == '$' && len(s) > 1 {
		c := s[1]
		return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("{(?!@*#$-", c) >= 0
	}
	return s[0] == '`'
}

// doubleQuoted appends what the quotes hold with which s begins, and returns how long that
// is with the quotes.
func doubleQuoted(word []byte, s string) ([]byte, int, error) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return word, i + 1, nil
		case c == '\\' && i+1 < len(s) && strings.IndexByte("$`\"\\\n", s[i+1]) >= 0:
			if i++; s[i] != '\n' {
				word = append(word, s[i])
			}
		case isExpansion(s[i:]):
			return nil, 0, fmt.Errorf("%q is for a shell to expand: write what it stands for, or quote it with '", s[i:min(len(s), i+20)])
		default:
			word = append(word, c)
		}
	}
	return nil, 0, errors.New(`a " is not closed`)
}

// ansiQuoted is doubleQuoted for $'…', with the escapes of C.
func ansiQuoted(word []byte, s string) ([]byte, int, error) {
	for i := 2; i < len(s); {
		switch s[i] {
		case '\'':
			return word, i + 1, nil
		case '\\':
			r, wide, rest, err := unescapeC(s[i:])
			if err != nil {
				return nil, 0, fmt.Errorf("%q in a $' is not understood", cut(s[i:min(i+10, len(s))]))
			}
			if wide {
				word = utf8.AppendRune(word, r)
			} else {
				word = append(word, byte(r))
			}
			i = len(s) - len(rest)
		default:
			word = append(word, s[i])
			i++
		}
	}
	return nil, 0, errors.New("a $' is not closed")
}

// unescapeC returns the byte or, if it is wide, the character of the escape with which s
// begins, and what is behind it.
func unescapeC(s string) (r rune, wide bool, rest string, err error) {
	if len(s) >= 12 && s[1] == 'u' && s[6:8] == `\u` { // Firefox writes a character beyond 16 bits as two
		high, _ := strconv.ParseUint(s[2:6], 16, 16)
		low, _ := strconv.ParseUint(s[8:12], 16, 16)
		if r = utf16.DecodeRune(rune(high), rune(low)); r != utf8.RuneError {
			return r, true, s[12:], nil
		}
	}
	if strings.HasPrefix(s, `\"`) {
		return '"', false, s[2:], nil
	}
	return strconv.UnquoteChar(s, '\'')
}
