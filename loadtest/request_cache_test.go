package loadtest

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/http1"
)

// inRun is the context of a run of its own.
func inRun(t *testing.T) context.Context {
	return context.WithValue(t.Context(), connectionsKey{}, new(connections))
}

func TestWireSessionsShareARequest(t *testing.T) {
	c := Wire(ConnectionConfig{}).(*wireClient)
	req := Post("http://h/", "text/plain", []byte("body"))
	ctx := inRun(t)
	first, err := c.request(ctx, req)
	require.NoError(t, err)
	again, err := c.request(context.WithoutCancel(ctx), req)
	require.NoError(t, err)
	require.Same(t, first, again)
	other, err := c.request(inRun(t), req)
	require.NoError(t, err)
	require.NotSame(t, first, other)
	again, err = c.request(ctx, req)
	require.NoError(t, err)
	require.NotSame(t, first, again, "a run beside another")
	require.Equal(t, first, again)

	// Between two runs a request may change; without a run, at any time.
	for what, change := range map[string]func(*Request){
		"method":            func(r *Request) { r.Method = http.MethodPut },
		"URL":               func(r *Request) { r.URL = "http://h/other" },
		"a header":          func(r *Request) { r.Header.Set("X-Y", "z") },
		"a header in place": func(r *Request) { r.Header["Content-Type"][0] = "text/html" },
		"the body":          func(r *Request) { r.Body = []byte("corps") },
		"the body in place": func(r *Request) { r.Body[0] = 'B' },
		"a shorter body":    func(r *Request) { r.Body = r.Body[1:] },
		"a long body":       func(r *Request) { r.Body = []byte(strings.Repeat("x", http1.MaxInlineBody+1)) },
	} {
		for name, ctx := range map[string]func(*testing.T) context.Context{"run": inRun, "no run": (*testing.T).Context} {
			t.Run(what+"/"+name, func(t *testing.T) {
				req := Post("http://h/", "text/plain", []byte("body"))
				before, err := c.request(ctx(t), req)
				require.NoError(t, err)
				change(req)
				after, err := c.request(ctx(t), req)
				require.NoError(t, err)
				want, err := c.write(req)
				require.NoError(t, err)
				require.NotEqual(t, before, after)
				require.Equal(t, want, after)
			})
		}
	}
	req.URL = "no URL"
	_, err = c.request(inRun(t), req)
	require.ErrorIs(t, err, ErrInvalidRequest)
}

// What is sent is what the request is when its run begins, whichever session sends it.
func TestWireSendsWhatARequestIsInItsRun(t *testing.T) {
	var bodies atomic.Pointer[string]
	srv := fixtures.NewServer(t, fixtures.WithHandler("/x", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		bodies.Store(&text)
	})))
	e := Start(t, AsyncConfig{MaxConcurrent: 4, Client: Wire(ConnectionConfig{})})
	req := Post(srv.URL+"/x", "text/plain", []byte("a"))
	for _, body := range []string{"a", "b", "c"} {
		req.Body[0] = body[0]
		r, err := e.Run(t.Context(), Times(8, req))
		require.NoError(t, err)
		require.EqualValues(t, 8, r.SuccessCount)
		require.Equal(t, body, *bodies.Load())
	}
}

func TestWireKeepsAFewRequestsForItsSessions(t *testing.T) {
	c := Wire(ConnectionConfig{}).(*wireClient)
	ctx := inRun(t)
	for range 3 * maxKeptRequests {
		_, err := c.request(ctx, Get("http://h/"))
		require.NoError(t, err)
	}
	require.Len(t, c.made.kept, maxKeptRequests)
}

// The cache does not keep a run alive, which holds all its histograms.
func TestWireForgetsARunThatIsOver(t *testing.T) {
	c := Wire(ConnectionConfig{}).(*wireClient)
	freed := make(chan struct{})
	func() {
		counter := new(struct {
			connections
			_ [1 << 10]byte
		})
		runtime.AddCleanup(counter, func(freed chan struct{}) { close(freed) }, freed)
		_, err := c.request(context.WithValue(t.Context(), connectionsKey{}, &counter.connections), Get("http://h/"))
		require.NoError(t, err)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	}, 30*time.Second, time.Millisecond)
	runtime.KeepAlive(c)
}
