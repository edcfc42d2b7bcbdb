package httpbin_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mccutchen/go-httpbin/v2/httpbin"

	"example.com/brunt/loadtest"
)

const (
	nameHeader = "X-Name"
	idHeader   = "X-Request-Id"
)

// server is a go-httpbin that keeps what each request was.
type server struct {
	*httptest.Server

	mu   sync.Mutex
	seen []seenRequest
}

// seenRequest is what the server knows of a request.
type seenRequest struct {
	name, id, path, cookie string
	trace, span            string
	status                 int
	bytes                  int64 // of the response's body
}

func newServer(t *testing.T, http2 bool) *server {
	s := new(server)
	bin := httpbin.New()
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		row := seenRequest{name: r.Header.Get(nameHeader), id: r.Header.Get(idHeader), path: r.URL.Path, status: http.StatusOK}
		if c, err := r.Cookie("user"); err == nil {
			row.cookie = c.Value
		}
		if parts := strings.Split(r.Header.Get("Traceparent"), "-"); len(parts) == 4 {
			row.trace, row.span = parts[1], parts[2]
		}
		bin.ServeHTTP(&countingWriter{w, &row}, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, row)
	}))
	if s.EnableHTTP2 = http2; http2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// tls returns how to trust the server.
func (s *server) tls() *tls.Config {
	if s.TLS == nil {
		return nil
	}
	return s.Client().Transport.(*http.Transport).TLSClientConfig
}

// requests returns what the server has seen. It closes the server, so that handlers whose
// responses have been read have also returned.
func (s *server) requests() []seenRequest {
	s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// countingWriter counts what is written.
type countingWriter struct {
	http.ResponseWriter
	row *seenRequest
}

func (w *countingWriter) WriteHeader(status int) {
	w.row.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.row.bytes += int64(n)
	return n, err
}

// counts are of one name, or of all requests.
type counts struct {
	requests, bytes int64
	statuses        map[int]int64
}

func (c *counts) add(status int, bytes int64) {
	c.requests++
	c.bytes += bytes
	if c.statuses == nil {
		c.statuses = make(map[int]int64)
	}
	c.statuses[status]++
}

func (c *counts) compare(what string, s *loadtest.Stats) []string {
	if s == nil {
		return []string{what + ": not in the result"}
	}
	if s.Requests != c.requests || s.BytesRead != c.bytes || !maps.Equal(s.StatusCodes, c.statuses) {
		return []string{fmt.Sprintf("%s: the result has %d requests, %d bytes, statuses %v, the server %d, %d, %v",
			what, s.Requests, s.BytesRead, s.StatusCodes, c.requests, c.bytes, c.statuses)}
	}
	return nil
}

// audit returns in what r and its records are not what the server has seen. Each record
// is one request at the server, which its identifier tells, and the counts of r are those
// of the server's requests whose records are not excluded.
func audit(r *loadtest.EngineResult, records []loadtest.RequestResult, seen []seenRequest) (faults []string) {
	report := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	byID := make(map[string]seenRequest)
	spans := make(map[string]bool)
	traces := make(map[string]bool)
	for _, row := range seen {
		if _, twice := byID[row.id]; twice || row.id == "" {
			report("the server has seen %q twice, or without an identifier", row.id)
		}
		if spans[row.span] || traces[row.trace] || row.span == "" {
			report("%s has no trace and span of its own: %q, %q", row.id, row.trace, row.span)
		}
		byID[row.id], spans[row.span], traces[row.trace] = row, true, true
	}
	if len(seen) != len(records) {
		report("the server has seen %d requests, and there are records of %d", len(seen), len(records))
	}
	var total, excluded counts
	names := make(map[string]*counts)
	cookies := make(map[string]map[int64]int64) // how many requests with a cookie each user sent, by scenario
	for _, rec := range records {
		row, ok := byID[rec.RequestID]
		if !ok {
			report("the server has not seen %q: %+v", rec.RequestID, rec)
			continue
		}
		if rec.Name != row.name || rec.StatusCode != row.status || rec.Bytes != row.bytes || rec.TraceID != row.trace {
			report("the record %+v is not what the server has seen: %+v", rec, row)
		}
		if row.cookie != "" && row.cookie != userName(rec.User) {
			report("the cookie of %s was sent by %s", row.cookie, userName(rec.User))
		}
		if cookies[rec.Scenario] == nil {
			cookies[rec.Scenario] = make(map[int64]int64)
		}
		cookies[rec.Scenario][rec.User] += 0
		if row.cookie != "" {
			cookies[rec.Scenario][rec.User]++
		}
		if rec.Excluded {
			excluded.add(row.status, row.bytes)
			continue
		}
		total.add(row.status, row.bytes)
		if names[row.name] == nil {
			names[row.name] = new(counts)
		}
		names[row.name].add(row.status, row.bytes)
	}
	// The first request of who logs in has no cookie yet, and administrators never have.
	for scenario, want := range map[string]int64{"browse": 13, "buy": 7, "administer": 0} {
		for user, n := range cookies[scenario] {
			if s := r.Scenarios[scenario]; n != want && (s == nil || s.Failed == 0 || scenario == "administer") {
				report("user %d of %s sent %d requests with a cookie, want %d", user, scenario, n, want)
			}
		}
	}
	faults = append(faults, total.compare("all", &r.Stats)...)
	for name, c := range names {
		faults = append(faults, c.compare(name, r.Endpoints[name])...)
	}
	if len(r.Endpoints) != len(names) {
		report("the result has %d names, the server %d", len(r.Endpoints), len(names))
	}
	var requests, bytes int64
	for _, row := range r.Excluded {
		requests += row.Requests
		bytes += row.BytesRead
	}
	if requests != excluded.requests || bytes != excluded.bytes {
		report("excluded: the result has %d requests, %d bytes, the server %d, %d", requests, bytes, excluded.requests, excluded.bytes)
	}
	return faults
}
