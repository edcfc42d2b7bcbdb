package http1

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuthority(t *testing.T) {
	for raw, want := range map[string]string{
		"http://h/": "h:80", "https://h/": "h:443", "http://h:81/": "h:81",
		"http://[::1]/": "[::1]:80", "https://[::1]:444/": "[::1]:444", "http://h:/": "h:80",
	} {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		require.Equal(t, want, Authority(u))
	}
}

func TestRequestsKnowWhereTheyGo(t *testing.T) {
	r := get(t, "https://user@h.test/x")
	require.Equal(t, []any{"h.test:443", "h.test", "https://h.test", true}, []any{r.addr, r.host, r.key, r.secure})
	r = request(t, http.MethodGet, "http://[::1]/", nil)
	require.Equal(t, []any{"[::1]:80", "::1", "http://[::1]", false}, []any{r.addr, r.host, r.key, r.secure})
}

// What a request may be done with follows from its method and its headers.
func TestRequestsKnowWhatMayBeDone(t *testing.T) {
	for name, tt := range map[string]struct {
		method             string
		header             http.Header
		body               string
		closes             bool // asked for
		idempotent, ending bool
	}{
		"get":                  {method: "GET", idempotent: true},
		"post":                 {method: "POST"},
		"post with a body":     {method: "POST", body: "b"},
		"put":                  {method: "PUT"},
		"with a key":           {method: "POST", header: http.Header{"Idempotency-Key": {"1"}}, idempotent: true},
		"with another's key":   {method: "POST", header: http.Header{"X-Idempotency-Key": {"1"}}, idempotent: true},
		"with both":            {method: "POST", header: http.Header{"Idempotency-Key": {"1"}, "X-Idempotency-Key": {"1"}}, idempotent: true},
		"to close":             {method: "GET", closes: true, idempotent: true, ending: true},
		"closed by its header": {method: "GET", header: http.Header{"Connection": {"close", "x"}}, idempotent: true, ending: true},
		"closed by its last":   {method: "GET", header: http.Header{"Connection": {"x", "y, Close"}}, idempotent: true, ending: true},
		"not closed":           {method: "GET", header: http.Header{"Connection": {"x"}}, idempotent: true},
	} {
		hr, err := http.NewRequestWithContext(t.Context(), tt.method, "http://h/", nil)
		require.NoError(t, err)
		for name, values := range tt.header {
			hr.Header[name] = values
		}
		r, err := NewRequest(hr, []byte(tt.body), tt.closes)
		require.NoError(t, err)
		require.Equal(t, []bool{tt.idempotent, tt.ending, tt.body == ""}, []bool{r.Idempotent, r.closes, r.bare}, name)
		head, body, ok := strings.Cut(string(r.bytes), "\r\n\r\n")
		require.True(t, ok)
		require.Equal(t, tt.body, body)
		require.Equal(t, tt.closes, strings.HasSuffix(head, "\r\nConnection: close"), head)
	}
}
