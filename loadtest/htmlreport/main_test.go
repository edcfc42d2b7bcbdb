package htmlreport

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/loadtest"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	renew  = flag.Bool("renew", false, "rewrite testdata/result.json")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares got with testdata/name, or with -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to make it")
	require.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
}

// stored is a result of an async engine against a server that failed 2 % of the
// requests, as JSON keeps it, with a minute of intervals in which it stalled
// from second 30 to 33.
func stored(t *testing.T) *loadtest.EngineResult {
	t.Helper()
	data, err := os.ReadFile("testdata/result.json")
	require.NoError(t, err)
	r := new(loadtest.EngineResult)
	require.NoError(t, json.Unmarshal(data, r))
	r.Intervals = minute(1)
	r.Warnings = append(r.Warnings, loadtest.Warning{
		Kind: loadtest.WarnStall, Text: "stalled from 30s to 33s: 0 req/s instead of about 4,197, 48 in flight at its end",
	})
	return r
}

// minute is made up, the same every time.
func minute(scale int) []loadtest.Interval {
	var ivs []loadtest.Interval
	for i := range 60 {
		wave := time.Duration(i*37%11) * 90 * time.Microsecond
		iv := loadtest.Interval{
			From: time.Duration(i) * time.Second, To: time.Duration(i+1) * time.Second,
			Counts: loadtest.Counts{Requests: int64(scale * (4000 + i*53%400)), ErrorCount: int64(70 + i*29%23)},
			P50:    5*time.Millisecond + wave, P99: 19*time.Millisecond + 7*wave,
			InFlight: 50 - i%3, HeapBytes: uint64(18<<20 + i*7919%13<<19),
		}
		switch {
		case i >= 30 && i < 33:
			iv.Requests, iv.ErrorCount, iv.P50, iv.P99 = 0, 0, 0, 0
		case i == 33:
			iv.ErrorCount, iv.P99 = 900, 3200*time.Millisecond
		}
		ivs = append(ivs, iv)
	}
	return ivs
}
