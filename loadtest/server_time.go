package loadtest

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

// ServerTime says how a server reports, in a header of its responses, how long it
// worked on a request. A request that has one is counted in [Stats.ServerQuantile];
// what the latency has beyond that was spent in the network and in queues before the
// server. The zero value reads Server-Timing. It must not be changed while a run uses
// it.
type ServerTime struct {
	// Header is the name of the header, in any case. Empty means Server-Timing, as the
	// W3C defines it: "db;dur=53.2, total;dur=61", in milliseconds. The value of any
	// other is a number, as that of X-Envoy-Upstream-Service-Time, or has a unit of its
	// own, as in "61ms".
	Header string
	// Metric is the name of the Server-Timing metric to read; of several with that
	// name it is their sum. Empty means total or, if there is none, the only metric that
	// has a duration. Servers that send several and no total need a Metric: to add up
	// metrics, of which some include others, would be a guess. It must be empty for
	// other headers.
	Metric string
	// Unit is that of a number in a header other than Server-Timing; 0 means
	// time.Millisecond. X-Runtime, for instance, is in seconds.
	Unit time.Duration
}

const serverTiming = "Server-Timing"

// header returns the canonical name of the header.
func (s *ServerTime) header() string {
	if s.Header == "" {
		return serverTiming
	}
	return http.CanonicalHeaderKey(s.Header)
}

// wants returns the name, in lower case, of a header that the response must have; empty
// if there is none.
func (r *Request) wants() string {
	if r.ServerTime == nil {
		return ""
	}
	return strings.ToLower(r.ServerTime.header())
}

// validate reports every fault to refuse.
func (s *ServerTime) validate(refuse func(error)) {
	if s == nil {
		return
	}
	if s.Header != "" && !http1.ValidToken(s.Header) {
		refuse(fmt.Errorf("ServerTime.Header %q is not a token", s.Header))
	}
	standard := s.header() == serverTiming
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

// read returns the time that header reports, and whether there is a usable one.
func (s *ServerTime) read(header http.Header) (time.Duration, bool) {
	name := s.header()
	values := header[name]
	if name == serverTiming {
		return readServerTiming(values, s.Metric)
	}
	if len(values) != 1 {
		return 0, false
	}
	value := strings.Trim(values[0], " \t")
	if ns, ok := parseNumber(value, cmp.Or(s.Unit, time.Millisecond)); ok {
		return time.Duration(math.Round(ns)), true
	}
	d, err := time.ParseDuration(value)
	return d, err == nil && d >= 0
}

// parseNumber returns how many nanoseconds a decimal number of units is.
func parseNumber(s string, unit time.Duration) (ns float64, ok bool) {
	if s == "" || strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, false // what else ParseFloat takes: Inf, 0x1p4
	}
	f, err := strconv.ParseFloat(s, 64)
	ns = f * float64(unit)
	return ns, err == nil && ns >= 0 && ns < math.MaxInt64
}

// readServerTiming returns the duration of a metric in the values of Server-Timing; see
// [ServerTime.Metric].
func readServerTiming(values []string, metric string) (time.Duration, bool) {
	wanted, others := 0, 0
	var sum, other float64 // nanoseconds
	for _, value := range values {
		for value != "" {
			var name, dur string
			name, dur, value = cutMetric(value)
			ns, ok := parseNumber(dur, time.Millisecond)
			switch {
			case !ok:
			case name == cmp.Or(metric, "total"):
				wanted++
				sum += ns
			default:
				others++
				other = ns
			}
		}
	}
	if wanted == 0 && metric == "" && others == 1 {
		wanted, sum = 1, other
	}
	if wanted == 0 || sum >= math.MaxInt64 {
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
