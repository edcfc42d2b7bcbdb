package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// runRoundTrip is the least that net/http can be asked to do.
func runRoundTrip(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	transport := Tuned(concurrency)
	defer transport.CloseIdleConnections()
	return closedLoop(ctx, concurrency, requests, func() (func() error, error) {
		req, err := newRequest(url)
		if err != nil {
			return nil, err
		}
		return func() error { return finish(transport.RoundTrip(req)) }, nil
	})
}

// runDo is the loop that people write once they know about the idle pool.
func runDo(ctx context.Context, url string, concurrency, requests int) (Outcome, error) {
	transport := Tuned(concurrency)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	return closedLoop(ctx, concurrency, requests, func() (func() error, error) {
		return func() error {
			req, err := newRequest(url)
			if err != nil {
				return err
			}
			return finish(client.Do(req))
		}, nil
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
