package replay

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parser reads the lines of access logs. It remembers what lines have in common.
type parser struct {
	fields Fields
	wanted map[string]place // made of fields when first needed
	layout string           // of the times of JSON lines; empty if it is one of layouts

	stamp string // the last, and what it says
	time  time.Time
	whole bool
	known int // which of layouts it had
}

const (
	commonLayout  = "02/Jan/2006:15:04:05 -0700"
	shortestStamp = len("1795723200") // what is shorter in brackets is no time
)

// layouts of times; each may have a fraction of a second.
var layouts = []string{
	commonLayout, time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006/01/02 15:04:05",
}

// entry returns what line says, in common or combined log format or as JSON.
func (p *parser) entry(line string) (*Entry, error) {
	e, read := new(Entry), p.common
	if strings.HasPrefix(strings.TrimLeft(line, " \t"), "{") {
		read = p.json
	}
	if err := read(line, e); err != nil {
		return nil, err
	}
	return e, e.check()
}

// common reads a line of the common or the combined format, with whatever before the
// time and behind the last column:
//
//	host ident user [time] "request" status size "referer" "user agent"
func (p *parser) common(line string, e *Entry) error {
	rest, found := line, false
	for !found {
		_, after, ok := strings.Cut(rest, "[")
		if !ok {
			return errors.New("no time in brackets, such as [10/Oct/2000:13:55:36 -0700]")
		}
		rest = after
		if stamp, after, ok := strings.Cut(rest, "]"); ok && len(stamp) >= shortestStamp && '0' <= stamp[0] && stamp[0] <= '9' && p.setTime(stamp, e) == nil {
			rest, found = after, true
		}
	}
	text, rest, ok := quoted(strings.TrimLeft(rest, " "))
	if !ok {
		return errors.New("no request in quotes behind the time")
	}
	if err := e.setRequestLine(text); err != nil {
		return err
	}
	status, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if err := e.setStatus(status); err != nil {
		return err
	}
	_, rest, _ = strings.Cut(rest, " ") // the size
	if e.Referer, rest, ok = quoted(rest); ok {
		e.UserAgent, _, _ = quoted(strings.TrimLeft(rest, " "))
	}
	return nil
}

func (e *Entry) setStatus(text string) (err error) {
	if text == "-" {
		return nil
	}
	if e.Status, err = strconv.Atoi(text); err != nil || e.Status < 0 || e.Status > 999 {
		return fmt.Errorf("status %q: must be a number", cut(text))
	}
	return nil
}

// quoted returns the text between the quotes with which s begins, and what is behind them.
func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return unescape(s[1:i]), s[i+1:], true
		}
	}
	return "", s, false
}

// unescape undoes what nginx and Apache do to bytes that would end a column or a line.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		if at := strings.IndexByte("nrtbvf", s[i]); at >= 0 {
			out = append(out, "\n\r\t\b\v\f"[at])
			continue
		}
		if s[i] == 'x' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// setTime sets the time that stamp says, as text or as seconds, milliseconds, microseconds or
// nanoseconds since 1970.
func (p *parser) setTime(stamp string, e *Entry) error {
	if stamp != p.stamp || p.time.IsZero() {
		t, whole, err := p.parseTime(stamp)
		if err != nil {
			return err
		}
		p.stamp, p.time, p.whole = stamp, t, whole
	}
	e.Time, e.whole = p.time, p.whole
	return nil
}

func (p *parser) parseTime(stamp string) (t time.Time, whole bool, err error) {
	if p.layout != "" {
		t, err = time.Parse(p.layout, stamp)
		return t, t.Nanosecond() == 0, err
	}
	if t, whole, ok := unixTime(stamp); ok {
		return t, whole, nil
	}
	for range layouts {
		if t, err := time.Parse(layouts[p.known], stamp); err == nil {
			return t, !strings.ContainsAny(stamp, ".,"), nil
		}
		p.known = (p.known + 1) % len(layouts)
	}
	return t, false, fmt.Errorf("time %q: must be like %q, %q or Unix seconds; set Config.TimeLayout", cut(stamp), commonLayout, time.RFC3339)
}

// unixTime returns the time that a decimal number of seconds since 1970 says; one that is
// too large for the years to come is in milliseconds, microseconds or nanoseconds.
func unixTime(s string) (t time.Time, whole, ok bool) {
	digits, fraction, fractional := strings.Cut(s, ".")
	n, err := strconv.ParseUint(digits, 10, 63)
	nanos, bad := strconv.ParseUint((fraction + "000000000")[:9], 10, 63)
	if err != nil || bad != nil {
		f, err := strconv.ParseFloat(s, 64) // such as 1.7e9
		ok = err == nil && f >= 0 && f < 9e9
		return time.Unix(0, int64(f*1e9)).UTC(), false, ok
	}
	switch count := int64(n); {
	case n < 1e11:
		return time.Unix(count, int64(nanos)).UTC(), !fractional, true
	case n < 1e14:
		return time.UnixMilli(count).Add(time.Duration(nanos / 1e3)).UTC(), false, true
	case n < 1e17:
		return time.UnixMicro(count).Add(time.Duration(nanos / 1e6)).UTC(), false, true
	default:
		return time.Unix(0, count).UTC(), false, true
	}
}
