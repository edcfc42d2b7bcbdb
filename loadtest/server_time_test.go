package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerTimingIsReadAsBrowsersDo(t *testing.T) {
	const none = -1
	for _, tt := range []struct {
		reason string
		values []string
		metric string
		want   float64 // ms
	}{
		{"the only metric", []string{"app;dur=12.5"}, "", 12.5},
		{"a metric without a duration does not compete", []string{"miss, app;dur=12.5, cache;desc=hit"}, "", 12.5},
		{"total wins, wherever it is", []string{"db;dur=53", "app;dur=47.2, total;dur=61"}, "", 61},
		{"several and no total: which, would be a guess", []string{"db;dur=53, app;dur=47.2"}, "", none},
		{"one by name", []string{"db;dur=53, app;dur=47.2"}, "app", 47.2},
		{"of one name, the sum", []string{"db;dur=5, app;dur=47.2", "db;dur=7"}, "db", 12},
		{"names heed case", []string{"DB;dur=53"}, "db", none},
		{"a name that is not there, though there is a total", []string{"total;dur=61"}, "db", none},
		{"no header", nil, "", none},
		{"an empty one", []string{"", " , ,"}, "", none},
		{"no duration", []string{"app", "app;desc=slow"}, "", none},
		{"quoted description with all that separates", []string{`app;desc="a, total;dur=99 \"b\\";dur=3`}, "", 3},
		{"quoted duration", []string{`app;dur="3.25"`}, "", 3.25},
		{"a quoted string that does not end takes all", []string{`app;desc="x;dur=4, total;dur=9`}, "", none},
		{"white space wherever it may be", []string{" app \t; desc = \"x\" ;\tdur = 4 , "}, "", 4},
		{"a parameter's name in any case, and one without a value", []string{"app;DUR=4", "hit;fresh"}, "", 4},
		{"the first dur counts", []string{"app;dur=4;dur=5"}, "", 4},
		{"the first dur counts, bad or not", []string{"app;dur=x;dur=5"}, "", none},
		{"what is wrong ends at the comma", []string{"a b;dur=1, c/d;dur=2, app;dur=3, ;dur=4"}, "", 3},
		{"garbage behind a value", []string{"app;dur=3 ms;dur=4"}, "", 3},
		{"zero", []string{"app;dur=0"}, "", 0},
		{"exponent", []string{"app;dur=1.5e1"}, "", 15},
		{"a tenth of a microsecond", []string{"app;dur=0.0001"}, "", 0.0001},
		{"negative", []string{"app;dur=-1"}, "", none},
		{"not a number", []string{"app;dur=NaN"}, "", none},
		{"endless", []string{"app;dur=Inf"}, "", none},
		{"hexadecimal", []string{"app;dur=0x10"}, "", none},
		{"out of range", []string{"app;dur=1e300"}, "", none},
		{"each in range, the sum not", []string{"app;dur=9e12, app;dur=9e12"}, "app", none},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			got, ok := (&ServerTime{Metric: tt.metric}).read(http.Header{"Server-Timing": tt.values})
			require.Equal(t, tt.want != none, ok, "%v", got)
			if ok {
				require.Equal(t, time.Duration(math.Round(tt.want*1e6)), got)
			}
		})
	}
}

func TestANumberInANamedHeader(t *testing.T) {
	const envoy = "X-Envoy-Upstream-Service-Time"
	for _, tt := range []struct {
		s     ServerTime
		value []string
		want  time.Duration // -1: unusable
	}{
		{ServerTime{Header: envoy}, []string{"17"}, 17 * time.Millisecond},
		{ServerTime{Header: strings.ToLower(envoy)}, []string{" 17.25\t"}, 17250 * time.Microsecond},
		{ServerTime{Header: "X-Runtime", Unit: time.Second}, []string{"0.012345"}, 12345 * time.Microsecond},
		{ServerTime{Header: "X-Took"}, []string{"1m1.5s"}, 61500 * time.Millisecond},
		{ServerTime{Header: "X-Took", Unit: time.Hour}, []string{"5µs"}, 5 * time.Microsecond},
		{ServerTime{Header: envoy}, nil, -1},
		{ServerTime{Header: envoy}, []string{""}, -1},
		{ServerTime{Header: envoy}, []string{"17", "18"}, -1},
		{ServerTime{Header: envoy}, []string{"-17"}, -1},
		{ServerTime{Header: envoy}, []string{"-17ms"}, -1},
		{ServerTime{Header: envoy}, []string{"fast"}, -1},
		{ServerTime{Header: "X-Took", Unit: time.Hour}, []string{"1e9"}, -1},
	} {
		got, ok := tt.s.read(http.Header{http.CanonicalHeaderKey(tt.s.Header): tt.value})
		require.Equal(t, tt.want >= 0, ok, "%v: %q: %v", tt.s, tt.value, got)
		if ok {
			require.Equal(t, tt.want, got, "%v: %q", tt.s, tt.value)
		}
	}
}

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

// What is written as the W3C has it is read, whatever its texts; and nothing makes the
// parser fail, or find more than there is.
func FuzzServerTiming(f *testing.F) {
	f.Add("app", `a "quoted\" text, total;dur=9`, 12.5, `x;desc="`)
	f.Add("total", "", 0.0, "db;dur=1, db;dur=2")
	f.Add("a", ";,=", 1e9, `;;;,,,"\`)
	f.Fuzz(func(t *testing.T, name, text string, ms float64, junk string) {
		for _, metric := range []string{"", name} {
			if d, ok := readServerTiming([]string{junk, text}, metric); d < 0 || !ok && d != 0 {
				t.Fatalf("%q: %v, %v", junk, d, ok)
			}
		}
		if token, rest := cutToken(name); token == "" || rest != "" || ms < 0 || ms > 1e12 || math.IsNaN(ms) {
			return
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		value := fmt.Sprintf("before;desc=%s, %s;desc=%s;dur=%v;after=%s ,after;desc=%s", quoted, name, quoted, ms, quoted, quoted)
		got, ok := readServerTiming([]string{value}, name)
		if want := time.Duration(math.Round(ms * 1e6)); !ok || got != want {
			t.Fatalf("%q: got %v, %v, want %v", value, got, ok, want)
		}
	})
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
