// Package servertiming reads how long a server worked from the headers of its responses:
// from Server-Timing, as the W3C defines it and browsers read it, and from others.
package servertiming

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/http1"
)

// Source says which header of a response to read, and how. Its fields are those of
// loadtest.ServerTime.
type Source struct {
	Header string
	Metric string
	Unit   time.Duration
}

const standard = "Server-Timing"

// Name returns the canonical name of the header.
func (s Source) Name() string {
	if s.Header == "" {
		return standard
	}
	return http.CanonicalHeaderKey(s.Header)
}

// Validate reports every fault to refuse.
func (s Source) Validate(refuse func(error)) {
	if s.Header != "" && !http1.ValidToken(s.Header) {
		refuse(fmt.Errorf("ServerTime.Header %q is not a token", s.Header))
	}
	standard := s.Name() == standard
	switch {
	case s.Metric == "":
	case !standard:
		refuse(fmt.Errorf("ServerTime.Metric is %q: must be empty, as only Server-Timing has metrics, and Header is %s", s.Metric, s.Header))
	case !http1.ValidToken(s.Metric):
		refuse(fmt.Errorf("ServerTime.Metric %q is not a token", s.Metric))
	}
	switch {
	case s.Unit < 0:
		refuse(fmt.Errorf("ServerTime.Unit is %v: must be 0 for a millisecond, or positive", s.Unit))
	case s.Unit > 0 && standard:
		refuse(fmt.Errorf("ServerTime.Unit is %v: must be 0, as Server-Timing is in milliseconds", s.Unit))
	}
}

// Read returns the time that header reports, and whether there is a usable one.
func (s Source) Read(header http.Header) (time.Duration, bool) {
	values := header[s.Name()]
	if s.Name() == standard {
		return readMetric(values, s.Metric)
	}
	if len(values) != 1 {
		return 0, false
	}
	return parseDuration(values[0], cmp.Or(s.Unit, time.Millisecond))
}

// parseDuration returns the duration that value, which may be within white space, is as
// a number of units, or else with a unit of its own, and reports whether it is one.
func parseDuration(value string, unit time.Duration) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	if ns, ok := parseNumber(value, unit); ok {
		return time.Duration(math.Round(ns)), true
	}
	d, err := time.ParseDuration(value)
	return d, err == nil && d >= 0
}

// parseNumber returns how many nanoseconds a decimal number of units is.
func parseNumber(s string, unit time.Duration) (ns float64, ok bool) {
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, false // what else ParseFloat takes: Inf, 0x1p4
	}
	f, err := strconv.ParseFloat(s, 64)
	ns = f * float64(unit)
	return ns, err == nil && ns >= 0 && ns < math.MaxInt64
}

// readMetric returns the duration of the metric of a name in values of Server-Timing, and
// whether there is a usable one; of several with that name it is their sum. An empty name
// stands for total or, if there is none, the only metric that has a duration.
func readMetric(values []string, metric string) (time.Duration, bool) {
	var found bool
	var others int
	var sum, other float64 // nanoseconds
	for _, value := range values {
		for value != "" {
			var name, dur string
			name, dur, value = cutMetric(value)
			ns, ok := parseNumber(dur, time.Millisecond)
			switch {
			case !ok:
			case name == cmp.Or(metric, "total"):
				found = true
				sum += ns
			default:
				others++
				other = ns
			}
		}
	}
	if !found && metric == "" && others == 1 {
		found, sum = true, other
	}
	if !found || sum >= math.MaxInt64 {
		return 0, false
	}
	return time.Duration(math.Round(sum)), true
}

// cutMetric returns the name of the first metric in s, its dur, which is empty if it has
// none, and what comes after it. As in browsers, a metric that is malformed ends what is
// said of it, and the next one begins behind the next comma.
func cutMetric(s string) (name, dur, rest string) {
	s = strings.TrimLeft(s, " \t,")
	name, s = cutToken(s)
	for found := false; name != ""; {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] != ';' {
			break
		}
		var param, value string
		param, s = cutToken(strings.TrimLeft(s[1:], " \t"))
		if param == "" {
			break
		}
		s = strings.TrimLeft(s, " \t")
		if s != "" && s[0] == '=' {
			value, s = cutValue(strings.TrimLeft(s[1:], " \t"))
		}
		if !found && strings.EqualFold(param, "dur") {
			dur, found = value, true // the first one counts
		}
	}
	return name, dur, afterComma(s)
}

// cutToken cuts the token that s begins with, which may be empty.
func cutToken(s string) (token, rest string) {
	n := 0
	for n < len(s) && http1.ValidToken(s[n:n+1]) {
		n++
	}
	return s[:n], s[n:]
}

// cutValue cuts the token or the quoted string that s begins with.
func cutValue(s string) (value, rest string) {
	if s == "" || s[0] != '"' {
		return cutToken(s)
	}
	var text []byte
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return string(text), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		text = append(text, s[i])
	}
	return "", "" // it does not end
}

// afterComma returns what follows the first comma of s that is not quoted.
func afterComma(s string) string {
	for s != "" {
		switch s[0] {
		case ',':
			return s[1:]
		case '"':
			_, s = cutValue(s)
		default:
			s = s[1:]
		}
	}
	return ""
}
