package resilience

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// breakerModel is the documentation of CircuitBreaker written down a second
// time, naively: lists of events and calls, and loops over them.
type breakerModel struct {
	threshold, num, den uint64
	consecutive, least  uint64
	open, width         int64
	closeAfter, places  int

	state      State
	generation uint64
	openedAt   int64
	passed     int
	results    []bool // of this generation, in order: did it fail
	events     windowOracle
	calls      []*breakerModelCall // admitted, not reported
	moves      []Reason

	admitted, successes, failures, ignored, late, rejected, expired uint64
}

type breakerModelCall struct {
	probe      bool
	generation uint64
	admittedAt int64
	evicted    bool
	reported   bool

	era    *breakerEra // what the core handed out for it
	ticket uint64
}

func (m *breakerModel) move(to State, now int64, why Reason) {
	if to != m.state {
		m.moves = append(m.moves, why)
	}
	m.state = to
	m.generation++
	m.passed = 0
	m.results = nil
	m.events = windowOracle{width: uint64(m.width), latest: uint64(now)}
	if to == StateOpen {
		m.openedAt = now
	}
}

func (m *breakerModel) probes() (out []*breakerModelCall) {
	for _, c := range m.calls {
		if c.probe && c.generation == m.generation && !c.evicted {
			out = append(out, c)
		}
	}
	return out
}

func (m *breakerModel) allow(now int64) *breakerModelCall {
	if m.state == StateOpen && now-m.openedAt >= m.open {
		m.move(StateHalfOpen, now, ReasonOpenElapsed)
	}
	switch m.state {
	case StateOpen:
		m.rejected++
		return nil
	case StateHalfOpen:
		if ps := m.probes(); len(ps) >= m.places {
			oldest := slices.MinFunc(ps, func(a, b *breakerModelCall) int { return int(a.admittedAt - b.admittedAt) })
			if now-oldest.admittedAt < m.open {
				m.rejected++
				return nil
			}
			oldest.evicted = true
			m.expired++
		}
	}
	m.admitted++
	c := &breakerModelCall{probe: m.state == StateHalfOpen, generation: m.generation, admittedAt: now}
	m.calls = append(m.calls, c)
	return c
}

func (m *breakerModel) done(c *breakerModelCall, now int64, o breakerOutcome) {
	if c.reported {
		return
	}
	c.reported = true
	m.calls = slices.DeleteFunc(m.calls, func(x *breakerModelCall) bool { return x == c })
	switch {
	case c.generation != m.generation || c.evicted:
		m.late++
	case o == breakerIgnored:
		m.ignored++
	case c.probe && o == breakerSuccess:
		m.successes++
		if m.passed++; m.passed == m.closeAfter {
			m.move(StateClosed, now, ReasonProbesSucceeded)
		}
	case c.probe:
		m.failures++
		m.move(StateOpen, now, map[breakerOutcome]Reason{breakerFailure: ReasonProbeFailed, breakerSlow: ReasonProbeSlow}[o])
	case o == breakerSuccess:
		m.successes++
		m.count(now, o)
	default:
		m.failures++
		m.count(now, o)
	}
}

func (m *breakerModel) count(now int64, o breakerOutcome) {
	m.events.record(uint64(now), o != breakerSuccess, o == breakerSlow)
	m.results = append(m.results, o != breakerSuccess)
	s := m.events.sum(uint64(now))
	switch total := s.successes + s.failures; {
	case s.failures >= m.threshold:
		m.move(StateOpen, now, ReasonFailures)
	case m.consecutive > 0 && m.streak() >= m.consecutive:
		m.move(StateOpen, now, ReasonConsecutive)
	case total >= m.least && s.failures*m.den >= m.num*total:
		m.move(StateOpen, now, ReasonErrorRate)
	}
}

// streak is the number of failures at the end of the results.
func (m *breakerModel) streak() (n uint64) {
	for _, failed := range slices.Backward(m.results) {
		if !failed {
			break
		}
		n++
	}
	return n
}

// breakerModelView is what must be the same in both.
type breakerModelView struct {
	state      State
	generation uint64
	pending    int
	passed     int
	moves      int
	totals     breakerTotals
	window     windowCounts
	streak     uint64
}

