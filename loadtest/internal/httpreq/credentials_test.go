package httpreq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWithoutUserinfo(t *testing.T) {
	for raw, want := range map[string]string{
		"http://h/":                 "http://h/",
		"http://me:pw@h/":           "http://h/",
		"https://me@h:1?x#y":        "https://h:1?x#y",
		"http://a@b:c@h":            "http://h",
		"http://@h/":                "http://h/",
		"http://h/a@b":              "http://h/a@b",
		"http://h?mail=a@b://c@d":   "http://h?mail=a@b://c@d",
		"http://me@h/#a@b":          "http://h/#a@b",
		"http://me:pw@[::1%25lo]/@": "http://[::1%25lo]/@",
	} {
		require.Equal(t, want, WithoutUserinfo(raw))
	}
	for _, raw := range []string{"http://h.test/some/path?query=1", "http://h.test/@me?mail=a@b"} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = WithoutUserinfo(raw) }), "each result is reported with it")
	}
}

// Whatever is wrong with a URL, what is said of it does not tell its password.
func FuzzFaultsTellNoPassword(f *testing.F) {
	before := []string{"http://me", "https://", "//me", "ftp://me", "http:me", "http:/me", "me", "://me"}
	for i := range before {
		for _, after := range []string{"", "/", "#", "?", "%zz", " ", "\x00", "0"} {
			f.Add(uint(i), after, "h.test:99999/")
			f.Add(uint(i), after, "h<>/?a@b")
		}
	}
	f.Fuzz(func(t *testing.T, i uint, after, rest string) {
		const password = "S3CRET"
		if strings.Contains(after+rest, password) {
			t.Skip()
		}
		raw := before[i%uint(len(before))] + ":" + password + after + "@" + rest
		if _, err := ParseURL(raw); err != nil {
			require.NotContains(t, err.Error(), password)
			require.NotContains(t, QuoteURL(raw), password)
		}
	})
}

func TestHideCredentials(t *testing.T) {
	plain := fmt.Errorf("Get http://h.test/a@b: %w", io.EOF)
	require.Same(t, plain, HideCredentials(plain))
	secret := fmt.Errorf(`Get "http://me:pw@h.test/": proxy https://you@p.test: %w`, io.EOF)
	hidden := HideCredentials(secret)
	require.EqualError(t, hidden, `Get "http://h.test/": proxy https://p.test: EOF`)
	require.ErrorIs(t, hidden, io.EOF, "only the text is another")

	require.NoError(t, HideCredentialsOf("http://me@h.test/", nil))
	require.Same(t, secret, HideCredentialsOf("http://h.test/", secret), "not of its URL")
	require.EqualError(t, HideCredentialsOf("http://me@h.test/", secret), hidden.Error())
	require.Equal(t, "***@h:x/", QuoteURL("me:pw@h:x/"))
}

func TestAuthorize(t *testing.T) {
	for raw, want := range map[string]string{
		"http://h.test/":       "",
		"http://me:pw@h.test/": "Basic bWU6cHc=",
		"http://me@h.test/":    "Basic bWU6",
	} {
		for _, own := range []string{"", "Bearer x"} {
			header := http.Header{}
			if own != "" {
				want = own
				header.Set("Authorization", own)
			}
			r := New(t.Context(), "", raw, header, func(err error) { t.Error(err) })
			Authorize(r)
			require.Equal(t, want, r.Header.Get("Authorization"), raw)
			require.Equal(t, own, header.Get("Authorization"), "the header belongs to its author")
		}
	}
}

func TestNilContextIsAFault(t *testing.T) {
	var faults []error
	var none context.Context
	New(none, "", "http://h.test/", nil, func(err error) { faults = append(faults, err) })
	require.ErrorContains(t, errors.Join(faults...), "nil Context")
}
