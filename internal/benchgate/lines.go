package benchgate

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// line is a line of a stream, by what it says.
type line struct {
	number int    // from 1, as editors count
	raw    string // as it stands there
	text   string // without what only a terminal or an encoding made of it
	log    bool   // text that a benchmark logged: anything at all
	feed   string // what benchfmt is to read of it; empty for nothing
	pkg    string // that it is of
}

// Terminals' colors, cursor movements, titles and character sets (ECMA-48).
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\^-~])`)

// The head of what testing.B.Log prints; more of it follows, indented further.
var logHead = regexp.MustCompile(`^    \S+\.go:\d+: `)

// split makes lines of a stream in whichever encoding. A line ends at a line feed,
// or at a carriage return as progress bars and old editors have it, but not in
// what was logged.
func split(data []byte) (lines []line) {
	text := string(decode(data))
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	logging, number := false, 0
	for whole := range strings.SplitSeq(text, "\n") {
		number++
		whole = strings.TrimRight(whole, "\r")
		clean := tidy(whole)
		switch {
		case strings.HasPrefix(clean, "--- "), logHead.MatchString(clean):
			logging = true
		case strings.HasPrefix(clean, "Benchmark"):
			logging = false
		}
		if logging && strings.HasPrefix(clean, "    ") {
			lines = append(lines, line{number: number, raw: whole, text: clean, log: true})
			continue
		}
		for part := range strings.SplitSeq(whole, "\r") {
			text := tidy(part)
			if !strings.HasPrefix(text, "Benchmark") { // spaces tell a result from a name alone
				text = strings.TrimRight(text, " \t")
			}
			lines = append(lines, line{number: number, raw: part, text: text})
		}
	}
	return lines
}

// decode returns UTF-8. What is partly UTF-16, as after PowerShell appended to
// another's file, has its zero bytes and byte order marks taken out instead, which
// leaves ASCII as it is.
func decode(data []byte) []byte {
	strange := func(b byte) bool { return b == 0 || b >= 0xfe } // UTF-8 has neither 0xfe nor 0xff
	if !slices.ContainsFunc(data, strange) {
		return data
	}
	if text, ok := decodeUTF16(data); ok {
		return text
	}
	return slices.DeleteFunc(slices.Clone(data), strange)
}

// decodeUTF16 reports whether data, which is not empty, is UTF-16 from end to end: a third
// of it is zeros, and it has as many line feeds as bytes like one.
func decodeUTF16(data []byte) (text []byte, ok bool) {
	var order binary.ByteOrder = binary.LittleEndian
	if bytes.HasPrefix(data, []byte{0xfe, 0xff}) || data[0] == 0 {
		order = binary.BigEndian
	}
	if len(data)%2 != 0 || 3*bytes.Count(data, []byte{0}) < len(data) {
		return nil, false
	}
	codes := make([]uint16, len(data)/2)
	_, _ = binary.Decode(data, order, codes) // as long as they are
	text = []byte(string(utf16.Decode(codes)))
	return text, bytes.Count(text, []byte{'\n'}) == bytes.Count(data, []byte{'\n'})
}

// tidy takes out of a line what nobody sees: escape sequences, control and format
// characters, such as a byte order mark. Every kind of space is one.
func tidy(text string) string {
	plain := func(r rune) bool { return r == '\t' || (r >= ' ' && r <= '~') }
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	if strings.Contains(text, "\x1b") {
		text = escapes.ReplaceAllString(text, "")
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case plain(r), r == utf8.RuneError:
			b.WriteString(text[:n]) // what is no UTF-8 stays, to be seen
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r):
		default:
			b.WriteRune(r)
		}
		text = text[n:]
	}
	return b.String()
}