// runBreaker feeds operations decoded from data to the core and to the model.
func runBreaker(t *testing.T, data []byte) []Reason {
	t.Helper()
	if len(data) < 4 {
		return nil
	}
	rates := [][2]uint64{{1, 2}, {57, 100}, {1, 3}, {2, 3}, {1, 1}, {1, 10}, {9, 10}, {999, 1000}}
	rate := rates[data[0]%8]
	m := &breakerModel{
		threshold:  uint64(data[1]%32) + 1,
		num:        rate[0],
		den:        rate[1],
		open:       int64(data[2]%16)*50 + 1,
		width:      int64(data[2]/16)*40 + 1,
		closeAfter: int(data[3]%4) + 1,
		places:     int(data[3]/4%4) + 1,
		generation: 1,
	}
	m.least = []uint64{10, 1, 20, 3}[data[0]/8%4]
	if data[1]&32 != 0 {
		m.threshold = math.MaxUint64 // off
	}
	if data[1]&64 != 0 {
		m.consecutive = uint64(data[3]/16%8) + 1
	}
	off := data[1]&128 != 0 // the error rate
	if off {
		m.num, m.den = 2, 1
	}
	m.events = windowOracle{width: uint64(m.width)}
	var c breakerCore
	// As a user would write it, and through the defaults; only what a user can't
	// have as small as the model likes it is set by hand.
	cfg := BreakerConfig{
		FailureThreshold: int(m.threshold), MinRequests: int(m.least), ConsecutiveFailures: int(m.consecutive),
		ErrorRateThreshold: float64(rate[0]) / float64(rate[1]), HalfOpenMaxCalls: m.closeAfter, ProbeCount: m.places,
	}
	if m.threshold == math.MaxUint64 {
		cfg.FailureThreshold = NoThreshold
	}
	if off {
		cfg.ErrorRateThreshold = NoThreshold
	}
	require.NoError(t, cfg.Validate())
	rules := cfg.rules()
	rules.open, rules.width = m.open, uint64(m.width)
	var moves []Reason
	c.onMove = func(_, _ *breakerEra, why Reason, _ windowCounts) { moves = append(moves, why) }
	c.init(rules, 0)

	var now int64
	var all []*breakerModelCall
	for data = data[4:]; len(data) >= 2; data = data[2:] {
		arg := int64(data[1])
		switch op := data[0] % 16; op {
		case 0:
			now += arg
		case 1: // to the brink of the end of open, on it, past it
			if at := m.openedAt + m.open + arg%3 - 1; at > now {
				now = at
			}
		case 2:
			now += arg * m.width / 8
		case 3: // idle for 2^k windows
			if d := m.width * 10 << (arg % 50); d > 0 && d < 1<<61 && now < 1<<61 {
				now += d
			}
		case 4, 5, 6, 7:
			want := m.allow(now)
			e, ticket, _, ok := c.admit(now)
			if ok != (want != nil) || ok && (want.generation != e.generation || want.probe != (ticket != 0)) {
				t.Fatalf("admission at %d: breaker %v %+v, model %+v", now, ok, e.generation, want)
			}
			if ok {
				c.admitted.Add(1)
				want.era, want.ticket = e, ticket
				all = append(all, want)
			}
		case 13:
			if arg%8 == 0 {
				m.move(StateClosed, now, ReasonReset)
				m.admitted, m.successes, m.failures, m.ignored, m.late, m.rejected, m.expired = 0, 0, 0, 0, 0, 0, 0
				c.reset(now)
			}
		case 14: // a slow call behind no permit
			c.slowCall(now)
			if m.state == StateClosed {
				m.failures++
				m.count(now, breakerSlow)
			}
		default: // report: the outcome by op, the call by arg, probes also twice
			if len(all) == 0 {
				continue
			}
			call := all[int(arg)%len(all)]
			if arg%4 != 0 { // mostly a recent one, or nothing would ever recover
				call = all[len(all)-1-int(arg/4)%min(3, len(all))]
			}
			if call.reported && !call.probe {
				continue // forbidden, and not detected
			}
			o := []breakerOutcome{breakerSuccess, breakerSuccess, breakerFailure, breakerFailure, breakerSlow, 0, 0, breakerIgnored}[op-8]
			m.done(call, now, o)
			if call.probe {
				c.finishProbe(call.era, call.ticket, now, o)
			} else {
				c.finish(call.era, now, o)
			}
		}

		c.mu.Lock()
		got, era := c.totalsLocked(), c.era.Load()
		cleared := c.cleared
		have := breakerModelView{
			state: era.state, generation: era.generation, pending: c.pendingLocked(), passed: c.passed, moves: len(moves),
			totals: breakerTotals{
				got.admitted - cleared.admitted, got.successes - cleared.successes, got.failures - cleared.failures,
				got.ignored - cleared.ignored, got.late - cleared.late, got.rejected - cleared.rejected, got.expired - cleared.expired,
			},
		}
		c.mu.Unlock()
		want := breakerModelView{
			state: m.state, generation: m.generation, pending: len(m.calls), passed: m.passed, moves: len(m.moves),
			totals: breakerTotals{m.admitted, m.successes, m.failures, m.ignored, m.late, m.rejected, m.expired},
		}
		if m.state == StateClosed {
			have.window, want.window = era.window.sum(uint64(now)), m.events.sum(uint64(now))
			have.streak, want.streak = era.window.streak.Load(), m.streak()
		}
		if have != want {
			t.Fatalf("after operation %d at %d\nbreaker %+v\nmodel   %+v", data[0]%16, now, have, want)
		}
	}
	require.Equal(t, m.moves, moves)
	return moves
}

