package resiliencetest

import (
	"context"
	"errors"
	"go/build"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// The tests of this file show what net/http itself does in the cells of the matrix that it
// fails, or in which it leaves something behind: whoever finds one failing has a better net/http,
// and can take the exception off.

// netHTTPMeets starts a server with faults on a network, and returns a transport as
// http.DefaultTransport is, and how many of its connections are open.
func netHTTPMeets(t *testing.T, n *fixtures.Network, opts ...fixtures.ServerOption) (s *fixtures.Server, tr *http.Transport, open *atomic.Int64) {
	t.Helper()
	l, err := n.Listen("api.test:443")
	require.NoError(t, err)
	s = fixtures.NewServer(t, append(opts, fixtures.WithListener(l, n.DialContext))...)
	tr = n.Transport()
	tr.TLSClientConfig = s.TLSConfig()
	open = new(atomic.Int64)
	dial := tr.DialContext
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newConn(c, open), nil
	}
	return s, tr, open
}

func getWithin(tr http.RoundTripper, d time.Duration, url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// Cells h2-stale-silent: a dead HTTP/2 connection stays in the pool, and every request goes
// there, for as long as the kernel believes in it. SendPingTimeout ends that; it is off unless
// it is set.
func TestNetHTTPKeepsADeadHTTP2Connection(t *testing.T) {
	for _, ping := range []time.Duration{0, 15 * time.Second} {
		fixtures.Virtual(t, func(t *testing.T, n *fixtures.Network) {
			s, tr, _ := netHTTPMeets(t, n, fixtures.WithTLS(), fixtures.WithFaults(fixtures.Stall(fixtures.Answered).First(1)))
			tr.HTTP2 = &http.HTTP2Config{SendPingTimeout: ping}
			require.NoError(t, getWithin(tr, time.Minute, s.URL+"/get"))
			for range 10 {
				err := getWithin(tr, time.Minute, s.URL+"/get")
				if ping == 0 {
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
				time.Sleep(time.Minute)
			}
			if ping != 0 {
				require.NoError(t, getWithin(tr, time.Minute, s.URL+"/get"))
			}
		})
	}
}

// Cells h2-goaway-…/canceled-waiting: golang/go#39752. A connection that is told GOAWAY when its
// only request has been canceled is in no pool any more, and nobody closes it; Go 1.27 does.
func TestNetHTTPLeavesAConnectionThatHadGoAway(t *testing.T) {
	fixtures.Virtual(t, func(t *testing.T, n *fixtures.Network) {
		n.SetLink(fixtures.ClientHost, "api.test", fixtures.Link{Latency: fixtures.Constant(2 * time.Millisecond)})
		s, tr, open := netHTTPMeets(t, n, fixtures.WithTLS(), fixtures.WithFaults(fixtures.GoAway(true).After(1)))
		require.NoError(t, getWithin(tr, time.Minute, s.URL+"/get"))
		require.ErrorIs(t, getWithin(tr, 3*time.Millisecond, s.URL+"/get"), context.DeadlineExceeded) // GOAWAY is on its way
		time.Sleep(time.Minute)
		tr.CloseIdleConnections()
		want := 1
		if slices.Contains(build.Default.ReleaseTags, "go1.27") {
			want = 0
		}
		require.EqualValues(t, want, open.Load())
	})
}

// Cells h2-goaway-unprocessed/PUT and POST: the body that net/http's HTTP/2 gets to send the
// request again is not closed when there is no connection for it.
func TestNetHTTPLeavesABodyFromGetBody(t *testing.T) {
	fixtures.Virtual(t, func(t *testing.T, n *fixtures.Network) {
		s, tr, _ := netHTTPMeets(t, n, fixtures.WithTLS(), fixtures.WithFaults(fixtures.GoAway(false).First(1)))
		var open atomic.Int64
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/get", nil)
		require.NoError(t, err)
		req.Body, req.ContentLength = newBody(&open), int64(len(upload))
		req.GetBody = func() (io.ReadCloser, error) { return newBody(&open), nil }
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, open.Load(), "net/http has mended its ways: take goAwayLeaves off")
	})
}

// Cell reset-in-header: a connection that is reset in the status line is an answer that is
// malformed, and its error does not say ECONNRESET; resilience.IsTransient goes by the text.
func TestNetHTTPCallsAStatusLineThatIsCutShortMalformed(t *testing.T) {
	fixtures.Virtual(t, func(t *testing.T, n *fixtures.Network) {
		s, tr, _ := netHTTPMeets(t, n, fixtures.WithFaults(fixtures.Reset(fixtures.HeaderByte(10))))
		err := getWithin(tr, time.Minute, s.URL+"/get")
		require.EqualError(t, err, `net/http: HTTP/1.x transport connection broken: malformed HTTP status code "2"`)
		require.NotErrorIs(t, err, syscall.ECONNRESET)
	})
}
