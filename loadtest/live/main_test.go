package live

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shownAt returns the address that was logged.
func shownAt(t *testing.T, tb *faketb.TB) string {
	t.Helper()
	require.Len(t, tb.Logs(), 1)
	url, ok := strings.CutPrefix(tb.Logs()[0], "live: ")
	require.True(t, ok, tb.Logs()[0])
	return url
}

// dial connects to what was logged.
func dial(t *testing.T, tb *faketb.TB) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.Trim(strings.TrimPrefix(shownAt(t, tb), "http://"), "/"))
	require.NoError(t, err)
	return conn
}

func get(t *testing.T, client *http.Client, url string) io.ReadCloser {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	got, err := client.Do(r)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode)
	return got.Body
}

func read(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(text)
}

// second is the report after second i of a run of a minute, in which n requests ended.
func second(i int, n int64) loadtest.Progress {
	return loadtest.Progress{
		Engine: "async", Elapsed: time.Duration(i) * time.Second, Planned: time.Minute, Size: -1, InFlight: int(n),
		Counts: loadtest.Counts{Requests: int64(i) * n, SuccessCount: int64(i) * n},
		Last: loadtest.Interval{
			From: time.Duration(i-1) * time.Second, To: time.Duration(i) * time.Second,
			Counts: loadtest.Counts{Requests: n, SuccessCount: n}, P50: time.Millisecond, P99: 3 * time.Millisecond, InFlight: int(n),
		},
	}
}

// update is the data of an event.
type update struct {
	Main   string
	Charts []struct {
		ID     string
		Series []struct {
			Label string
			X, Y  []*float64
		}
	}
}

func parse(t *testing.T, event []byte) (u update) {
	t.Helper()
	require.NoError(t, json.Unmarshal(event, &u), "%s", event)
	return u
}

func eventOf(t *testing.T, l htmlreport.Live) update {
	t.Helper()
	event, err := l.Event()
	require.NoError(t, err)
	return parse(t, event)
}

// line returns the points of a line, as "x:y".
func (u update) line(t *testing.T, chart, label string) string {
	t.Helper()
	for _, c := range u.Charts {
		for _, s := range c.Series {
			if c.ID == chart && s.Label == label {
				var points []string
				for i, x := range s.X {
					y := "gap"
					if s.Y[i] != nil {
						y = fmt.Sprint(*s.Y[i])
					}
					points = append(points, fmt.Sprintf("%v:%s", *x, y))
				}
				return strings.Join(points, " ")
			}
		}
	}
	t.Fatalf("there is no line %s in a chart %s", label, chart)
	return ""
}
