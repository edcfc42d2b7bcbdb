package loadtest

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/servertiming"
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
		return servertiming.Read(values, s.Metric)
	}
	if len(values) != 1 {
		return 0, false
	}
	return servertiming.ParseDuration(values[0], cmp.Or(s.Unit, time.Millisecond))
}
