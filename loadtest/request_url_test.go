package loadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// Whatever is wrong with a URL, what is said of it does not tell its password.
func FuzzURLFaultsTellNoPassword(f *testing.F) {
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
		if err := Get(raw).Validate(); err != nil {
			require.NotContains(t, err.Error(), password)
		}
		if strings.Contains(raw, "\n") {
			return // two lines of a list
		}
		if _, err := ReadURLs(strings.NewReader(raw)); err != nil {
			require.NotContains(t, err.Error(), password)
			var line *LineError
			if errors.As(err, &line) {
				require.NotContains(t, line.Text, password)
			}
		}
	})
}

// quoting is a transport that quotes what it was asked for, as mocks do.
type quoting struct{}

func (quoting) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("no responder for %s, nor for %q: %w", r.URL, r.URL.Redacted(), errTest)
}

// Credentials are sent and stay where they are: in no result, file or report.
func TestCredentialsAreInNoResult(t *testing.T) {
	fixtures.NoLeaks(t)
	const user, password = "us3r", "s3cret"
	srv := fixtures.NewServer(t, fixtures.WithHandler("/x", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch u, p, _ := r.BasicAuth(); {
		case u != user || p != password:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.RawQuery == "circle":
			http.Redirect(w, r, "/x?circle", http.StatusFound)
		case r.URL.RawQuery == "cut":
			panic(http.ErrAbortHandler)
		}
	})))
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refused := l.Addr().String()
	require.NoError(t, l.Close())
	with := func(host, path string) string { return "http://" + user + ":" + password + "@" + host + path }
	host := strings.TrimPrefix(srv.URL, "http://")

	for _, tt := range []struct {
		reason, url string
		conn        ConnectionConfig
		class       ErrorClass
	}{
		{"success", with(host, "/x"), ConnectionConfig{}, ClassNone},
		{"status", with(host, "/status/503"), ConnectionConfig{}, ClassStatus},
		{"cut", with(host, "/x?cut"), ConnectionConfig{}, ClassEOF},
		{"refused", with(refused, "/"), ConnectionConfig{}, ClassRefused},
		{"refused, http.Client", with(refused, "/"), ConnectionConfig{MaxRedirects: 1}, ClassRefused},
		{"redirects", with(host, "/x?circle"), ConnectionConfig{MaxRedirects: 2}, ClassRedirect},
		{"a transport", with("h.test", "/"), ConnectionConfig{Transport: quoting{}}, ClassOther},
		{"a transport, http.Client", with("h.test", "/"), ConnectionConfig{Transport: quoting{}, MaxRedirects: 1}, ClassOther},
		{"a mock", with("h.test", "/"), ConnectionConfig{Transport: fixtures.MockTransport(t)}, ClassOther},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			clients := map[string]EngineConfig{"net/http": SyncConfig{Conn: tt.conn}}
			if tt.conn.Transport == nil && tt.conn.MaxRedirects == 0 {
				clients["wire"] = SyncConfig{Client: Wire(tt.conn)}
			}
			for name, cfg := range clients {
				e := Start(t, cfg)
				file := filepath.Join(t.TempDir(), "results.jsonl")
				sink, err := CreateJSONL(file, SinkConfig{})
				require.NoError(t, err)
				var told []string
				r, err := e.RunStreaming(t.Context(), Times(2, Get(tt.url)), func(out RequestResult) error {
					require.Equal(t, tt.class, out.Class, "%s: %v", name, out.Err)
					require.Equal(t, strings.Replace(tt.url, user+":"+password+"@", "", 1), out.URL)
					if tt.conn.Transport == (quoting{}) {
						require.ErrorIs(t, out.Err, errTest, "only the text is another")
					}
					told = append(told, fmt.Sprint(out))
					return sink.Put(out)
				})
				require.NoError(t, err)
				require.NoError(t, sink.Close(t.Context()))
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				encoded, err := json.Marshal(r)
				require.NoError(t, err)
				told = append(told, string(text), string(encoded), r.String(), fmt.Sprint(r.ErrorExamples))
				for _, text := range told {
					for _, secret := range []string{user, password, "dXMzcjpzM2NyZXQ"} {
						require.NotContains(t, text, secret, name)
					}
				}
			}
		})
	}
}
