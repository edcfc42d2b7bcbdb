package resiliencetest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/resilience"
)

func plain(base http.RoundTripper) http.RoundTripper { return base }

func brunts(base http.RoundTripper) http.RoundTripper {
	policy, err := resilience.NewRetryPolicy(resilience.RetryConfig{AttemptTimeout: 10 * time.Second, JitterFactor: resilience.NoJitter})
	if err != nil {
		panic(err)
	}
	base.(*http.Transport).HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}
	return resilience.NewTransport(resilience.TransportConfig{Base: base, Retry: policy})
}

func TestMatrixOfTransport(t *testing.T) {
	began := time.Now()
	m := CheckTransport(t, brunts)
	t.Logf("%v\n%v", time.Since(began), m)
	require.Zero(t, m.Count(Invalid))
}

func TestMatrixOfNetHTTP(t *testing.T) {
	began := time.Now()
	m := CheckTransport(t, plain, WithoutRetry())
	t.Logf("%v\n%v", time.Since(began), m)
	require.Zero(t, m.Count(Invalid))
}

func TestSweepOfTransport(t *testing.T) { SweepTransport(t, brunts) }
