package loadtest

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/http1"
	"example.com/brunt/loadtest/internal/rawserver"
)

// sessionOf opens a session of c; the test closes both.
func sessionOf(t *testing.T, c Client) Session {
	t.Helper()
	s, err := c.Session()
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, c.Close())
	})
	return s
}

// directSessionOf opens a session of NetHTTP that bypasses http.Transport.
func directSessionOf(t *testing.T, cfg ConnectionConfig) *httpSession {
	t.Helper()
	return sessionOf(t, NetHTTP(cfg)).(*httpSession)
}

// byTransport is NetHTTP with an http.Transport that does what a session does that bypasses it.
func byTransport(limit int64) Client {
	return NetHTTP(ConnectionConfig{MaxResponseBytes: limit, Transport: &http.Transport{
		DisableCompression: true, MaxResponseHeaderBytes: http1.MaxHeaderBytes,
	}})
}

// seen is what a user sees of a response.
type seen struct {
	class  ErrorClass
	status int
	proto  string
	header http.Header
	bytes  int64
	body   string
}

// look sends req, and checks what comes back if check is set.
func look(t *testing.T, s Session, req Request, check bool) seen {
	t.Helper()
	if check {
		req.Check = func(Response) error { return nil }
	}
	r, err := s.Do(t.Context(), &req)
	return seen{classify(err), r.StatusCode, r.Proto, r.Header, r.Bytes, string(r.Body)}
}

// Whatever a server answers, a session that bypasses http.Transport makes the same of it.
func TestDirectSessionsUnderstandWhatTransportUnderstands(t *testing.T) {
	fixtures.NoLeaks(t)
	log.SetOutput(io.Discard) // net/http logs what follows a response
	defer log.SetOutput(os.Stderr)
	const limit = 200_000
	type answer struct {
		name, stream string
		head         bool
	}
	answers := []answer{
		{"switch to another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: a, Upgrade\r\n\r\nwhatever", false},
		{"switch, asked by a HEAD", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nwhatever", true},
		{"switch to nothing", "HTTP/1.1 101 Switching Protocols\r\n\r\n", false},
		{"as many headers as may be", "HTTP/1.1 204 No Content\r\n" + strings.Repeat("A: "+strings.Repeat("b", 59)+"\r\n", http1.MaxHeaderBytes/64-1) + "\r\n", false},
		{"too many headers", "HTTP/1.1 204 No Content\r\n" + strings.Repeat("A: "+strings.Repeat("b", 59)+"\r\n", http1.MaxHeaderBytes/64) + "\r\n", false},
		{"body as long as may be", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", limit, strings.Repeat("x", limit)), false},
		{"body too long", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", limit+1, strings.Repeat("x", limit+1)), false},
		{"body too long, and cut off", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2*limit, strings.Repeat("x", limit)), false},
		{"endless body too long", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", limit+1), false},
		{"Pragma", "HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 0\r\n\r\n", false},
		{"chunked 2", chunked + "1\r\na\r\n" + strings.Repeat("3e8\r\n"+strings.Repeat("y", 1000)+"\r\n", 100) + "0\r\nT: u\r\n\r\n", false},
	}
	for _, tt := range rawserver.Hostile {
		answers = append(answers, answer{tt.Name, tt.Stream, tt.Head})
	}
	classes := map[ErrorClass]int{}
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			target := rawServer(t, func(c net.Conn) {
				if !readRequest(c) {
					return
				}
				_, _ = io.WriteString(c, tt.stream)
				_ = c.(*net.TCPConn).CloseWrite() // a reset would overtake the answer
				_, _ = io.Copy(io.Discard, c)
			})
			for _, check := range []bool{false, true} {
				req := Request{URL: target}
				if tt.head {
					req.Method = http.MethodHead
				}
				want := look(t, sessionOf(t, byTransport(limit)), req, check)
				got := look(t, directSessionOf(t, ConnectionConfig{MaxResponseBytes: limit}), req, check)
				if want.class == ClassBodyLimit { // the reading stops in between
					require.Greater(t, got.bytes, int64(limit))
					want.bytes, got.bytes, want.body, got.body = 0, 0, "", ""
				}
				require.Equal(t, want, got)
				classes[got.class]++
			}
		})
	}
	for _, class := range []ErrorClass{ClassNone, ClassProtocol, ClassEOF, ClassBodyLimit} {
		require.Positive(t, classes[class], "no example of %v", class)
	}
}

