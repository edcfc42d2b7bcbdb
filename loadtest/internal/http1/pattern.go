package http1

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// Pattern is a request of which parts of the head, and the body, differ each time that it
// is sent. What does not is written once. It is immutable.
type Pattern struct {
	base   Request
	parts  [][]byte // of the head; between two is a value
	values []int    // which value that is; -1 for the length of the body
}

// NewPattern returns the pattern of hr, in whose request target and header values each of
// marks stands once, for a value. With body there is a body, of any length but 0.
func NewPattern(hr *http.Request, marks []string, body, closes bool) (*Pattern, error) {
	var some []byte
	if body {
		some = []byte("-")
	}
	r, err := NewRequest(hr, some, closes)
	if err != nil {
		return nil, err
	}
	p := &Pattern{base: *r}
	head := r.bytes[:len(r.bytes)-len(some)]
	type gap struct{ from, to, value int }
	var gaps []gap
	add := func(mark string, from, to, value int) error {
		if n := bytes.Count(head, []byte(mark)); n != 1 {
			return fmt.Errorf("%q stands %d times in the head", mark, n)
		}
		at := bytes.Index(head, []byte(mark))
		gaps = append(gaps, gap{at + from, at + len(mark) - to, value})
		return nil
	}
	for i, mark := range marks {
		if err := add(mark, 0, 0, i); err != nil {
			return nil, err
		}
	}
	if body {
		const name = "\r\nContent-Length: "
		if err := add(name+"1\r\n", len(name), len("\r\n"), -1); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(gaps, func(a, b gap) int { return a.from - b.from })
	end := 0 // of the gap before
	for _, g := range gaps {
		p.parts, p.values = append(p.parts, head[end:g.from]), append(p.values, g.value)
		end = g.to
	}
	p.parts = append(p.parts, head[end:])
	return p, nil
}

// Fill returns a request with values in the order of the marks, and with body.
func (p *Pattern) Fill(values []string, body []byte) *Request {
	r := p.base
	n := len(p.base.bytes) + 20 // digits of a length
	for _, v := range values {
		n += len(v)
	}
	if r.body = nil; len(body) > MaxInlineBody {
		r.body = body
	} else {
		n += len(body)
	}
	b := make([]byte, 0, n)
	for i, v := range p.values {
		b = append(b, p.parts[i]...)
		if v < 0 {
			b = strconv.AppendInt(b, int64(len(body)), 10)
		} else {
			b = append(b, values[v]...)
		}
	}
	b = append(b, p.parts[len(p.parts)-1]...)
	if r.lines = len(b) - len("\r\n"); r.body == nil {
		b = append(b, body...)
	}
	r.bytes, r.inline = b, r.body == nil && len(b) <= maxInlineBytes
	return &r
}
