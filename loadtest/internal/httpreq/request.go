// Package httpreq makes what a user writes of an HTTP request into what net/http sends,
// and refuses what net/http would refuse, or not send as it was written. No error of it
// quotes the credentials of a URL.
package httpreq

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"example.com/brunt/loadtest/internal/http1"
)

// New returns a request for what every client sends, without a body and without the
// Authorization that credentials in its URL stand for; see [Authorize]. It passes every
// fault to refuse; if there is one, the result is not to be used.
func New(ctx context.Context, method, rawURL string, header http.Header, refuse func(error)) *http.Request {
	if method != "" && !http1.ValidToken(method) {
		refuse(fmt.Errorf("method %q is not a token", method))
		method = ""
	}
	u, err := ParseURL(rawURL)
	if err != nil {
		refuse(err)
		u = &url.URL{}
	}
	header = CanonicalHeader(header, refuse)
	checkHeader(header, refuse)
	r, err := http.NewRequestWithContext(ctx, method, "", nil)
	if err != nil {
		refuse(err)
		return nil
	}
	r.URL, r.Header, r.Host = u, header, u.Host
	if host := header["Host"]; len(host) > 0 {
		r.Host = host[0]
		delete(header, "Host")
	}
	return r
}

// CanonicalHeader returns a copy of header under the canonical names. Two spellings of
// one name are refused: a map does not tell which comes first.
func CanonicalHeader(header http.Header, refuse func(error)) http.Header {
	out := make(http.Header, len(header)+1) // room for Authorization
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !http1.ValidToken(name) {
			refuse(fmt.Errorf("header name %q is not a token", name))
			continue
		}
		key := http.CanonicalHeaderKey(name)
		if _, twice := out[key]; twice {
			refuse(fmt.Errorf("header %s has another spelling, %q: put all values under one name", key, name))
			continue
		}
		out[key] = slices.Clone(header[name])
		for _, v := range header[name] {
			if !http1.ValidValue([]byte(v)) {
				refuse(fmt.Errorf("header %s holds a line break or another control character", name))
			}
		}
	}
	return out
}

// checkHeader refuses what net/http would silently not send as it is.
func checkHeader(header http.Header, refuse func(error)) {
	for _, name := range []string{"Host", "User-Agent"} {
		if n := len(header[name]); n > 1 {
			refuse(fmt.Errorf("header %s has %d values: only one can be sent", name, n))
		}
	}
	for _, v := range header["Host"] {
		if err := checkHost(v); err != nil {
			refuse(fmt.Errorf("header Host: %w", err))
		}
	}
}

// Authorize gives r the Authorization that the credentials in its URL stand for,
// unless it has one, as http.Client does for each hop.
func Authorize(r *http.Request) {
	if user := r.URL.User; user != nil && r.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
}

// checkHost reports whether net/http would send host as a Host header. It silently
// leaves one that it refuses empty.
func checkHost(host string) error {
	if last := rightHost.Load(); host == "" || last != nil && *last == host {
		return nil
	}
	var head bytes.Buffer
	err := (&http.Request{URL: &url.URL{}, Host: host}).Write(&head)
	switch {
	case err != nil:
		return fmt.Errorf("host %q has no ASCII form: %w", host, err)
	case bytes.Contains(head.Bytes(), []byte("Host: \r\n")):
		return fmt.Errorf("host %q holds a character that no host has", host)
	}
	host = strings.Clone(host) // not the URL that it is a part of
	rightHost.Store(&host)
	return nil
}

// rightHost is the last that checkHost found right: mostly all requests have the same, and
// to ask net/http takes a fifth of the garbage of a request that is sent once.
var rightHost atomic.Pointer[string]
