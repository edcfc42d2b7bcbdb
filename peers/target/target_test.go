package target_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/brunt/peers/internal/proc"
	"example.com/brunt/peers/target"
)

func TestMain(m *testing.M) {
	target.ServeIfChild()
	goleak.VerifyTestMain(m)
}

func hit(t *testing.T, client *http.Client, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// checkCounts sends n hits, one request that is none, and asks for the count.
func checkCounts(t *testing.T, url string) {
	t.Helper()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	const n = 5
	for range n {
		if status, body := hit(t, client, url); status != http.StatusOK || body != target.Body {
			t.Fatalf("got %d %q, want 200 %q", status, body, target.Body)
		}
	}
	for range 6 {
		c, err := target.ReadCount(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		// The client's, kept alive, the one that asks, and perhaps the one that has
		// asked before.
		if c.Open < 2 || c.Open > 3 {
			t.Errorf("got %d connections at once, want 2 or 3", c.Open)
		}
	}
	if status, _ := hit(t, client, url+"elsewhere"); status != http.StatusNotFound {
		t.Errorf("got status %d for another path, want 404", status)
	}
	for range 2 { // asking must not count
		c, err := target.ReadCount(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if c.Hits != n {
			t.Errorf("got a count of %d hits, want %d", c.Hits, n)
		}
		if c.CPU < 0 {
			t.Errorf("got %v of CPU time", c.CPU)
		}
	}
}

// start starts a server that the test closes itself.
func start(t *testing.T, kind target.Kind) *target.Server {
	t.Helper()
	s, err := target.Start(kind)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServersCount(t *testing.T) {
	for _, kind := range append(raw(), target.NetHTTP) {
		t.Run("in process/"+string(kind), func(t *testing.T) {
			s := start(t, kind)
			checkCounts(t, s.URL)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		t.Run("own process/"+string(kind), func(t *testing.T) {
			s := start(t, kind) // or skip
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			p, err := target.Spawn(t.Context(), kind)
			if err != nil {
				t.Fatal(err)
			}
			if p.Over != s.Over {
				t.Errorf("got a server over %q in a process of its own, and over %q in this one", p.Over, s.Over)
			}
			checkCounts(t, p.URL)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnknownKind(t *testing.T) {
	if _, err := target.Start("slow"); err == nil || !strings.Contains(err.Error(), `"slow"`) {
		t.Errorf("got error %v, want one that names the kind", err)
	}
}

// raw are the servers that read requests themselves.
func raw() []target.Kind {
	return []target.Kind{target.Fast, target.URing, target.Epoll, target.Plain}
}

// eachRaw runs a test against each of them that there is.
func eachRaw(t *testing.T, test func(t *testing.T, s *target.Server)) {
	t.Helper()
	for _, kind := range raw() {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, kind)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, s)
		})
	}
}

func dial(t *testing.T, s *target.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.Trim(s.URL, "htp:/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

// read reads one response and says whether the server means to close.
func read(t *testing.T, r *bufio.Reader) (body string, last bool) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), resp.Close
}

func TestCloseEndsConnections(t *testing.T) {
	for _, kind := range raw() {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, kind)
			conn, r := dial(t, s)
			fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
			read(t, r)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadByte(); err == nil {
				t.Error("the connection is open after Close")
			}
		})
	}
}

// Requests may come in pieces and several at once.
func TestRawFraming(t *testing.T) {
	eachRaw(t, func(t *testing.T, s *target.Server) {
		conn, r := dial(t, s)
		for _, piece := range []string{
			"GET / HT", "TP/1.1\r\nHost: a\r\n\r", "\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		} {
			fmt.Fprint(conn, piece)
		}
		for range 3 {
			if body, last := read(t, r); body != target.Body || last {
				t.Errorf("got body %q, last %t, want %q and another to follow", body, last, target.Body)
			}
		}
		c, err := target.ReadCount(t.Context(), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if c.Hits != 3 {
			t.Errorf("got %d hits, want 3", c.Hits)
		}
		// A head that never ends costs its connection, not memory.
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 20<<10))
		if _, err := r.ReadByte(); err == nil {
			t.Error("an endless head keeps its connection")
		}
	})
}

// A head may come a byte at a time, and many requests at once.
func TestRawPieces(t *testing.T) {
	eachRaw(t, func(t *testing.T, s *target.Server) {
		conn, r := dial(t, s)
		const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		for range 3 { // the second time it is a request the server has seen before
			for _, b := range []byte(request) {
				if _, err := conn.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			if body, _ := read(t, r); body != target.Body {
				t.Fatalf("got body %q, want %q", body, target.Body)
			}
		}
		// More than the server reads at once, and the paths show the order.
		const n = 400
		var pipeline strings.Builder
		for i := range n {
			path := "/"
			if i%3 == 1 {
				path = "/elsewhere"
			}
			fmt.Fprintf(&pipeline, "GET %s HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", path, strings.Repeat("x", i%50))
		}
		go io.WriteString(conn, pipeline.String()) //nolint:errcheck // ends when the server has read it or conn is closed; the answers tell
		for i := range n {
			want := target.Body
			if i%3 == 1 {
				want = ""
			}
			if body, last := read(t, r); body != want || last {
				t.Fatalf("answer %d: got %q, last %t, want %q", i, body, last, want)
			}
		}
		if got, want := s.Hits(), int64(3+n-n/3); got != want {
			t.Errorf("got %d hits, want %d", got, want)
		}
	})
}

// A client that does not read costs its connection, and what it is sent until then
// has no gap.
func TestRawNeverReads(t *testing.T) {
	const request = "GET / HTTP/1.1\r\n\r\n"
	for _, kind := range []target.Kind{target.Fast, target.URing, target.Epoll} { // Plain waits for it
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, kind)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			conn, r := dial(t, s)
			batch := []byte(strings.Repeat(request, 1000))
			for {
				if _, err := conn.Write(batch); err != nil {
					break // it would not end if the server read on
				}
			}
			one, whole := make([]byte, 0, 256), ""
			for {
				b, err := r.ReadByte()
				if err != nil {
					break
				}
				if one = append(one, b); strings.HasSuffix(string(one), target.Body) {
					if whole == "" {
						whole = string(one)
					}
					if string(one) != whole {
						t.Fatalf("got the answer %q, want %q", one, whole)
					}
					one = one[:0]
				}
			}
			if !strings.HasPrefix(whole, string(one)) {
				t.Errorf("got %q at the end, want a part of %q", one, whole)
			}
			if _, err := target.ReadCount(t.Context(), s.URL); err != nil {
				t.Errorf("others suffer from it: %v", err)
			}
		})
	}
}

