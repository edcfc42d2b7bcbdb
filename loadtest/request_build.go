package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"example.com/brunt/loadtest/internal/http1"
)

// newHTTPRequest is req as every client sends it, without its body and without the
// Authorization that credentials in its URL stand for; see authorize. Its error
// has every fault of req.
func newHTTPRequest(ctx context.Context, req *Request) (*http.Request, error) {
	if req == nil {
		return nil, fmt.Errorf("%w: nil", ErrInvalidRequest)
	}
	var faults []error
	refuse := func(err error) { faults = append(faults, fmt.Errorf("%w: %w", ErrInvalidRequest, err)) }
	if req.Method != "" && !http1.ValidToken(req.Method) {
		refuse(fmt.Errorf("method %q is not a token", req.Method))
	}
	for _, status := range req.Expect {
		if status < 100 || status > 999 {
			refuse(fmt.Errorf("status %d in Expect: must be from 100 to 999", status))
		}
	}
	u, err := parseURL(req.URL)
	if err != nil {
		refuse(err)
	}
	header := canonicalHeader(req.Header, refuse)
	checkHeader(header, refuse)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	hr, err := http.NewRequestWithContext(ctx, req.Method, "", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	hr.URL, hr.Header, hr.Host = u, header, u.Host
	if host := header["Host"]; len(host) > 0 {
		hr.Host = host[0]
		delete(header, "Host")
	}
	return hr, nil
}

// canonicalHeader is a copy of header under the canonical names. Two spellings of
// one name are refused: a map does not tell which comes first.
func canonicalHeader(header http.Header, refuse func(error)) http.Header {
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

// checkHeader refuses what net/http would not send as it stands, without a word.
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

// checkHost asks net/http whether it sends host as a Host header. One that it does
// not take it would leave empty.
func checkHost(host string) error {
	var head bytes.Buffer
	err := (&http.Request{URL: &url.URL{}, Host: host}).Write(&head)
	switch {
	case host == "":
		return nil
	case err != nil:
		return fmt.Errorf("host %q has no ASCII form: %w", host, err)
	case bytes.Contains(head.Bytes(), []byte("Host: \r\n")):
		return fmt.Errorf("host %q holds a character that no host has", host)
	}
	return nil
}

// authorize gives hr the Authorization that the credentials in its URL stand for,
// unless it has one, as http.Client does for each hop.
func authorize(hr *http.Request) {
	if user := hr.URL.User; user != nil && hr.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		hr.SetBasicAuth(user.Username(), password)
	}
}
