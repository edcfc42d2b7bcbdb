package loadtest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/http1"
)

func TestWireSessionsShareARequest(t *testing.T) {
	c := Wire(ConnectionConfig{}).(*wireClient)
	req := Post("http://h/", "text/plain", []byte("body"))
	first, err := c.request(req)
	require.NoError(t, err)
	again, err := c.request(req)
	require.NoError(t, err)
	require.Same(t, first, again)

	// Between two runs a request may change.
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
		t.Run(what, func(t *testing.T) {
			req := Post("http://h/", "text/plain", []byte("body"))
			before, err := c.request(req)
			require.NoError(t, err)
			change(req)
			after, err := c.request(req)
			require.NoError(t, err)
			want, err := c.write(req)
			require.NoError(t, err)
			require.NotEqual(t, before, after)
			require.Equal(t, want, after)
		})
	}
	req.URL = "no URL"
	_, err = c.request(req)
	require.ErrorIs(t, err, ErrInvalidRequest)
}

func TestWireKeepsAFewRequestsForItsSessions(t *testing.T) {
	c := Wire(ConnectionConfig{}).(*wireClient)
	for range 3 * maxKeptRequests {
		_, err := c.request(Get("http://h/"))
		require.NoError(t, err)
		require.LessOrEqual(t, len(c.made.kept), maxKeptRequests)
	}
}
