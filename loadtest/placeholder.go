package loadtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// placeholders is text with places for values: a literal, a value, a literal, …, a
// literal.
type placeholders struct {
	literals []string
	values   []placeholder
}

type placeholder struct {
	name   string
	number int       // of the name among those of the template
	escape escapeFor // how the value is written
}

// parsePlaceholders parses text in which ${name} or ${name|raw} stands for a value, and $${
// for the characters ${. The number of a name is its place in names, to which new ones are
// added.
func parsePlaceholders(text string, names *[]string, escape escapeFor) (placeholders, error) {
	var p placeholders
	var faults []error
	var literal strings.Builder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			break
		}
		if at > 0 && text[at-1] == '$' {
			literal.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		literal.WriteString(text[:at])
		inner, rest, closed := strings.Cut(text[at+2:], "}")
		if !closed {
			faults = append(faults, errors.New("${ without a }; write $${ for the characters ${"))
			break
		}
		v := placeholder{name: inner, escape: escape}
		if name, how, ok := strings.Cut(inner, "|"); ok {
			v.name = name
			if how != "raw" {
				faults = append(faults, fmt.Errorf("${%s}: %q is unknown: only raw can follow a |", inner, how))
			}
			v.escape = escape.raw()
		}
		if v.name == "" {
			faults = append(faults, fmt.Errorf("${%s} has no name", inner))
		}
		if v.number = slices.Index(*names, v.name); v.number < 0 {
			v.number = len(*names)
			*names = append(*names, v.name)
		}
		p.literals, p.values = append(p.literals, literal.String()), append(p.values, v)
		literal.Reset()
		text = rest
	}
	p.literals = append(p.literals, literal.String()+text)
	return p, errors.Join(faults...)
}

// append appends the text with values, which are by number.
func (p *placeholders) append(b []byte, values []string) []byte {
	for i, v := range p.values {
		b = append(b, p.literals[i]...)
		b = v.escape.append(b, values[v.number])
	}
	return append(b, p.literals[len(p.values)]...)
}

// join returns the text with value(i) in place i.
func (p *placeholders) join(value func(i int) string) string {
	var b strings.Builder
	for i := range p.values {
		b.WriteString(p.literals[i] + value(i))
	}
	return b.String() + p.literals[len(p.values)]
}

// escapeFor says how a value is written.
type escapeFor uint8

const (
	asItIs   escapeFor = iota
	forURL             // percent-encoded, but for letters, digits and -._~
	forPath            // only what cannot stand in a path
	forQuery           // … in a query
	forJSON            // in a string
)

// raw is the escape of a value that is marked as raw.
func (e escapeFor) raw() escapeFor {
	if e == forURL {
		return forPath
	}
	return asItIs
}

// inQuery is the escape of a value that is not in the path but behind it.
func (e escapeFor) inQuery() escapeFor {
	if e == forPath {
		return forQuery
	}
	return e
}

func (e escapeFor) append(b []byte, value string) []byte {
	if e == asItIs {
		return append(b, value...)
	}
	const hex = "0123456789ABCDEF"
	for i := range len(value) {
		c := value[i]
		switch {
		case e == forJSON && (c == '"' || c == '\\'):
			b = append(b, '\\', c)
		case e == forJSON && c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case e == forJSON, e.inURL(value[i:]):
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// inURL reports whether the first byte of rest is written in a URL as it is.
func (e escapeFor) inURL(rest string) bool {
	switch c := rest[0]; {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
		return true
	case e == forURL:
		return false
	case c == '%':
		return len(rest) > 2 && isHex(rest[1]) && isHex(rest[2])
	case c == '?':
		return e == forQuery
	default:
		return strings.IndexByte("/:@!$&'()*+,;=", c) >= 0
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
