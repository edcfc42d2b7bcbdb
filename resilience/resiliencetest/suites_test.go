package resiliencetest

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/resilience"
)

type brunt struct{ *resilience.CircuitBreaker }

func (b brunt) Counts() (successes, failures uint64) {
	m := b.Metrics()
	return m.Successes, m.Failures
}

func bruntBreakers(spec BreakerSpec) (Breaker, error) {
	cfg := resilience.BreakerConfig{
		FailureThreshold:   spec.FailureThreshold,
		ErrorRateThreshold: spec.ErrorRateThreshold,
		WindowDuration:     spec.WindowDuration,
		OpenStateDuration:  spec.OpenStateDuration,
		HalfOpenMaxCalls:   spec.HalfOpenMaxCalls,
		ProbeCount:         spec.ProbeCount,
	}
	if spec.OnStateChange != nil {
		name := func(s resilience.State) string {
			return strings.ReplaceAll(strings.ToLower(s.String()), "_", "-")
		}
		cfg.OnStateChange = func(t resilience.Transition) { spec.OnStateChange(name(t.From), name(t.To)) }
	}
	b, err := resilience.NewCircuitBreaker(cfg)
	return brunt{b}, err
}

func bruntLimiters(spec LimiterSpec) (Limiter, error) {
	return resilience.NewSemaphoreLimiter(resilience.LimiterConfig{MaxConcurrent: spec.MaxConcurrent, AcquireTimeout: spec.AcquireTimeout})
}

func TestCircuitBreakerConforms(t *testing.T) { TestBreaker(t, bruntBreakers) }

func TestSemaphoreLimiterConforms(t *testing.T) { TestLimiter(t, bruntLimiters) }

// The plain implementations are correct until a fault is planted; the suites
// must not ask for more than correctness.
func TestPlainImplementationsConform(t *testing.T) {
	for name, report := range map[string]Report{
		"breaker": CheckBreaker(t, plainBreakers("", nil)),
		"limiter": CheckLimiter(t, plainLimiters("")),
		"retrier": CheckRetrier(t, plainRetriers("")),
	} {
		require.Empty(t, report.Violations(), "%s\n%v", name, report.Violations())
		for _, res := range report {
			require.Equal(t, Holds, res.Status, res.Property)
			require.NotEmpty(t, res.Explanation, res.Property)
		}
	}
	TestRetrier(t, plainRetriers(""))
}

const testWall = 400 * time.Millisecond // of real time, for what hangs

// plantAll shows, for every property of a suite, that it can fail.
func plantAll[F any](t *testing.T, suite []property[F], plant func(fault string) F) {
	t.Helper()
	for _, p := range suite {
		t.Run(p.name, func(t *testing.T) {
			res := run(t, p, plant(p.name), testWall)
			require.False(t, res.Status.OK(), "the planted fault went unnoticed")
			require.NotEmpty(t, res.Details)
			require.NotEqual(t, Panicked, res.Status, res.Details)
			want := Violated
			if p.name == "callback-reentrant" {
				want = Hung
			}
			require.Equal(t, want, res.Status, res.Details)
			t.Log(res.Details)
		})
	}
}

func TestEveryBreakerPropertyCanFail(t *testing.T) {
	plantAll(t, breakerSuite, func(fault string) BreakerFactory { return plainBreakers(fault, nil) })
}

func TestEveryLimiterPropertyCanFail(t *testing.T) { plantAll(t, limiterSuite, plainLimiters) }

func TestEveryRetrierPropertyCanFail(t *testing.T) { plantAll(t, retrierSuite, plainRetriers) }

