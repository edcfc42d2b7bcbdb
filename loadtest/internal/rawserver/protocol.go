package rawserver

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Speaking returns the URL of a server that speaks one protocol, "http/1.1", "https",
// "h2" or "h2c", HTTP/2 with so many streams to a connection, and a transport that
// speaks it too. When the test ends, so does the server.
func Speaking(tb testing.TB, proto string, streams int, handle http.HandlerFunc) (string, *http.Transport) {
	tb.Helper()
	srv := httptest.NewUnstartedServer(handle)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	tb.Cleanup(srv.Close)
	t := &http.Transport{Protocols: new(http.Protocols)}
	switch proto {
	case "http/1.1":
		t.Protocols.SetHTTP1(true)
		srv.Start()
	case "h2c":
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		t.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
	default:
		srv.EnableHTTP2 = proto == "h2"
		srv.StartTLS()
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return srv.URL, t
}
