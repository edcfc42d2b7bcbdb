package ghactions

import (
	"strings"
	"unicode"
)

// command is what GitHub's runner makes of a line.
type command struct {
	name, data string
	properties map[string]string
}

// parse does what ActionCommand.TryParseV2 of github.com/actions/runner does, step by
// step, which knows the command error and others.
func parse(line string) (c command, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::")
	if !ok {
		return c, false
	}
	info, data, ok := strings.Cut(rest, "::")
	if !ok {
		return c, false
	}
	name, properties, _ := strings.Cut(info, " ")
	c = command{name, unescape(data, "%0D", "\r", "%0A", "\n", "%25", "%"), make(map[string]string)}
	for p := range strings.SplitSeq(strings.TrimSpace(properties), ",") {
		if key, value, _ := strings.Cut(p, "="); key != "" && value != "" {
			c.properties[key] = unescape(value, "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
		}
	}
	return c, true
}

// unescape replaces one after the other, not all at once.
func unescape(s string, oldnew ...string) string {
	for i := 0; i < len(oldnew); i += 2 {
		s = strings.ReplaceAll(s, oldnew[i], oldnew[i+1])
	}
	return s
}

// commands returns those of an output, as the runner reads it: lines end with \n, \r or both.
func commands(output string) (out []command) {
	for line := range strings.FieldsFuncSeq(output, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if c, ok := parse(line); ok {
			out = append(out, c)
		}
	}
	return out
}
