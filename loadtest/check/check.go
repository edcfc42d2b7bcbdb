package check

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"example.com/brunt/loadtest"
)

// Func is a check: it returns nil for a response that is right.
type Func = func(loadtest.Response) error

// Status returns a check that the status is one of codes. It sees only responses whose
// status [loadtest.Request.Expect] lets through. It panics without codes, and for one
// that is not from 100 to 999.
func Status(codes ...int) Func {
	if len(codes) == 0 {
		panic("check: Status without a status")
	}
	names := make([]string, len(codes))
	for i, code := range codes {
		if code < 100 || code > 999 {
			panic(fmt.Sprintf("check: Status(%d): must be from 100 to 999", code))
		}
		names[i] = fmt.Sprint(code)
	}
	codes = slices.Clone(codes)
	want := "status " + strings.Join(names, " or ")
	return func(r loadtest.Response) error {
		if slices.Contains(codes, r.StatusCode) {
			return nil
		}
		return came(want, r)
	}
}

// Header returns a check that the header name has the value, in one of its lines if it
// has several. It panics if name is empty.
func Header(name, value string) Func {
	return header(name, fmt.Sprintf("= %q", value), func(v string) bool { return v == value })
}

// HeaderMatches returns a check that a value of the header name matches the regular
// expression. An empty one matches any value, so that it checks that the header is
// there. It panics if name is empty, or if the expression cannot be parsed.
func HeaderMatches(name, expr string) Func {
	return header(name, fmt.Sprintf("matching %q", expr), regexp.MustCompile(expr).MatchString)
}

func header(name, rule string, right func(string) bool) Func {
	if name == "" {
		panic("check: a header without a name")
	}
	name = http.CanonicalHeaderKey(name)
	want := hide("header " + name + " " + rule)
	return func(r loadtest.Response) error {
		values := r.Header[name]
		if slices.ContainsFunc(values, right) {
			return nil
		}
		if len(values) == 0 {
			what := describe(r)
			return &Error{Want: want, got: func() string { return "no such header, " + what() }}
		}
		values = slices.Clone(values)
		return &Error{Want: want, got: func() string { return excerpt(fmt.Sprintf("%s: %q", name, values)) }}
	}
}

// Contains returns a check that the body contains text.
func Contains(text string) Func {
	part, want := []byte(text), hide(fmt.Sprintf("body containing %q", text))
	return func(r loadtest.Response) error {
		if bytes.Contains(r.Body, part) {
			return nil
		}
		return came(want, r)
	}
}

// Matches returns a check that the body matches the regular expression. It panics if
// that cannot be parsed, as [regexp.MustCompile] does.
func Matches(expr string) Func {
	re, want := regexp.MustCompile(expr), hide(fmt.Sprintf("body matching %q", expr))
	return func(r loadtest.Response) error {
		if re.Match(r.Body) {
			return nil
		}
		return came(want, r)
	}
}

// Size returns a check that the body has from least to most bytes. It panics unless
// 0 ≤ least ≤ most; math.MaxInt64 is no limit.
func Size(least, most int64) Func {
	if least < 0 || most < least {
		panic(fmt.Sprintf("check: Size(%d, %d): the least must be from 0 to the most", least, most))
	}
	want := fmt.Sprintf("body of %d to %d bytes", least, most)
	return func(r loadtest.Response) error {
		if least <= r.Bytes && r.Bytes <= most {
			return nil
		}
		return came(want, r)
	}
}

// All returns a check that all checks pass. They are made in order until one fails, whose
// error it returns. It panics without checks, or if one is nil.
func All(checks ...Func) Func {
	checks = given("All", checks)
	return func(r loadtest.Response) error {
		for _, check := range checks {
			if err := check(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// Any returns a check that at least one of checks passes. They are made in order until
// one does. It panics without checks, or if one is nil.
func Any(checks ...Func) Func {
	checks = given("Any", checks)
	return func(r loadtest.Response) error {
		var faults []error
		var wants []string
		for _, check := range checks {
			err := check(r)
			if err == nil {
				return nil
			}
			faults, wants = append(faults, err), append(wants, wanted(err))
		}
		return &Error{Want: strings.Join(wants, ", or "), Err: errors.Join(faults...), got: describe(r)}
	}
}

// Not returns a check that check fails. Since a function has no name, its error names the
// line that calls Not. It panics if check is nil.
func Not(check Func) Func {
	given("Not", []Func{check})
	want := "the check in Not to fail"
	if _, file, line, ok := runtime.Caller(1); ok {
		want = fmt.Sprintf("the check in Not (%s:%d) to fail", file[strings.LastIndexByte(file, '/')+1:], line)
	}
	return func(r loadtest.Response) error {
		if check(r) != nil {
			return nil
		}
		return came(want, r)
	}
}

// given returns a copy of checks; it panics if there are none, or one is nil.
func given(verb string, checks []Func) []Func {
	if len(checks) == 0 {
		panic("check: " + verb + " without a check")
	}
	for _, check := range checks {
		if check == nil {
			panic("check: " + verb + " with a nil check")
		}
	}
	return slices.Clone(checks)
}
