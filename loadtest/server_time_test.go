package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerTimeThatCannotBeIsRefused(t *testing.T) {
	for want, s := range map[string]ServerTime{
		"":                              {Header: "server-timing", Metric: "db"},
		`Header "a b" is not a token`:   {Header: "a b"},
		`Metric "a;b" is not a token`:   {Metric: "a;b"},
		`Metric is "db": must be empty`: {Header: "X-Runtime", Metric: "db"},
		"Unit is -1ns: must be 0 for a millisecond": {Header: "X-Runtime", Unit: -1},
		"Unit is 1s: must be 0, as Server-Timing":   {Unit: time.Second},
	} {
		req := Get("http://h/")
		req.ServerTime = &s
		if err := req.Validate(); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrInvalidRequest)
			require.ErrorContains(t, err, want)
		}
	}
}

// headerClient is a Client written elsewhere.
type headerClient struct{}

func (c headerClient) Session() (Session, error) { return c, nil }
func (c headerClient) Close() error              { return nil }
func (c headerClient) Do(ctx context.Context, req *Request) (Response, error) {
	hr, err := http.NewRequestWithContext(ctx, http.MethodGet, req.URL, http.NoBody)
	if err != nil {
		return Response{}, err
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(hr)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Response{StatusCode: resp.StatusCode, Header: resp.Header, Body: body, Bytes: int64(len(body))}, err
}

// Each client counts what the server says, of failed requests too, and what it does not
// say is no error.
func TestAllClientsCountServerTime(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			w.Header().Set("Server-Timing", "total;dur=7")
		case "/slow":
			w.Header().Set("Server-Timing", `x;desc="total;dur=1", total;dur=250`)
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/bad":
			w.Header().Set("Server-Timing", "total;dur=oops")
		}
		fmt.Fprint(w, "hello")
	}))
	defer srv.Close()
	foreign := &http.Transport{}
	defer foreign.CloseIdleConnections()
	for name, client := range map[string]Client{
		"nethttp directly":        NetHTTP(ConnectionConfig{}),
		"nethttp, limited":        NetHTTP(ConnectionConfig{MaxConnections: 1}),
		"nethttp, http.Transport": NetHTTP(ConnectionConfig{Pooling: PoolNaive}),
		"nethttp, foreign":        NetHTTP(ConnectionConfig{Transport: foreign}),
		"wire":                    Wire(ConnectionConfig{}),
		"written elsewhere":       headerClient{},
	} {
		t.Run(name, func(t *testing.T) {
			e := Start(t, ThreadedConfig{MaxWorkers: 2, Client: client})
			ask := func(name string) *Request {
				req := Get(srv.URL + "/" + name)
				req.Name, req.ServerTime = name, &ServerTime{}
				return req
			}
			checked := ask("ok")
			checked.Check = func(r Response) error {
				if string(r.Body) != "hello" || r.Header.Get("Content-Length") != "5" {
					return fmt.Errorf("%v %q", r.Header, r.Body)
				}
				return nil
			}
			notAsked := Get(srv.URL + "/ok")
			notAsked.Name = "not asked"
			silent := Get(srv.URL + "/silent")
			silent.ServerTime = &ServerTime{}
			r, err := e.Run(t.Context(), Times(70, ask("ok"), ask("slow"), ask("bad"), silent, notAsked, checked, Call("func", func(context.Context) error { return nil })))
			require.NoError(t, err)
			require.EqualValues(t, 70, r.Requests)
			require.EqualValues(t, 10, r.ErrorCount, "%v", r)

			reported, missing := r.ServerTimes()
			require.Equal(t, [2]int64{30, 20}, [2]int64{reported, missing})
			require.Equal(t, 7*time.Millisecond, r.ServerQuantile(0))
			require.Equal(t, 7*time.Millisecond, r.ServerQuantile(0.5).Truncate(100*time.Microsecond))
			require.Equal(t, 250*time.Millisecond, r.ServerQuantile(1))
			for name, want := range map[string][2]int64{"ok": {20, 0}, "slow": {10, 0}, "bad": {0, 10}, "not asked": {}, "func": {}} {
				reported, missing := r.Endpoints[name].ServerTimes()
				require.Equal(t, want, [2]int64{reported, missing}, name)
			}
			require.Equal(t, 250*time.Millisecond, r.Endpoints["slow"].ServerQuantile(0))
			require.Zero(t, r.Endpoints["not asked"].ServerQuantile(1))

			text := r.String()
			require.Contains(t, text, "  server    p50 7ms  p95 250ms  p99 250ms  max 250ms, no time in 20 responses\n")
			require.Contains(t, text, "  … server  bad        no time in 10 responses\n")
			data, err := json.Marshal(r)
			require.NoError(t, err)
			var back EngineResult
			require.NoError(t, json.Unmarshal(data, &back))
			sameResult(t, r, &back)
			require.Equal(t, text, back.String())
		})
	}
}

// Wire knows a head again that it has read before. It has the header all the same, also
// behind an interim response, and keeps no body for it.
func TestWireHasTheHeaderThatWasAskedFor(t *testing.T) {
	for name, head := range map[string]string{"": "", "interim": "HTTP/1.1 103 Early Hints\r\nserver-timing: app;dur=1\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			l := listenOn(t, "tcp", "127.0.0.1:0")
			respond(t, l, head+"HTTP/1.1 200 OK\r\nserver-TIMING: app;dur=3\r\nX: y\r\nContent-Length: 2\r\n\r\nhi")
			s := wireSessionOf(t, ConnectionConfig{})
			req, plain := Get("http://"+l.Addr().String()+"/"), Get("http://"+l.Addr().String()+"/")
			req.ServerTime = &ServerTime{}
			for range 3 {
				resp, err := s.Do(t.Context(), req)
				require.NoError(t, err)
				require.Equal(t, Response{StatusCode: 200, Proto: "HTTP/1.1", Bytes: 2, Header: http.Header{"Server-Timing": {"app;dur=3"}}}, resp)
				resp, err = s.Do(t.Context(), plain)
				require.NoError(t, err)
				require.Nil(t, resp.Header)
			}
		})
	}
}
