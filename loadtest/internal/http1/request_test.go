package http1

import (
	"net/http"
	"net/url"
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
