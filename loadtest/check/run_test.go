package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

// A result has each check that failed, how often, and what came, whatever the client is.
func TestResultsShowWhatFailed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Kind", r.URL.Path)
		fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
	}))
	defer server.Close()
	check := All(HeaderMatches("X-Kind", "."), Not(Contains("c")), JSON("$.path", "/a"), Size(1, 13))
	own := loadtest.Get(server.URL)
	own.Check = func(loadtest.Response) error { return errors.New("mine\nin two lines") }
	var reqs []*loadtest.Request
	for _, path := range []string{"/a", "/a", "/b", "/b", "/b", "/c"} {
		req := loadtest.Get(server.URL + path)
		req.Check = check
		reqs = append(reqs, req)
	}
	reqs = append(reqs, own)
	for name, client := range map[string]func(loadtest.ConnectionConfig) loadtest.Client{"NetHTTP": loadtest.NetHTTP, "Wire": loadtest.Wire} {
		t.Run(name, func(t *testing.T) {
			engine := loadtest.Start(t, loadtest.ThreadedConfig{MaxWorkers: 4, Client: client(loadtest.ConnectionConfig{})})
			r, err := engine.Run(t.Context(), loadtest.Times(70, reqs...))
			require.NoError(t, err)
			require.EqualValues(t, 50, r.Errors[loadtest.ClassCheck])
			require.Len(t, r.FailedChecks, 3)
			require.Equal(t, loadtest.FailedCheck{Count: 10, Example: "mine"}, r.FailedChecks["(others)"], "it does not say what it is of")
			require.Equal(t, loadtest.FailedCheck{Count: 30, Example: `check: want JSON $.path = "/a"; got $.path = "/b"`}, r.FailedChecks[`JSON $.path = "/a"`])
			require.Contains(t, r.String(), "  … check   30 × check: want JSON $.path = \"/a\"; got $.path = \"/b\"\n")
			require.Contains(t, r.String(), "  … check   10 × check: want the check in Not (run_test.go:23) to fail; got 200 text/plain; charset=utf-8 of 13 bytes: {\"path\":\"/c\"}\n")
			require.Contains(t, r.String(), "  error     50 × check\n  … check", "the examples are below")

			data, err := json.Marshal(r)
			require.NoError(t, err)
			var stored loadtest.EngineResult
			require.NoError(t, json.Unmarshal(data, &stored))
			require.Equal(t, r.FailedChecks, stored.FailedChecks)
			stored.Merge(r)
			require.EqualValues(t, 60, stored.FailedChecks[`JSON $.path = "/a"`].Count)
			require.EqualValues(t, 30, r.FailedChecks[`JSON $.path = "/a"`].Count, "what is merged is not changed")
		})
	}
}

// What a warm-up excludes is in no count of checks either.
func TestWarmUpsFailNoChecks(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	engine := loadtest.Start(t, loadtest.SyncConfig{Exclude: loadtest.Exclude{WarmUpRequests: 3}})
	req := loadtest.Get(server.URL)
	req.Expect, req.Check = []int{404}, Size(0, 1)
	r, err := engine.Run(t.Context(), loadtest.Times(5, req))
	require.NoError(t, err)
	require.EqualValues(t, 2, r.Errors[loadtest.ClassCheck])
	require.EqualValues(t, 2, r.FailedChecks["body of 0 to 1 bytes"].Count)
}

// A status that is an error by itself is none of the check's business.
func TestStatusesComeToChecksWhereExpectLetsThem(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	engine := loadtest.Start(t, loadtest.SyncConfig{})
	req := loadtest.Get(server.URL)
	req.Check = Status(404)
	r, err := engine.Run(t.Context(), loadtest.Times(1, req))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Errors[loadtest.ClassStatus])

	req.Expect = []int{404}
	r, err = engine.Run(t.Context(), loadtest.Times(1, req))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.SuccessCount)

	req.Check = Status(200)
	r, err = engine.Run(t.Context(), loadtest.Times(1, req))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Errors[loadtest.ClassCheck])
	require.Contains(t, r.String(), "error     1 × check: check: want status 200; got 404 text/plain; charset=utf-8 of 19 bytes: 404 page not found", "a single check has its line")
}
