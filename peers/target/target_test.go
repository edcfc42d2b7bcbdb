package target_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

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

func TestServersCount(t *testing.T) {
	for _, kind := range []target.Kind{target.Fast, target.NetHTTP} {
		t.Run("in process/"+string(kind), func(t *testing.T) {
			s, err := target.Start(kind)
			if err != nil {
				t.Fatal(err)
			}
			checkCounts(t, s.URL)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		t.Run("own process/"+string(kind), func(t *testing.T) {
			p, err := target.Spawn(t.Context(), kind, target.Anywhere)
			if err != nil {
				t.Fatal(err)
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

func TestCloseEndsConnections(t *testing.T) {
	s, err := target.Start(target.Fast)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.Trim(s.URL, "htp:/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection is open after Close")
	}
}

// Requests may come in pieces and several at once.
func TestFastFraming(t *testing.T) {
	s, err := target.Start(target.Fast)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.Trim(s.URL, "htp:/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, piece := range []string{"GET / HT", "TP/1.1\r\nHost: a\r\n\r", "\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"} {
		fmt.Fprint(conn, piece)
	}
	for range 3 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != target.Body {
			t.Errorf("got body %q, want %q", body, target.Body)
		}
		resp.Body.Close()
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
}
