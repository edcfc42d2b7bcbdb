package loadtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// served is an HTTP server of handle for one test. With http2 it speaks that, over
// TLS.
func served(t *testing.T, http2 bool, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(handle)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = http2
	if http2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

// h2Frame is a frame of HTTP/2.
func h2Frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + payload
}

const (
	h2Headers, h2Reset, h2Settings, h2GoAway = 1, 3, 4, 7
	h2OK                                     = "\x88" // :status 200 in HPACK
	h2End                                    = "end"  // no frame: the server closes its side
)

// h2Server answers the first request of each connection with frames, as a server
// of unencrypted HTTP/2, and then closes its side if the last is h2End.
func h2Server(t *testing.T, frames ...string) string {
	t.Helper()
	return rawServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, h2Frame(h2Settings, 0, 0, ""))
		if !awaitHeaders(c) {
			return
		}
		text, ends := strings.CutSuffix(strings.Join(frames, ""), h2End)
		_, _ = io.WriteString(c, text)
		if ends {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		hang(c)
	})
}

// awaitHeaders reads until a client of HTTP/2 has sent the head of a request.
func awaitHeaders(c net.Conn) bool {
	var got []byte
	buf := make([]byte, 4096)
	for !hasHeaders(got) {
		n, err := c.Read(buf)
		if err != nil {
			return false
		}
		got = append(got, buf[:n]...)
	}
	return true
}

