package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"time"

	"example.com/brunt/loadtest/internal/hist"
	"example.com/brunt/loadtest/internal/text"
)

// Scenario is what one simulated user does: it sends requests one after another with
// [User.Do], and pauses to think with [User.Pause]. Many users walk through the same
// scenario at once, each with a *User of its own.
//
// Its error says that the user did not come to the end, and is counted in
// [ScenarioStats]. A panic or a t.FailNow stops the run, as those of a [Request.Check]
// do. ctx is done when the run is halted: its own context or Close ends it, a sink fails,
// or an objective of Abort cannot be met. Do and Pause return an error then, so that a
// scenario that returns their errors needs no ctx of its own. The end of a source stops no
// user: those that have begun walk on to the end.
type Scenario func(ctx context.Context, u *User) error

// Walk returns a request in whose place a user walks through s: every source, such as
// [Times], [For] or [Mix], has users walk through scenarios just as it has requests sent.
// An engine keeps as many users busy as it would requests, and an [ArrivalEngine] lets them
// arrive on schedule. name is that of the users in [EngineResult.Scenarios]; those without
// count in the totals only.
func Walk(name string, s Scenario) *Request { return &Request{Name: name, Scenario: s} }

// Users has n users walk through s, each once. In [EngineResult.Scenarios] they have the
// name of the function s, without its package; see [Walk] for a name of your own.
func Users(n int, s Scenario) Source {
	return Times(n, Walk(scenarioName(s), s))
}

// literal matches where the name of a function goes on for a literal in it.
var literal = regexp.MustCompile(`\.func\d`)

// scenarioName returns the name of the function s without its package, or of the function
// that s is a literal in.
func scenarioName(s Scenario) string {
	if s == nil {
		return ""
	}
	name := runtime.FuncForPC(reflect.ValueOf(s).Pointer()).Name()
	_, name, _ = strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ".")
	name = strings.TrimSuffix(name, "-fm")
	if at := literal.FindStringIndex(name); at != nil {
		name = name[:at[0]]
	}
	return name
}

// ScenarioStats counts the users that walked through one scenario. It is not safe for
// concurrent use.
type ScenarioStats struct {
	// Started counts users that began: Finished + Failed + Canceled.
	Started int64
	// Finished counts those whose scenario returned nil.
	Finished int64
	// Failed counts those whose scenario returned an error, or panicked.
	Failed int64
	// Canceled counts those that were cut short because the run was halted.
	Canceled int64
	// Requests counts what they sent, or wanted to send and the breaker refused.
	Requests int64
	// Error is the text of the error of one that failed.
	Error string

	took *hist.Histogram // of those that finished
}

// Quantile returns how long users took from their arrival to the end of their scenario,
// pauses included, at rank ceil(q·n) among those that finished, within 0.1 %. It is 0 if
// none has. In an open loop a user arrives when it was due.
func (s *ScenarioStats) Quantile(q float64) time.Duration { return s.took.Quantile(q) }

// Mean returns the mean of what [ScenarioStats.Quantile] is about.
func (s *ScenarioStats) Mean() time.Duration { return s.took.Mean() }

// P50 returns the median of what [ScenarioStats.Quantile] is about.
func (s *ScenarioStats) P50() time.Duration { return s.Quantile(0.50) }

// P99 returns what 99 % of the users did not exceed of what [ScenarioStats.Quantile] is
// about.
func (s *ScenarioStats) P99() time.Duration { return s.Quantile(0.99) }

// Histogram returns how what [ScenarioStats.Quantile] is about is distributed.
func (s *ScenarioStats) Histogram() Histogram { return Histogram{s.took} }

// String returns one line.
func (s *ScenarioStats) String() string {
	line := fmt.Sprintf("%s users, %s finished", text.Count(s.Started), text.Count(s.Finished))
	if s.Failed > 0 {
		line += fmt.Sprintf(", %s failed", text.Count(s.Failed))
	}
	if s.Canceled > 0 {
		line += fmt.Sprintf(", %s canceled", text.Count(s.Canceled))
	}
	line += fmt.Sprintf(", %s requests", text.Count(s.Requests))
	if s.Finished > 0 {
		line += ", took " + latencyLine(s.Quantile)
	}
	if s.Error != "" {
		line += ": " + firstLine(s.Error)
	}
	return line
}

// merge adds from, which is not changed.
func (s *ScenarioStats) merge(from *ScenarioStats) {
	s.Started += from.Started
	s.Finished += from.Finished
	s.Failed += from.Failed
	s.Canceled += from.Canceled
	s.Requests += from.Requests
	s.Error = cmp.Or(s.Error, from.Error)
	hist.MergeInto(&s.took, from.took)
}

// walk has a user walk through the scenario of it, and returns when the worker has
// another one's turn.
func (w *worker) walk(it item, began time.Duration) time.Duration {
	u := &User{busy: make(chan struct{}, 1), worker: w, ctx: w.run.users, number: it.number, scenario: it.req.Name, due: -1}
	lag := w.lag
	if w.run.dispatcher != nil {
		u.due = began - lag
	}
	w.inHand = false
	x := w.extras()
	class, excluded := classUserFailed, w.excludes(began) // it has failed if it panics
	defer func() {
		u.busy <- struct{}{} // another goroutine may be in Do, which the scenario should have waited for
		defer func() { <-u.busy }()
		u.worker, x.user, w.lag = nil, nil, 0
		w.ended = w.run.now()
		w.out.add(sample{
			latency: w.ended - began, lag: lag, bytes: u.requests, endpoint: int8(it.endpoint), class: class,
			excluded: excluded,
		})
	}()
	switch err := it.req.Scenario(u.ctx, u); {
	case err == nil:
		class = classUserFinished
	case u.over() != nil:
		class = classUserCanceled
	case !excluded:
		w.out.userExample(it.endpoint, err)
	}
	return w.run.now()
}
