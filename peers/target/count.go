package target

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Count is what a server says of itself.
type Count struct {
	// Hits is how many requests it has answered with [Body].
	Hits int64
	// CPU is the time its process has used; 0 where the system cannot tell.
	CPU time.Duration
	// Open is the most connections that it had at once since it was last asked,
	// those that asked among them.
	Open int64
}

// String is the form in which a server tells it; [ReadCount] reads it.
func (c Count) String() string { return fmt.Sprintf("%d %d %d", c.Hits, c.CPU.Nanoseconds(), c.Open) }

// ReadCount asks the server at base for its count, over a connection of its own.
func ReadCount(ctx context.Context, base string) (Count, error) {
	address, err := url.JoinPath(base, CountPath)
	if err != nil {
		return Count{}, fmt.Errorf("target: address of the count: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Count{}, fmt.Errorf("target: ask for the count: %w", err)
	}
	// A kept-alive connection would be one that no contestant has opened.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return Count{}, fmt.Errorf("target: ask for the count: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return Count{}, fmt.Errorf("target: read the count: %w", err)
	}
	var c Count
	var cpu int64
	if _, err := fmt.Sscanf(string(text), "%d %d %d", &c.Hits, &cpu, &c.Open); err != nil {
		return Count{}, fmt.Errorf("target: count %q: %w", text, err)
	}
	c.CPU = time.Duration(cpu)
	return c, nil
}
