package resiliencetest_test

import (
	"flag"
	"fmt"
	"net/http"
	"testing"
	"time"

	"example.com/brunt/resilience"
	"example.com/brunt/resilience/resiliencetest"
)

// asTest runs f as go test would.
func asTest(f func(t *testing.T)) {
	for name, value := range map[string]string{"test.v": "false", "test.count": "1", "test.cpu": "", "test.run": "", "test.skip": ""} {
		set := flag.Lookup(name).Value
		before := set.String()
		_ = set.Set(value)
		defer func() { _ = set.Set(before) }()
	}
	all := func(string, string) (bool, error) { return true, nil }
	fmt.Println(testing.RunTests(all, []testing.InternalTest{{Name: "TestExample", F: f}}))
}

// newClient is the client under test.
func newClient(base http.RoundTripper) http.RoundTripper {
	retry, err := resilience.NewRetryPolicy(resilience.RetryConfig{AttemptTimeout: 10 * time.Second})
	if err != nil {
		panic(err)
	}
	base.(*http.Transport).HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second}
	return resilience.NewTransport(resilience.TransportConfig{Base: base, Retry: retry})
}

func ExampleTestTransport() {
	asTest(func(t *testing.T) { // in a test of yours: t is its own
		resiliencetest.TestTransport(t, newClient, resiliencetest.Faults("response-lost", "429-retry-after")) // or all of them
	})
	// Output: true
}

// An answer is lost whose POST has been executed: a client must not send it again.
func ExampleCheckTransport() {
	asTest(func(t *testing.T) {
		plain := func(base http.RoundTripper) http.RoundTripper { return base }
		m := resiliencetest.CheckTransport(t, plain, resiliencetest.WithoutRetry(), resiliencetest.Faults("response-lost"))
		c, _ := m.Cell("response-lost/POST")
		fmt.Println(c)
		fmt.Println(c.Reproduction)
	})
	// Output:
	// pass: gave up after 1 attempts, 1 dials and 12ms, 1 executions: Post "http://api.test/work": EOF
	// a server of which the first request is executed, and the connection closed before its answer (fixtures: close when executed first 1); a new client; a POST with 131072 bytes and GetBody; deadline 1m0s
	// true
}

func ExampleSweepTransport() {
	asTest(func(t *testing.T) {
		resiliencetest.SweepTransport(t, newClient)
	})
	// Output: true
}

// What a client is known not to do is named, with the reason: net/http leaves a dead HTTP/2
// connection in its pool unless it is told to ping.
func ExampleAccept() {
	asTest(func(t *testing.T) {
		plain := func(base http.RoundTripper) http.RoundTripper { return base }
		var dead []resiliencetest.Deviation
		for _, shape := range []string{"GET", "PUT", "POST", "canceled-waiting"} {
			dead = append(dead, resiliencetest.Deviation{Property: "h2-stale-silent/" + shape, Reason: "HTTP2Config.SendPingTimeout is not set"})
		}
		resiliencetest.TestTransport(t, plain,
			resiliencetest.WithoutRetry(), resiliencetest.MaxAttempts(2), resiliencetest.CallDeadline(20*time.Second), resiliencetest.TimeLimit(time.Minute),
			resiliencetest.Faults("h2-stale-silent"), resiliencetest.Accept(dead...))
	})
	// Output: true
}

func ExampleMatrix() {
	m := resiliencetest.Matrix{Cells: []resiliencetest.Cell{
		{Fault: "response-lost", Shape: "GET", Verdict: resiliencetest.Pass, Attempts: 2},
		{Fault: "response-lost", Shape: "POST", Verdict: resiliencetest.Fail, Attempts: 2, Reasons: []string{"the POST was executed 2 times"}},
	}}
	fmt.Print(m)
	// Output:
	// fault          GET      PUT  POST     canceled  storm
	// response-lost  pass 2×  -    FAIL 2×  -         -
	// 1 passed, 0 known, 1 failed, 0 invalid
	// response-lost/POST: the POST was executed 2 times
}
