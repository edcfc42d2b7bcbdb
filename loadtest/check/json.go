package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/theory/jsonpath"

	"example.com/brunt/loadtest"
)

// JSON returns a check of the JSON body: without want, that path selects at least one
// value, null included; with it, that each value that it selects equals one of want. The
// path is an RFC 9535 one, such as $.items[0].id, $..price or
// $.users[?@.name == "ann"].age.
//
// A want is anything that encoding/json can encode, and what counts is what it is in
// JSON: 7, int64(7) and 7.0 are the same number, a struct equals the object that it is
// encoded as, and nil is null. Numbers are compared exactly if both are integers of up
// to 64 bits, and as float64 if not. Of two members with one name the last counts.
//
// It panics if the path cannot be parsed, or a want cannot be encoded.
func JSON(path string, want ...any) Func {
	parsed, err := jsonpath.Parse(path)
	if err != nil {
		panic(fmt.Sprintf("check: JSON(%q): %v", path, err))
	}
	wants, names := make([]any, len(want)), make([]string, len(want))
	for i, w := range want {
		text, err := json.Marshal(w)
		if err == nil {
			wants[i], err = decode(text)
		}
		if err != nil {
			panic(fmt.Sprintf("check: JSON(%q): want %v: %v", path, w, err))
		}
		names[i] = string(text)
	}
	if probe := path + " = 0"; hide(probe) != probe {
		names = slices.Repeat([]string{"***"}, len(names))
	}
	rule := "JSON " + path
	if len(wants) > 0 {
		rule = hide(rule + " = " + strings.Join(names, " or "))
	}
	return func(r loadtest.Response) error {
		doc, err := decode(r.Body)
		if err != nil {
			what := describe(r)
			return &Error{Want: rule, got: func() string { return fmt.Sprintf("no JSON (%v), %s", err, what()) }}
		}
		values := parsed.Select(doc)
		if len(values) == 0 {
			what := describe(r)
			return &Error{Want: rule, got: func() string { return "nothing there, " + what() }}
		}
		for _, v := range values {
			if len(wants) > 0 && !slices.ContainsFunc(wants, func(w any) bool { return equal(v, w) }) {
				return &Error{Want: rule, got: func() string { return path + " = " + show(v) }}
			}
		}
		return nil
	}
}

// decode returns the one JSON value in text, its numbers as they are written.
func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows after %d bytes", d.InputOffset())
	}
	return v, nil
}

// show returns the beginning of v as JSON.
func show(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // it was decoded
	return excerpt(strings.TrimSuffix(b.String(), "\n"))
}

// equal reports whether two decoded values are the same JSON.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	return a == b
}

func equalNumbers(a, b json.Number) bool {
	if a == b {
		return true
	}
	if m, err := a.Int64(); err == nil {
		if n, err := b.Int64(); err == nil {
			return m == n
		}
	}
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y
}
