package benchgate

import (
	"regexp"
	"strings"
)

// Selects reports whether -test.bench would run the benchmark: the pattern is
// split at slashes and bars outside brackets, as testing splits it, and each
// element is matched on its own.
func Selects(pattern, name string) bool {
	parts := strings.Split("Benchmark"+name, "/")
	for _, elements := range alternatives(pattern) {
		ok := len(elements) <= len(parts)
		for i := 0; ok && i < len(elements); i++ {
			re, err := regexp.Compile(strings.ReplaceAll(elements[i], " ", "_"))
			ok = err == nil && re.MatchString(parts[i])
		}
		if ok {
			return true
		}
	}
	return false
}

var procsSuffix = regexp.MustCompile(`-[0-9]+$`)

// Skips reports whether -test.skip would leave out the benchmark or one that it is
// a part of. The name may have the GOMAXPROCS that testing adds for the output.
func Skips(pattern, name string) bool {
	return pattern != "" && (Selects(pattern, name) || Selects(pattern, procsSuffix.ReplaceAllString(name, "")))
}

func alternatives(s string) (list [][]string) {
	var elements []string
	brackets, parens := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '[':
			brackets++
		case c == ']':
			brackets = max(0, brackets-1)
		case brackets > 0:
		case c == '(':
			parens++
		case c == ')':
			parens--
		case parens == 0 && (c == '/' || c == '|'):
			elements = append(elements, s[:i])
			if c == '|' {
				list, elements = append(list, elements), nil
			}
			s, i = s[i+1:], -1
		}
	}
	return append(list, append(elements, s))
}
