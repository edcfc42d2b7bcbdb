package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/rehttp"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"

	brunt "example.com/brunt/resilience"
	"example.com/brunt/resilience/resiliencetest"

	"example.com/brunt/peers/internal/markdown"
)

// attemptTimeout is what every client that has one gets.
const attemptTimeout = 10 * time.Second

func netHTTP(base http.RoundTripper) http.RoundTripper { return base }

// bruntTransports is the default configuration with an attempt timeout; the base is the
// matrix's, and set as the Transport sets its own.
func bruntTransports(base http.RoundTripper) http.RoundTripper {
	policy, err := brunt.NewRetryPolicy(brunt.RetryConfig{AttemptTimeout: attemptTimeout})
	if err != nil {
		panic(err)
	}
	base.(*http.Transport).HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second}
	return brunt.NewTransport(brunt.TransportConfig{Base: base, Retry: policy})
}

// retryables is the default configuration but for three retries, which keeps it within the
// bound of attempts, and a timeout of the inner client, which is one of each attempt.
func retryables(base http.RoundTripper) http.RoundTripper {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base, Timeout: attemptTimeout}
	c.RetryMax = 3
	c.Logger = nil
	return &retryablehttp.RoundTripper{Client: c}
}

// failsafes is the retry policy that the library makes for HTTP, with a backoff, around a
// timeout of each attempt.
func failsafes(base http.RoundTripper) http.RoundTripper {
	return failsafehttp.NewRoundTripper(base,
		failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(3).WithBackoff(time.Second, time.Minute).Build(), //nolint:bodyclose // there is none
		timeout.New[*http.Response](attemptTimeout))                                                          //nolint:bodyclose // there is none
}

// rehttps retries all that failed and was not canceled, of the methods that may be; its waits are the longest that
// it can draw.
func rehttps(base http.RoundTripper) http.RoundTripper {
	t := rehttp.NewTransport(base, rehttp.RetryAll(
		rehttp.RetryMaxRetries(3),
		rehttp.RetryHTTPMethods(http.MethodGet, http.MethodPut),
		rehttp.RetryAny(rehttp.RetryIsErr(func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }), rehttp.RetryStatusInterval(500, 600), rehttp.RetryStatuses(http.StatusTooManyRequests)),
	), rehttp.ExpJitterDelayWithRand(time.Second, time.Minute, func(n int64) int64 { return n - 1 }))
	t.PerAttemptTimeout = attemptTimeout
	return t
}

// TestMatrix puts HTTP clients through the fault matrix. brunt must pass it; what the others do
// is put on record, and must be reproduced.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("five matrices")
	}
	versions, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	clients := []struct {
		name, module string
		matrix       resiliencetest.Matrix
	}{
		{"brunt", "", resiliencetest.CheckTransport(t, bruntTransports)},
		{"net/http", "", resiliencetest.CheckTransport(t, netHTTP, resiliencetest.WithoutRetry())},
		{"go-retryablehttp", "github.com/hashicorp/go-retryablehttp", resiliencetest.CheckTransport(t, retryables)},
		{"failsafehttp", "github.com/failsafe-go/failsafe-go", resiliencetest.CheckTransport(t, failsafes)},
		{"rehttp", "github.com/PuerkitoBio/rehttp", resiliencetest.CheckTransport(t, rehttps)},
	}
	for _, c := range clients[0].matrix.Cells {
		if c.Verdict == resiliencetest.Fail {
			t.Errorf("brunt: %s/%s: %v: %v", c.Fault, c.Shape, c, c.Reasons)
		}
	}
	table := markdown.Table{Head: []string{"fault"}, Left: 1 + len(clients)}
	for _, cell := range clients[0].matrix.Cells {
		if n := len(table.Rows); n == 0 || table.Rows[n-1][0] != cell.Fault {
			table.Rows = append(table.Rows, []string{cell.Fault})
		}
	}
	totals := []string{"cells passed"}
	var seen strings.Builder
	for _, c := range clients {
		column, err := heading(c.name, c.module, string(versions))
		if err != nil {
			t.Fatal(err)
		}
		table.Head = append(table.Head, column)
		if n := c.matrix.Count(resiliencetest.Invalid); n > 0 {
			t.Errorf("%s: %d cells are INVALID:\n%v", c.name, n, c.matrix)
		}
		// After giving up go-retryablehttp closes idle connections, and whether the dead one is idle
		// by then is a race with net/http: what comes out is put down as the worst.
		chance := func(fault string) bool { return c.name == "go-retryablehttp" && fault == "h2-stale-silent" }
		passed := 0
		var last string
		for _, cell := range c.matrix.Cells {
			switch {
			case chance(cell.Fault):
				continue
			case cell.Verdict != resiliencetest.Fail:
				passed++
				continue
			}
			reason := changing.ReplaceAllString(strings.Join(cell.Reasons, "; "), "…")
			if line := cell.Fault + ": " + reason; line != last { // often the same for all methods
				fmt.Fprintf(&seen, "- %s, %s/%s: %s\n", c.name, cell.Fault, cell.Shape, reason)
				last = line
			}
		}
		totals = append(totals, fmt.Sprintf("%d of %d", passed, len(c.matrix.Cells)))
		for i, row := range table.Rows {
			text := survived(c.matrix, row[0])
			if chance(row[0]) {
				text = "by chance"
			}
			table.Rows[i] = append(table.Rows[i], text)
		}
	}
	table.Rows = append(table.Rows, totals)
	if t.Failed() {
		return
	}
	var out bytes.Buffer
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "\nWhat was seen:\n\n%s\n", seen.String())
	compare(t, record{"testdata/matrix.md", "matrix", "go test ./resilience -run Matrix -update"}, out.String())
}

// changing is what differs from run to run: times that were drawn, and addresses.
var changing = regexp.MustCompile(`\b[0-9]+\.[0-9]+m?s\b|0x[0-9a-f]+`)

// survived says in which shapes a client passes a fault.
func survived(m resiliencetest.Matrix, fault string) string {
	var failed []string
	for _, c := range m.Cells {
		if c.Fault == fault && c.Verdict == resiliencetest.Fail {
			shape, _, _ := strings.Cut(c.Shape, "-")
			failed = append(failed, shape)
		}
	}
	if failed == nil {
		return "yes"
	}
	return "**no**: " + strings.Join(failed, ", ")
}
