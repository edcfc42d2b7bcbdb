package htmlreport

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest"
)

// TestMakeResult renews testdata/result.json: -run MakeResult -renew.
func TestMakeResult(t *testing.T) {
	if !*renew {
		t.Skip("only with -renew")
	}
	r := drive(t, 2*time.Second)
	r.Intervals = nil // stored adds others
	data, err := json.MarshalIndent(r, "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	require.NoError(t, os.WriteFile("testdata/result.json", append(data, '\n'), 0o644))
}

// drive loads a server that has a long tail, fails 2 % of the requests, and
// stalls for a fifth of the time in the middle.
func drive(t *testing.T, d time.Duration) *loadtest.EngineResult {
	t.Helper()
	begin := time.Now()
	srv := fixtures.NewServer(t,
		fixtures.WithLatency(fixtures.LogNormal(5*time.Millisecond, 0.6)), fixtures.WithErrorRate(0.02), fixtures.WithSeed(7),
		fixtures.WithHandler("/list", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if past := time.Since(begin); past > 2*d/5 && past < 3*d/5 {
				select {
				case <-time.After(3*d/5 - past):
				case <-r.Context().Done():
				}
			}
			w.Write([]byte("a list")) //nolint:errcheck // the client may have left
		})))
	engine := loadtest.Start(t, loadtest.AsyncConfig{MaxConcurrent: 50, Timeout: 5 * time.Second})
	list, get, del := loadtest.Get(srv.URL+"/list"), loadtest.Get(srv.URL+"/get"), loadtest.Get(srv.URL+"/status/404")
	list.Name, get.Name, del.Name = "list", "get", "missing"
	check := *get
	check.Name, check.Check = "checked", func(loadtest.Response) error { return errors.New("the cart is empty") }
	r, err := engine.Run(t.Context(), loadtest.For(d, list, get, list, get, list, get, list, get, list, get, list, get, del, &check))
	require.NoError(t, err)
	return r
}