func FuzzBreaker(f *testing.F) {
	trip := []byte{4, 0, 10, 0, 4, 0, 10, 1, 4, 0, 10, 2}
	f.Add([]byte{0, 2, 0x11, 0})
	f.Add(append([]byte{0, 2, 0x11, 0}, append(trip, 1, 1, 4, 0, 8, 3, 8, 3)...))
	for k := range byte(50) { // stale failures after an idle gap of 2^k windows
		f.Add(append([]byte{0, 3, 0x11, 0}, append(slices.Clone(trip), 3, k, 4, 0, 10, 3)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) { runBreaker(t, data) })
}

func TestBreakerAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	reached := map[Reason]int{}
	for range 800 {
		data := make([]byte, 4+2*(r.IntN(200)+8))
		for i := 0; i+8 <= len(data); i += 8 {
			binary.NativeEndian.PutUint64(data[i:], r.Uint64())
		}
		for _, why := range runBreaker(t, data) {
			reached[why]++
		}
	}
	t.Logf("transitions %v", reached)
	// The operations must be such that they lead everywhere.
	for why := ReasonFailures; why <= ReasonConsecutive; why++ {
		require.Positive(t, reached[why], "%v", why)
	}
}

// A rate is reached by exactly the calls that make it up, and not by one fewer,
// although neither the rate nor its product with the calls need be a float64.
func TestBreakerRateIsExact(t *testing.T) {
	for den := uint64(1); den <= 400; den++ {
		for num := uint64(1); num <= den; num++ {
			rules := BreakerConfig{FailureThreshold: NoThreshold, MinRequests: 1, ErrorRateThreshold: float64(num) / float64(den)}.rules()
			for _, k := range []uint64{1, 3, 7, 1000, 99_999_999} {
				counts := windowCounts{failures: num * k, successes: (den - num) * k}
				if rules.verdict(counts) != ReasonErrorRate {
					t.Fatalf("%d of %d did not reach %d/%d", num*k, den*k, num, den)
				}
				counts.failures--
				counts.successes++
				if rules.verdict(counts) != 0 {
					t.Fatalf("%d of %d reached %d/%d", num*k-1, den*k, num, den)
				}
			}
		}
	}
}

// Results look whether they were the last only as long as somebody waits for that.
func TestWaitPendingIsOver(t *testing.T) {
	b, err := NewCircuitBreaker(BreakerConfig{})
	require.NoError(t, err)
	permit, err := b.Allow()
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.WaitPending(ended), context.Canceled)
	permit.Done(nil)
	require.NoError(t, b.WaitPending(t.Context()))
	require.Zero(t, b.waiting.Load())
}
