package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
)

// runRoundTrip is the least that net/http can be asked to do.
func runRoundTrip(ctx context.Context, w Work) (Outcome, error) {
	transport := Tuned(w.Connections)
	defer transport.CloseIdleConnections()
	return closedLoop(ctx, w.Connections, w.Duration, func() (func() error, error) {
		req, err := newRequest(w.URL)
		if err != nil {
			return nil, err
		}
		return func() error { return finish(transport.RoundTrip(req)) }, nil
	})
}

// runDo is the loop that people write once they know about the idle pool.
func runDo(ctx context.Context, w Work) (Outcome, error) {
	transport := Tuned(w.Connections)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	return closedLoop(ctx, w.Connections, w.Duration, func() (func() error, error) {
		return func() error {
			req, err := newRequest(w.URL)
			if err != nil {
				return err
			}
			return finish(client.Do(req))
		}, nil
	})
}

// runGet is what people write first: http.Get under [testing.B.RunParallel], which
// starts GOMAXPROCS goroutines. With more of them the default transport, which
// keeps two idle connections, would measure how connections are opened, and leave
// a closed one for every request to take up a port for a minute.
func runGet(ctx context.Context, w Work) (Outcome, error) {
	defer http.DefaultClient.CloseIdleConnections()
	return closedLoop(ctx, runtime.GOMAXPROCS(0), w.Duration, func() (func() error, error) {
		return func() error { return finish(http.Get(w.URL)) }, nil //nolint:noctx // as it is written
	})
}

// newRequest leaves the context out on purpose; see closedLoop.
func newRequest(url string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("peers: make a request: %w", err)
	}
	return req, nil
}

// finish reads the response to its end, so that its connection is used again.
func finish(resp *http.Response, err error) error {
	if err != nil {
		return fmt.Errorf("peers: send a request: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("peers: read a response: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("peers: got status %s", resp.Status)
	}
	return nil
}
