package live

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
)

// A page elsewhere may have its name resolved to a loopback address, and would read what is
// here: whoever does not ask for this machine gets nothing.
func TestOnlyThisMachineIsAnswered(t *testing.T) {
	h := Watch(t.TempDir())
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8089": 200, "127.0.0.1": 200, "127.0.0.1:1": 200, "127.9.9.9": 200, "[::1]": 200, "[::1]:80": 200, "::1": 200,
		"": 403, "evil.test": 403, "evil.test:8089": 403, "localhost.evil.test": 403, "127.0.0.1.evil.test": 403, "10.0.0.1:80": 403, "0.0.0.0": 403, "[::]:80": 403, "[::1": 403,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, want, w.Code, host)
	}
}

func TestPathsMethodsAndHeaders(t *testing.T) {
	h := Watch(t.TempDir())
	for _, tt := range []struct {
		method, path string
		code         int
		kind         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/events", 200, "text/event-stream"},
		{"GET", "/other", 404, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
		{"POST", "/events", 405, "text/plain; charset=utf-8"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, tt.code, w.Code, tt)
		require.Equal(t, tt.kind, w.Header().Get("Content-Type"), tt)
		for _, name := range []string{"Cache-Control", "X-Content-Type-Options", "Content-Security-Policy", "Cross-Origin-Resource-Policy"} {
			require.NotEmpty(t, w.Header().Get(name), "%v: %s", tt, name)
		}
	}
}

// browser is a browser's side of a stream of events, without a socket.
type browser struct {
	http.ResponseWriter
	mu     sync.Mutex
	events []string // with the time of each
	began  time.Time
	stuck  chan struct{} // if not nil: a write waits until it is closed
}

func (b *browser) Write(text []byte) (int, error) {
	if b.stuck != nil {
		<-b.stuck
		return 0, io.ErrClosedPipe
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, data, _ := strings.Cut(string(text), "data: ")
	_, state, _ := strings.Cut(data, "waiting ")
	state, _, _ = strings.Cut(state, "\\u003c")
	b.events = append(b.events, fmt.Sprintf("%v: %s", time.Since(b.began), state))
	return len(text), nil
}

func (b *browser) Flush() {}

// open has b ask h for events, and returns what is closed when it has got the last.
func (b *browser) open(ctx context.Context, h http.Handler) <-chan struct{} {
	b.ResponseWriter, b.began = httptest.NewRecorder(), time.Now()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
	r.Host = "localhost"
	done := make(chan struct{})
	go func() { // ends with the stream
		defer close(done)
		h.ServeHTTP(b, r)
	}()
	return done
}

// counting is a view of which every call but the first few shows another number.
func counting(changes func() int) *handler {
	return newHandler(func() htmlreport.Live {
		return htmlreport.Live{State: fmt.Sprintf("waiting %d", changes()), Result: new(loadtest.EngineResult)}
	})
}

// An event comes when there is something new and no sooner, to those who come late at once,
// and the last one when all has ended.
func TestEventsComeWhenThereIsSomethingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var last atomic.Bool
		h := counting(func() int {
			if last.Load() {
				return 9
			}
			return int(min(time.Since(began), 2*time.Second) / time.Second)
		})
		early, late, leaving := new(browser), new(browser), new(browser)
		ctx, leave := context.WithCancel(t.Context())
		a := early.open(t.Context(), h)
		c := leaving.open(ctx, h)
		time.Sleep(1200 * time.Millisecond)
		leave()
		<-c
		time.Sleep(200 * time.Millisecond)
		b := late.open(t.Context(), h)
		time.Sleep(8 * time.Second)
		last.Store(true)
		h.end()
		<-a
		<-b
		require.Equal(t, []string{"0s: 0", "1s: 1", "2s: 2", "9.4s: 9"}, early.events)
		require.Equal(t, []string{"0s: 1", "1s: 2", "8s: 9"}, late.events)
		require.Equal(t, []string{"0s: 0", "1s: 1"}, leaving.events)
		after := new(browser)
		<-after.open(t.Context(), h)
		require.Equal(t, []string{"0s: 9"}, after.events, "who comes after the end gets the last one")
	})
}

// A browser that accepts nothing holds up neither the run nor another browser.
func TestASlowBrowserHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(show)
		h := newHandler(s.view)
		slow, quick := &browser{stuck: make(chan struct{})}, new(browser)
		a, b := slow.open(t.Context(), h), quick.open(t.Context(), h)
		time.Sleep(500 * time.Millisecond)
		for i := range 5 {
			time.Sleep(time.Second)
			before := time.Now()
			s.add(second(i+1, 3))
			require.Equal(t, before, time.Now())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, quick.events, 6)
		close(slow.stuck) // its deadline
		<-a
		s.end()
		h.end()
		<-b
		require.Len(t, quick.events, 7)
	})
}

// A real browser that reads nothing: it is cut off, and the test ends.
func TestASocketThatIsNotReadIsCutOff(t *testing.T) {
	tb := new(faketb.TB)
	f := Show(tb, "127.0.0.1:0", nil)
	conn := dial(t, tb)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(1<<10))
	big := second(1, 3)
	big.Engine = strings.Repeat("x", race.Fewer(40<<20)) // more than sockets hold
	f(big)
	_, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err, "it is being written to")
	for i := range 100 {
		f(second(2+i, 3)) // none waits for it
	}
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	page := read(t, get(t, client, shownAt(t, tb)))
	require.Contains(t, page, "running: 1m41s of 1m0s")
	tb.End() // returns, although it is still not read
}

// Over a socket: the page, then the events, and the last of them when the test ends.
func TestEventsOverASocket(t *testing.T) {
	tb := new(faketb.TB)
	f := Show(tb, "localhost:0")
	f(second(1, 3))
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	page := read(t, get(t, client, shownAt(t, tb)))
	require.Contains(t, page, "TestFake")
	require.Contains(t, page, "connect-src &#39;self&#39;")
	require.Contains(t, page, "new EventSource")

	stream := get(t, client, shownAt(t, tb)+"events")
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	next := func() (u update, ok bool) {
		for lines.Scan() {
			if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
				return parse(t, data), true
			}
		}
		return u, false
	}
	u, ok := next()
	require.True(t, ok)
	require.Contains(t, u.Main, "running: 1s of 1m0s")
	end := second(2, 3)
	end.Done = true
	f(end)
	tb.End()
	u, ok = next()
	for ok && !strings.Contains(u.Main, "done after 2s") {
		u, ok = next()
	}
	require.True(t, ok, "the last event comes although the server ends at once")
	require.Equal(t, "0:3 1:3 2:3", u.line(t, "throughput", "requests"))
	_, ok = next()
	require.False(t, ok)
}
