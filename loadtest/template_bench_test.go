package loadtest

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkTemplate is what a request costs in a run if it is the same each time, made by
// a template, or made anew by the user, over a responder that knows no HTTP.
func BenchmarkTemplate(b *testing.B) {
	l := listenOn(b, "tcp", "127.0.0.1:0")
	respond(b, l, typicalResponse)
	base := "http://" + l.Addr().String()
	request := func(id string) *Request {
		return &Request{
			Method: http.MethodPost, URL: base + "/users/" + id + "/orders?again=" + id, Body: []byte(`{"id":"` + id + `"}`),
			Header: http.Header{"Content-Type": {"application/json"}, "X-User": {id}, "Accept": {"*/*"}},
		}
	}
	fixed := request("7")
	tmpl, err := NewTemplate(request("${id}"))
	require.NoError(b, err)
	sources := map[string]Source{
		"fixed":    Cycle(fixed),
		"new":      Pick(func(i int64) *Request { return request(strconv.FormatInt(i, 10)) }),
		"template": tmpl.Source(func(i int64, _ string) (string, error) { return strconv.FormatInt(i, 10), nil }),
	}
	for _, client := range []struct {
		name string
		make func() Client
	}{
		{"wire", func() Client { return Wire(ConnectionConfig{}) }},
		{"nethttp", func() Client { return NetHTTP(ConnectionConfig{}) }},
		{"transport", func() Client { return NetHTTP(ConnectionConfig{MaxRedirects: 1}) }},
	} {
		for _, source := range []string{"fixed", "template", "new"} {
			b.Run(fmt.Sprintf("client=%s/request=%s", client.name, source), func(b *testing.B) {
				b.ReportAllocs()
				e := Start(b, SyncConfig{Client: client.make()})
				b.ResetTimer()
				r, err := e.Run(b.Context(), Take(int64(b.N), sources[source]))
				require.NoError(b, err)
				require.Zero(b, r.ErrorCount)
			})
		}
	}
}