func breakerProperty(t *testing.T, name string) property[BreakerFactory] {
	t.Helper()
	for _, p := range breakerSuite {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no property %q", name)
	return property[BreakerFactory]{}
}

func TestRunContainsWhatHappens(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for _, c := range []struct {
		fault, property string
		want            Status
		details         string
	}{
		{"panicked", "open-ends", Panicked, "planted"},
		{"hung", "open-ends", Hung, "stuck in virtual time"},
		{"callback-reentrant", "callback-reentrant", Hung, "stuck, on a mutex or in a loop"},
		{"unsupported", "open-ends", Unsupported, "unsupported operation"},
		{"factory fails", "open-ends", Violated, "the factory failed: refused"},
		{"refuses with nil", "trips-on-failures", Violated, "a refused call returned no error"},
		{"changes the error", "trips-on-failures", Violated, "was reported to have returned refused"},
		{"no-goroutine-left", "no-goroutine-left", Violated, "blocked or asleep"},
		{"no-goroutine-left", "open-ends", Holds, ""},
		{"ticker", "no-goroutine-left", Violated, "blocked or asleep"},
		{"spinner", "no-goroutine-left", Violated, "still running"},
		{"ticker", "open-ends", Holds, ""},
	} {
		t.Run(c.fault+"/"+c.property, func(t *testing.T) {
			res := run(t, breakerProperty(t, c.property), plainBreakers(c.fault, stop), testWall)
			require.Equal(t, c.want, res.Status, res.Details)
			require.Contains(t, res.Details, c.details)
			require.Equal(t, c.property, res.Property)
		})
	}
}

func TestSubtestsComplain(t *testing.T) {
	for _, c := range []struct {
		status         Status
		accepted       bool
		errors, skips  int
		says, saysMore string
	}{
		{Holds, false, 0, 0, "", ""},
		{Unsupported, false, 0, 1, "seen", ""},
		{Violated, false, 1, 0, "p: violated: seen\nwhy it matters: why", `to accept it: resiliencetest.Deviation{Property: "p", Reason: "…"}`},
		{Panicked, false, 1, 0, "p: panicked: seen", ""},
		{Hung, false, 1, 0, "p: hung: seen", ""},
		{Violated, true, 0, 1, "accepted deviation: documented", "p: violated: seen"},
		{Panicked, true, 0, 1, "accepted deviation: documented", "p: panicked: seen"},
		{Hung, true, 0, 1, "accepted deviation: documented", "p: hung: seen"},
		{Holds, true, 1, 0, "p holds: take it off the accepted deviations", `its reason is "documented"`},
		{Unsupported, true, 1, 0, "p is unsupported (seen)", "take it off"},
	} {
		tb := faketb.Run(t, func(tb *faketb.TB) {
			judge(tb, Result{Property: "p", Status: c.status, Details: "seen", Explanation: "why"}, c.accepted, "documented")
		})
		require.Len(t, tb.Errors(), c.errors, "%v, accepted %v", c.status, c.accepted)
		require.Len(t, tb.Skips(), c.skips, "%v, accepted %v", c.status, c.accepted)
		require.Contains(t, tb.Text(), c.says)
		require.Contains(t, tb.Text(), c.saysMore)
	}
}

// A list of accepted deviations that says nothing, or nothing true, is a fault.
func TestDeviationsAreChecked(t *testing.T) {
	for _, c := range []struct {
		accepted []Deviation
		want     string // empty: none
	}{
		{[]Deviation{{"a", "documented"}, {"b", "documented"}}, ""},
		{[]Deviation{{"c", "documented"}}, "resiliencetest: accepted deviation \"c\" is no property of this suite; these are:\na\nb"},
		{[]Deviation{{"a", " "}}, `resiliencetest: deviation "a" is accepted without a reason`},
		{[]Deviation{{"a", "documented"}, {"a", "as well"}}, `resiliencetest: deviation "a" is accepted twice`},
	} {
		tb := faketb.Run(t, func(tb *faketb.TB) { acceptedReasons(tb, []string{"a", "b"}, c.accepted) })
		require.Equal(t, c.want, strings.Join(tb.Errors(), "\n"))
	}
}

// A breaker, a limiter and a retrier with a planted fault are green once it is
// accepted.
func TestAcceptedDeviationsAreGreen(t *testing.T) {
	TestBreaker(t, plainBreakers("open-ends-exactly", nil), Deviation{"open-ends-exactly", "planted"})
	TestLimiter(t, plainLimiters("fifo"), Deviation{"fifo", "planted"})
	TestRetrier(t, plainRetriers("last-error-reachable"), Deviation{"last-error-reachable", "planted"})
}

// Run by TestReportsStandAtTheCallersLine, in a process of its own, because it
// fails.
func TestFailsOnPurpose(t *testing.T) {
	if os.Getenv("RESILIENCETEST_FAIL") == "" {
		t.Skip("fails on purpose")
	}
	TestBreaker(t, plainBreakers("open-ends-exactly", nil), // the line
		Deviation{"open-ends", "it is said"}, Deviation{"no-such", "thing"})
	TestLimiter(t, plainLimiters("fifo"), Deviation{"fifo", "planted"})
}

// What a suite reports stands at a line of its user's, in test output and where an
// editor takes one.
func TestReportsStandAtTheCallersLine(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFailsOnPurpose$", "-test.v")
	cmd.Env = append(os.Environ(), "RESILIENCETEST_FAIL=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // nothing races after it
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "it must fail")
	text := string(out)
	for _, want := range []string{
		": resiliencetest: accepted deviation \"no-such\" is no property of this suite",
		": open-ends-exactly: violated: a call was refused exactly OpenStateDuration after the breaker tripped",
		": open-ends holds: take it off the accepted deviations",
		": accepted deviation: planted\n        fifo: violated: ",
		"--- FAIL: TestFailsOnPurpose/open-ends-exactly",
		"--- FAIL: TestFailsOnPurpose/open-ends ",
		"--- PASS: TestFailsOnPurpose/rate-exact",
		"--- SKIP: TestFailsOnPurpose/fifo",
	} {
		require.Contains(t, text, want)
	}
	lines := regexp.MustCompile(`(?m)^ +(\w+\.go):\d+: `).FindAllStringSubmatch(text, -1)
	require.Len(t, lines, 4, text)
	for _, line := range lines {
		require.Equal(t, "suites_test.go", line[1], text)
	}
}

func TestReport(t *testing.T) {
	r := Report{
		{Property: "a", Status: Holds},
		{Property: "b", Status: Violated, Details: "seen"},
		{Property: "c", Status: Unsupported, Details: "not there"},
		{Property: "d", Status: Hung, Details: "stuck"},
	}
	require.Equal(t, Report{r[1], r[3]}, r.Violations())
	require.Equal(t, Violated, r.Status("b"))
	require.Zero(t, r.Status("nowhere"))
	require.Equal(t, ""+
		"a                            holds\n"+
		"b                            violated    seen\n"+
		"c                            unsupported not there\n"+
		"d                            hung        stuck\n", r.String())
	require.Equal(t, "panicked Status(0)", Panicked.String()+" "+Status(0).String())
}

// What an adapter does not offer is reported as such, not as a fault.
func TestMissingAbilitiesAreUnsupported(t *testing.T) {
	breakers := func(spec BreakerSpec) (Breaker, error) {
		b, err := plainBreakers("", nil)(spec)
		return countless{b}, err
	}
	require.Equal(t, Unsupported, run(t, breakerProperty(t, "counts-not-stale"), breakers, testWall).Status)
	limiters := func(spec LimiterSpec) (Limiter, error) {
		l, err := plainLimiters("")(spec)
		return plainOnly{l}, err
	}
	report := CheckLimiter(t, limiters)
	require.Empty(t, report.Violations())
	require.Equal(t, Unsupported, report.Status("resize"))
	require.Equal(t, Unsupported, report.Status("no-barging"))
	type bare struct{ Retrier }
	retriers := func(spec RetrierSpec) (Retrier, error) {
		r, err := plainRetriers("")(spec)
		return bare{r}, err
	}
	report = CheckRetrier(t, retriers)
	require.Empty(t, report.Violations())
	for _, p := range []string{"permanent-not-retried", "retry-after-honored", "retry-after-capped"} {
		require.Equal(t, Unsupported, report.Status(p))
	}
}

func ExampleReport() {
	report := Report{{Property: "fifo", Status: Violated, Details: "2 before 1"}, {Property: "resize", Status: Holds}}
	fmt.Print(report)
	// Output:
	// fifo                         violated    2 before 1
	// resize                       holds
}