// connect opens n connections and sends a hit over each, all before it reads.
func connect(t *testing.T, s *target.Server, n int) {
	t.Helper()
	readers := make([]*bufio.Reader, n)
	for i := range readers {
		var conn net.Conn
		conn, readers[i] = dial(t, s)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
	}
	for _, r := range readers {
		if body, _ := read(t, r); body != target.Body {
			t.Fatalf("got body %q, want %q", body, target.Body)
		}
	}
	if open := s.Open(); open != int64(n) {
		t.Errorf("got %d connections at once, want %d", open, n)
	}
}

func TestRawManyConnections(t *testing.T) {
	eachRaw(t, func(t *testing.T, s *target.Server) { connect(t, s, 2000) })
}

func TestRawConnections(t *testing.T) {
	tests := []struct {
		reason, request string
		last            bool
	}{
		{"as it comes", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false},
		{"asked to keep", "GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", false},
		{"asked to close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true},
		{"asked to close, in other words", "GET / HTTP/1.1\r\nconnection:Close\r\n\r\n", true},
		{"an old client", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", true},
	}
	eachRaw(t, func(t *testing.T, s *target.Server) {
		for _, tt := range tests {
			conn, r := dial(t, s)
			// The second time it is a request the server has seen before.
			for range 2 {
				fmt.Fprint(conn, tt.request)
				body, last := read(t, r)
				if body != target.Body || last != tt.last {
					t.Errorf("%s: got %q, last %t, want last %t", tt.reason, body, last, tt.last)
				}
				if last {
					if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
						t.Errorf("%s: got %v after the last response, want the end", tt.reason, err)
					}
					break
				}
			}
		}
	})
}

// The log of a server in another process has each hit and nothing else, and a freeze
// is a gap in it.
func TestSpawnLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	p, err := target.SpawnLogged(t.Context(), target.Fast, file)
	if err != nil {
		t.Fatal(err)
	}
	hit := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	hit()
	if _, err := target.ReadCount(t.Context(), p.URL); err != nil {
		t.Fatal(err)
	}
	took, err := p.Freeze(50 * time.Millisecond)
	if err != nil && !errors.Is(err, proc.ErrUnsupported) {
		t.Error(err)
	}
	hit()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := target.ReadLog(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(log) != 2 || log[0] < 0 || log[1]-log[0] < took {
		t.Errorf("got the log %v of two hits with %v between them", log, took)
	}
}
