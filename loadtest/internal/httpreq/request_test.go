package httpreq

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNew(t *testing.T) {
	header := http.Header{"host": {"virtual.test"}, "x-y": {"1", "2"}, "USER-AGENT": {""}}
	r := New(t.Context(), "PUT", "http://me@h.test:/a%2Fb|c?q=hello world#f", header, func(err error) { t.Error(err) })
	require.Equal(t, "PUT", r.Method)
	require.Equal(t, "virtual.test", r.Host)
	require.Equal(t, "h.test", r.URL.Host)
	require.Equal(t, "/a%2Fb%7Cc?q=hello%20world", r.URL.RequestURI())
	require.Equal(t, http.Header{"X-Y": {"1", "2"}, "User-Agent": {""}}, r.Header)
	r.Header["X-Y"][0] = "changed"
	require.Equal(t, http.Header{"host": {"virtual.test"}, "x-y": {"1", "2"}, "USER-AGENT": {""}}, header, "the header belongs to its author")

	require.Equal(t, "h.test:81", New(t.Context(), "", "http://h.test:81", nil, func(err error) { t.Error(err) }).Host)
}

func TestNewReportsEveryFault(t *testing.T) {
	for _, tt := range []struct {
		reason, method, url string
		header              http.Header
		want                []string
	}{
		{reason: "nothing", want: []string{"empty URL"}},
		{reason: "all at once", method: "A B", url: "ftp://h/", header: http.Header{"X Y": {"a"}, "Z": {"a\n"}}, want: []string{
			`method "A B" is not a token`, `URL "ftp://h/": scheme must be http or https`, `header name "X Y" is not a token`, "header Z holds a line break",
		}},
		{reason: "no scheme", url: "127.0.0.1:80/", want: []string{"begin it with http:// or https://"}},
		{reason: "no host", url: "http:///x", want: []string{"no host"}},
		{reason: "the lowest port that is too high", url: "http://h:65536/", want: []string{"port 65536 is above 65535"}},
		{reason: "brackets", url: "http://a[b]/", want: []string{"bad URL"}},
		{reason: "a bracket alone", url: "http://h]:80/", want: []string{"holds a bracket"}},
		{reason: "no such host", url: "http://<h>/", want: []string{"no host has"}},
		{reason: "no ASCII form", url: "http://h/", header: http.Header{"Host": {"xn--\u00fc\u0301\u2260"}}, want: []string{"header Host: "}},
		{reason: "two spellings", url: "http://h/", header: http.Header{"a": {"1"}, "A": {"2"}}, want: []string{`header A has another spelling, "a"`}},
		{reason: "two hosts and agents", url: "http://h/", header: http.Header{"host": {"a", "b"}, "User-Agent": {"a", "b"}}, want: []string{
			"header Host has 2 values", "header User-Agent has 2 values",
		}},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			var faults []error
			New(t.Context(), tt.method, tt.url, tt.header, func(err error) { faults = append(faults, err) })
			require.Len(t, faults, len(tt.want), "%v", faults)
			for _, text := range tt.want {
				require.ErrorContains(t, errors.Join(faults...), text)
			}
		})
	}
	_, err := ParseURL("http://h:65535/")
	require.NoError(t, err)
}

// What has been normalized once is left as it is.
func FuzzNormalizedURLsStay(f *testing.F) {
	for _, raw := range []string{"http://h/", "http://h:/a%2Fb c?q=ü \"<>", "https://[::1]:80/%zz", "http://me:p%40ss@h/ü|%2f?a#b"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseURL(raw)
		if err != nil {
			return
		}
		once := *u
		require.NoError(t, NormalizeURL(u))
		require.Equal(t, once, *u)
		for _, c := range []byte(u.RequestURI()) {
			require.True(t, c > ' ' && c <= '~', "%q", u.RequestURI())
		}
	})
}