// What a server gets is the same, byte for byte.
func TestDirectSessionsSendWhatTransportSends(t *testing.T) {
	fixtures.NoLeaks(t)
	requests := make(chan string, 1)
	target := rawServer(t, func(c net.Conn) {
		defer fmt.Fprint(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		var got []byte
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			got = append(got, buf[:n]...)
			text := string(got)
			body := strings.Contains(text, "Content-Length: ") && !strings.Contains(text, "Content-Length: 0")
			if err != nil || !body && strings.HasSuffix(text, "\r\n\r\n") || strings.HasSuffix(text, "END") {
				requests <- text
				return
			}
		}
	})
	end := []byte("END")
	for name, req := range map[string]*Request{
		"plain":          Get(target),
		"no method":      {URL: target + "x"},
		"odd method":     {Method: "BREW", URL: target + "pot-0"},
		"CONNECT":        {Method: http.MethodConnect, URL: target},
		"path and query": Get(target + "a%20b/c;d?e=f&g=%C3%BC#fragment"),
		"to be escaped":  Get(target + "ü/<x>?q=a|b"),
		"no path":        Get(strings.TrimSuffix(target, "/")),
		"user":           Get(strings.Replace(target, "//", "//user:secret@", 1)),
		"HEAD":           {Method: http.MethodHead, URL: target},
		"header": {URL: target, Header: http.Header{
			"X-B": {"1", "2"}, "X-A": {" spaced "}, "x-low": {"y"}, "Host": {"virtual.test"}, "Connection": {"close"},
		}},
		"agent":              {URL: target, Header: http.Header{"User-Agent": {"brunt 2"}}},
		"no agent":           {URL: target, Header: http.Header{"User-Agent": {""}}},
		"encoding":           {URL: target, Header: http.Header{"Accept-Encoding": {"br"}}},
		"upgrade":            {URL: target, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}},
		"framing of its own": {Method: "POST", URL: target, Body: []byte("1END"), Header: http.Header{"Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}, "Trailer": {"X"}}},
		"short body":         Post(target, "text/plain", end),
		"long body":          Post(target, "text/plain", append([]byte(strings.Repeat("0123456789", 10_000)), end...)),
		"empty POST":         Post(target, "text/plain", nil),
		"empty PUT":          {Method: http.MethodPut, URL: target},
		"empty DELETE":       {Method: http.MethodDelete, URL: target},
		"body of a GET":      {URL: target, Body: end},
		"body of a DELETE":   {Method: http.MethodDelete, URL: target, Body: end},
		"Expect":             {Method: "POST", URL: target, Body: end, Header: http.Header{"Expect": {"100-continue"}}},
		"Expect of no body":  {URL: target, Header: http.Header{"Expect": {"100-continue"}}},
		"long header":        {URL: target, Header: http.Header{"X-Long": {strings.Repeat("x", 50_000)}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sessionOf(t, byTransport(0)).Do(t.Context(), req)
			require.NoError(t, err)
			want := <-requests
			s := directSessionOf(t, ConnectionConfig{})
			for range 2 {
				_, err = s.Do(t.Context(), req)
				require.NoError(t, err)
				require.Equal(t, want, <-requests)
			}
			if http1.CanPeek {
				require.Equal(t, name == "Expect", s.requests.last.direct == nil, "only a body that waits for leave needs a transport")
			}
		})
	}
}

func TestDirectSessionsRefuseHeadersThatTransportRefuses(t *testing.T) {
	fixtures.NoLeaks(t)
	srv := fixtures.NewServer(t)
	for _, header := range []http.Header{{"X": {"a\x01"}}, {"X": {"a\x7f"}}, {"X y": {"a"}}, {"": {"a"}}, {"X": {"a\nb"}}} {
		req := &Request{URL: srv.URL + "/get", Header: header}
		for _, s := range []Session{sessionOf(t, byTransport(0)), directSessionOf(t, ConnectionConfig{})} {
			_, err := s.Do(t.Context(), req)
			require.ErrorIs(t, err, ErrInvalidRequest)
		}
	}
	require.Zero(t, srv.Hits())
}