// hasHeaders reports whether a client has sent the head of a request.
func hasHeaders(got []byte) bool {
	rest, ok := bytes.CutPrefix(got, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	for ok && len(rest) >= 9 {
		n := 9 + int(rest[0])<<16 + int(rest[1])<<8 + int(rest[2])
		if rest[3] == h2Headers {
			return true
		}
		if len(rest) < n {
			return false
		}
		rest = rest[n:]
	}
	return false
}

// What net/http usually fails with has a class that tells the reader whom to ask.
func TestUsualFailuresOfNetHTTPAreClassed(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte("some text "), 1000))
	_ = z.Close()
	gzipped := func(edit func([]byte) []byte) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			return served(t, false, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = w.Write(edit(bytes.Clone(packed.Bytes())))
			}).URL
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 0xff; return b }
	}
	raw := func(serve func(net.Conn)) func(*testing.T) string {
		return func(t *testing.T) string { t.Helper(); return rawServer(t, serve) }
	}
	frames := func(f ...string) func(*testing.T) string {
		return func(t *testing.T) string { t.Helper(); return h2Server(t, f...) }
	}
	to := func(location string) func(*testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			return served(t, false, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Location"] = []string{location}
				w.WriteHeader(http.StatusFound)
			}).URL
		}
	}
	nowhere := func(*testing.T) string { return "https://nowhere.test/" }
	via := func(scheme string, serve func(net.Conn)) func(*testing.T) ConnectionConfig {
		return func(t *testing.T) ConnectionConfig {
			t.Helper()
			u, err := url.Parse(strings.Replace(rawServer(t, serve), "http://", scheme+"://user:secret@", 1))
			require.NoError(t, err)
			return ConnectionConfig{Proxy: http.ProxyURL(u)}
		}
	}
	with := func(cfg ConnectionConfig) func(*testing.T) ConnectionConfig {
		return func(*testing.T) ConnectionConfig { return cfg }
	}
	plain := with(ConnectionConfig{})
	unpack := with(ConnectionConfig{Decompress: true})
	follow := with(ConnectionConfig{MaxRedirects: 3})
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h2 := with(ConnectionConfig{Protocols: h2c})
	for _, tt := range []struct {
		name string
		url  func(*testing.T) string
		conn func(*testing.T) ConnectionConfig
		want ErrorClass
		text string
	}{
		{"gzip: another format", gzipped(func([]byte) []byte { return []byte("plain text, and enough of it") }), unpack, ClassProtocol, "gzip"},
		{"gzip: corrupt", gzipped(flip(30)), unpack, ClassProtocol, "flate"},
		{"gzip: wrong checksum", gzipped(flip(-6)), unpack, ClassProtocol, "checksum"},
		{"gzip: something behind it", gzipped(func(b []byte) []byte { return append(b, "more, and more"...) }), unpack, ClassProtocol, "gzip"},
		{"gzip: ends early", gzipped(func(b []byte) []byte { return b[:len(b)/2] }), unpack, ClassEOF, "EOF"},
		{"chunk: bad length", raw(reply(chunked + "xyz\r\n")), unpack, ClassProtocol, ""},
		{"chunk: no end of line", raw(reply(chunked + "2\r\nokay\r\n")), unpack, ClassProtocol, ""},
		{"chunk: length too large", raw(reply(chunked + "fffffffffffffffff\r\n")), unpack, ClassProtocol, ""},
		{"chunk: hardly any data", raw(endless(chunked, "1;"+strings.Repeat("x", 3000)+"\r\nx\r\n")), unpack, ClassProtocol, ""},
		{"trailer: ends early", raw(reply(chunked + "2\r\nok\r\n0\r\nA: b\r\n")), unpack, ClassProtocol, ""}, // to net/http it looks too long
		{"trailer: too long", raw(reply(chunked + "2\r\nok\r\n0\r\nA: " + strings.Repeat("b", 64<<10) + "\r\n\r\n")), unpack, ClassProtocol, ""},
		{"header: malformed", raw(reply("HTTP/1.1 200 OK\r\nno colon\r\n\r\n")), unpack, ClassProtocol, ""},
		{"header: bad encoding", raw(reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nok")), unpack, ClassProtocol, ""},
		{"redirect: no URL", to("http://[::1/"), follow, ClassProtocol, "Location"},
		{"redirect: another scheme", to("ftp://x.test/"), follow, ClassRedirect, "ftp"},
		{"https: plain HTTP there", func(t *testing.T) string {
			t.Helper()
			return strings.Replace(fixtures.NewServer(t).URL, "http:", "https:", 1)
		}, follow, ClassTLS, "HTTP response to HTTPS"},
		{"https: something else there", func(t *testing.T) string {
			t.Helper()
			return strings.Replace(rawServer(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 smtp.test\r\n") }), "http:", "https:", 1)
		}, plain, ClassTLS, ""},
		{"https: another name", func(t *testing.T) string {
			t.Helper()
			return served(t, true, func(http.ResponseWriter, *http.Request) {}).URL
		}, with(ConnectionConfig{TLS: &tls.Config{ServerName: "other.test"}}), ClassTLS, ""},
		{"proxy: refuses CONNECT", nowhere, via("http", reply("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")), ClassRefused, "407 Proxy Authentication Required"},
		{"proxy: cannot reach it", nowhere, via("http", reply("HTTP/1.1 502 Bad Gateway\r\n\r\n")), ClassRefused, "nowhere.test:443"},
		{"proxy: no HTTP", nowhere, via("http", reply("what?\r\n\r\n")), ClassProtocol, ""},
		{"proxy: hangs up", nowhere, via("http", func(c net.Conn) { readRequest(c) }), ClassEOF, ""},
		{"socks: refuses", nowhere, via("socks5", func(c net.Conn) {
			buf := make([]byte, 256)
			_, _ = c.Read(buf)
			_, _ = c.Write([]byte{5, 2})
			_, _ = c.Read(buf)
			_, _ = c.Write([]byte{1, 0})
			_, _ = c.Read(buf)
			_, _ = c.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0})
		}), ClassRefused, "host unreachable"},
		{"h2: stream reset", frames(h2Frame(h2Reset, 0, 1, "\x00\x00\x00\x02")), h2, ClassReset, "INTERNAL_ERROR"},
		{"h2: stream reset in the body", frames(h2Frame(h2Headers, 4, 1, h2OK), h2Frame(h2Reset, 0, 1, "\x00\x00\x00\x0b")), h2, ClassReset, "ENHANCE_YOUR_CALM"},
		{"h2: sent away", frames(h2Frame(h2GoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x0b"), h2End), h2, ClassProtocol, "GOAWAY"},
		{"h2: sent away in good order", frames(h2Frame(h2GoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00"), h2End), h2, ClassEOF, "GOAWAY"},
		{"h2: ends in the body", frames(h2Frame(h2Headers, 4, 1, h2OK), h2End), h2, ClassEOF, ""},
		{"h2: a frame out of place", frames(h2Frame(h2Settings, 0, 1, "")), h2, ClassProtocol, ""},
		{"h2: a head that is none", frames(h2Frame(h2Headers, 4, 1, "\xff\xff\xff\xff\xff\xff")), h2, ClassProtocol, ""},
		{"h2: an HTTP/1.1 server", raw(func(c net.Conn) {
			awaitHeaders(c)
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}), h2, ClassProtocol, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			e := Start(t, SyncConfig{Conn: tt.conn(t), Timeout: 20 * time.Second})
			r, err := e.Run(t.Context(), URLs(tt.url(t)))
			require.NoError(t, err)
			accounted(t, 1, r)
			require.Equal(t, map[ErrorClass]int64{tt.want: 1}, r.Errors, "%v", r.ErrorExamples)
			require.Contains(t, r.ErrorExamples[tt.want], tt.text)
			require.NotContains(t, r.ErrorExamples[tt.want], "secret")
		})
	}
}

// A function that cancels something of its own has failed; the run has not ended.
func TestCancellationOfOnesOwnIsNotTheEndOfTheRun(t *testing.T) {
	for name, err := range map[string]error{
		"plain": context.Canceled, "wrapped": fmt.Errorf("query: %w", context.Canceled),
	} {
		t.Run(name, func(t *testing.T) {
			r, runErr := Start(t, SyncConfig{Client: Func(func(context.Context) error { return err })}).Run(t.Context(), Times(3))
			require.NoError(t, runErr)
			accounted(t, 3, r)
			require.Equal(t, map[ErrorClass]int64{ClassOther: 3}, r.Errors)
		})
	}
}
