// Package placeholder has texts with places for values, which are escaped as their places
// need it.
package placeholder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Text is text with places for values: a literal, a value, a literal, …, a
// literal.
type Text struct {
	Literals []string
	Values   []Value
}

// Value is a place for a value.
type Value struct {
	Name   string
	Number int    // of the name among those of the template
	Escape Escape // how the value is written
}

// Parse parses text in which ${name} or ${name|raw} stands for a value, and $${
// for the characters ${. The number of a name is its place in names, to which new ones are
// added.
func Parse(text string, names *[]string, escape Escape) (Text, error) {
	var p Text
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
		v := Value{Name: inner, Escape: escape}
		if name, how, ok := strings.Cut(inner, "|"); ok {
			v.Name = name
			if how != "raw" {
				faults = append(faults, fmt.Errorf("${%s}: %q is unknown: only raw can follow a |", inner, how))
			}
			v.Escape = escape.raw()
		}
		if v.Name == "" {
			faults = append(faults, fmt.Errorf("${%s} has no name", inner))
		}
		if v.Number = slices.Index(*names, v.Name); v.Number < 0 {
			v.Number = len(*names)
			*names = append(*names, v.Name)
		}
		p.Literals, p.Values = append(p.Literals, literal.String()), append(p.Values, v)
		literal.Reset()
		text = rest
	}
	p.Literals = append(p.Literals, literal.String()+text)
	return p, errors.Join(faults...)
}

// Append appends the text with values, which are by number.
func (p *Text) Append(b []byte, values []string) []byte {
	for i, v := range p.Values {
		b = append(b, p.Literals[i]...)
		b = v.Escape.append(b, values[v.Number])
	}
	return append(b, p.Literals[len(p.Values)]...)
}

// Join returns the text with value(i) in place i.
func (p *Text) Join(value func(i int) string) string {
	var b strings.Builder
	for i := range p.Values {
		b.WriteString(p.Literals[i] + value(i))
	}
	return b.String() + p.Literals[len(p.Values)]
}

// Escape says how a value is written.
type Escape uint8

// How values are written.
const (
	AsItIs   Escape = iota
	ForURL          // percent-encoded, but for letters, digits and -._~
	ForPath         // only what cannot stand in a path
	ForQuery        // … in a query
	ForJSON         // in a string
)

// raw is the escape of a value that is marked as raw.
func (e Escape) raw() Escape {
	if e == ForURL {
		return ForPath
	}
	return AsItIs
}

// InQuery is the escape of a value that is not in the path but behind it.
func (e Escape) InQuery() Escape {
	if e == ForPath {
		return ForQuery
	}
	return e
}

func (e Escape) append(b []byte, value string) []byte {
	if e == AsItIs {
		return append(b, value...)
	}
	const hex = "0123456789ABCDEF"
	for i := range len(value) {
		c := value[i]
		switch {
		case e == ForJSON && (c == '"' || c == '\\'):
			b = append(b, '\\', c)
		case e == ForJSON && c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case e == ForJSON, e.inURL(value[i:]):
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// inURL reports whether the first byte of rest is written in a URL as it is.
func (e Escape) inURL(rest string) bool {
	switch c := rest[0]; {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
		return true
	case e == ForURL:
		return false
	case c == '%':
		return len(rest) > 2 && isHex(rest[1]) && isHex(rest[2])
	case c == '?':
		return e == ForQuery
	default:
		return strings.IndexByte("/:@!$&'()*+,;=", c) >= 0
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
