//go:build linux

package loadtest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/text"
)

// truths are the experiments in which "Load Fiction" shows that wrk2, h2load, k6 and
// vegeta report loads that they did not deliver, made small enough for two CPUs; and what
// else can go wrong, or go well. Each is INVALID for what is planted in it, or else what
// the server saw is what the schedule says.
func truths(round int) []truth {
	// When the service becomes slow is different from round to round, so that the
	// seconds of the run are not in step with it.
	slowFrom := time.Second + time.Duration(round%4)*250*time.Millisecond
	waves := load{Rate: 400, Length: 8 * time.Second, Fast: 10 * time.Millisecond, Slow: 200 * time.Millisecond, SlowFrom: slowFrom, MaxInFlight: 2000}
	steady := load{Rate: 500, Length: 5 * time.Second, Fast: 5 * time.Millisecond, MaxInFlight: 2000}
	with := func(l load, change func(*load)) load { change(&l); return l }
	h2 := with(waves, func(l *load) { l.TLS, l.HTTP2, l.Connections = true, true, 2 })
	healthy := truth{"healthy", steady, ""}
	return []truth{
		healthy,
		{"wrk2, 40 in flight", with(waves, func(l *load) { l.MaxInFlight = 40 }), CauseInFlight},
		{"wrk2, 200 in flight", with(waves, func(l *load) { l.MaxInFlight = 200 }), ""},
		{"h2load, 2 × 10 streams", with(h2, func(l *load) { l.Streams = 10 }), CauseConnections},
		{"h2load, 2 × 100 streams", with(h2, func(l *load) { l.Streams = 100 }), ""},
		healthy,
		{"k6, a fifth of a CPU", with(steady, func(l *load) {
			l.Rate, l.TLS, l.NewConns, l.Neighbors = 1000, true, true, 4
		}), CauseCPU},
		{"vegeta, busy process", with(steady, func(l *load) { l.Rate, l.Fast, l.Spinners = 2000, 100*time.Millisecond, 16 }), CauseCPU},
		{"few descriptors", with(steady, func(l *load) { l.Rate, l.Fast, l.Files = 200, 100*time.Millisecond, 16 }), CauseLocalLimits},
	}
}

// truth is an experiment, and the cause that is planted in it; empty for none.
type truth struct {
	name    string
	load    load
	planted Cause
}

// truthful is how much of the arrivals of a phase the server may have seen more or fewer
// than the schedule says.
const truthful = 0.01

// phases returns where the phases of the service begin and end: seconds if there are
// none.
func (l load) phases() []time.Duration {
	bounds := []time.Duration{0}
	if l.Slow == 0 {
		for at := time.Second; at < l.Length; at += time.Second {
			bounds = append(bounds, at)
		}
	} else {
		for at := l.SlowFrom; at < l.Length; at += slowEvery {
			bounds = append(bounds, at, min(at+slowFor, l.Length))
		}
	}
	return slices.Compact(append(bounds, l.Length))
}

// off returns by which share of what the schedule says the arrivals that the server saw
// are off in the worst phase.
func (l load) off(start time.Time, came []time.Time) (worst float64) {
	bounds := l.phases()
	due, got := make([]int, len(bounds)), make([]int, len(bounds))
	count := func(in []int, at time.Duration) {
		i, exact := slices.BinarySearch(bounds, at)
		if !exact {
			i-- // the phase that has begun last
		}
		if i >= 0 {
			in[i]++ // the last one is what came after the end
		}
	}
	cursor := l.schedule().Cursor()
	for at, ok := cursor.Next(); ok; at, ok = cursor.Next() {
		count(due, at)
	}
	for _, at := range came {
		count(got, at.Sub(start))
	}
	for i := range len(bounds) - 1 {
		worst = max(worst, max(float64(got[i]-due[i]), float64(due[i]-got[i]))/float64(due[i]))
	}
	return worst
}

// What the server sees is what counts: the helper of TestTruthAtTheServer finds arrivals
// that were moved from one phase to another, though none is lost.
func TestArrivalsAreComparedByPhase(t *testing.T) {
	start := time.Unix(1e9, 0)
	waves := load{Rate: 400, Length: 8 * time.Second, Slow: time.Second, SlowFrom: time.Second}
	require.Equal(t, []time.Duration{0, 1000 * ms, 2500 * ms, 5000 * ms, 6500 * ms, 8000 * ms}, waves.phases())
	seconds := load{Rate: 500, Length: 2500 * ms}
	require.Equal(t, []time.Duration{0, 1000 * ms, 2000 * ms, 2500 * ms}, seconds.phases())
	for _, l := range []load{waves, seconds} {
		var came []time.Time
		cursor := l.schedule().Cursor()
		for at, ok := cursor.Next(); ok; at, ok = cursor.Next() {
			came = append(came, start.Add(at+50*time.Microsecond))
		}
		require.Zero(t, l.off(start, came))
		require.InDelta(t, 1, l.off(start.Add(time.Minute), came), 0)
		// A tenth of the first phase comes in the second.
		n := int(l.Rate) / 10
		for i := range n {
			came[int(l.Rate)-1-i] = start.Add(time.Second + time.Duration(i))
		}
		require.InDelta(t, 0.1, l.off(start, came), 1e-9)
		require.InDelta(t, 0.2, l.off(start, came[n:]), 1e-9, "and as many never came")
		require.InDelta(t, 1, l.off(start, nil), 0, "none came")
	}
}

// truthRuns sums up the runs of an experiment.
type truthRuns struct {
	truth
	runs, right, invalid int
	lost                 Counts
	named                map[string]int
	off                  []float64
	wrong                []string
}

// namedBy returns the cause that v names first; empty if v is valid.
func namedBy(v Verdict) Cause {
	if v.Kind == VerdictInvalid && len(v.Causes) > 0 && v.Causes[0].Cause.Generator() {
		return v.Causes[0].Cause
	}
	return ""
}

func (s *truthRuns) add(r *EngineResult, came []time.Time) string {
	v := SLO{MaxErrorRate: 1}.Judge(r)
	off := s.load.off(r.StartedAt, came)
	invalid := v.Kind == VerdictInvalid
	s.runs++
	s.off = append(s.off, off)
	s.lost.add(r.Counts)
	what := string(v.Kind)
	if invalid {
		s.invalid++
		what += " " + string(cmp.Or(namedBy(v), "unnamed"))
	}
	s.named[what]++
	line := fmt.Sprintf("%s, arrivals off by %.2f %%, missed %d, dropped %d of %d, causes by second %q\n%v", what, 100*off, r.Missed, r.Dropped, r.Scheduled, causesOf(r), v)
	if namedBy(v) == s.planted && (invalid || off <= truthful) && invalid == (s.planted != "") {
		s.right++
	} else {
		s.wrong = append(s.wrong, line)
	}
	return line
}

// The arrivals that a server in a process of its own has logged are within 1 % of those
// that the schedule has for each phase, or the run is INVALID and names what was planted:
// in 19 of 20 runs, and without a plant no run is INVALID. It takes a machine that does
// nothing else, and about a minute a round: make truth.
func TestTruthAtTheServer(t *testing.T) {
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("BRUNT_TRUTH"), "0"))
	require.NoError(t, err, "BRUNT_TRUTH is the number of rounds")
	if rounds == 0 {
		t.Skip("BRUNT_TRUTH is not set")
	}
	seen := make(map[string]*truthRuns)
	var order []*truthRuns
	for round := range rounds {
		for _, tr := range truths(round) {
			s := seen[tr.name]
			if s == nil {
				s = &truthRuns{named: make(map[string]int)}
				seen[tr.name] = s
				order = append(order, s)
			}
			s.truth = tr
			t.Run(tr.name, func(t *testing.T) {
				r, came := runTruth(t, tr.load)
				require.Equal(t, r.Scheduled, r.Requests+r.Missed+r.Dropped+r.Canceled)
				require.GreaterOrEqual(t, int64(len(came)), r.SuccessCount)
				require.LessOrEqual(t, int64(len(came)), r.Requests)
				t.Log(s.add(r, came))
			})
		}
	}
	t.Log("\n" + truthTable(order))
	for _, s := range order {
		if s.planted == "" {
			require.Zero(t, s.invalid, "%s: INVALID\n%s", s.name, strings.Join(s.wrong, "\n"))
		}
		require.LessOrEqual(t, s.runs-s.right, s.runs/20, "%s\n%s", s.name, strings.Join(s.wrong, "\n"))
	}
}

// A request that fails for a limit of this machine has not reached the server, and the
// others have: what a run says of itself and what the server saw agree to the request.
func TestWhatFailsForALocalLimitDoesNotReachTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	r, came := runTruth(t, load{Rate: 200, Length: time.Second, Fast: 100 * time.Millisecond, Files: 16})
	require.EqualValues(t, 200, r.Scheduled)
	require.Positive(t, r.Errors[ClassLocal])
	require.EqualValues(t, len(came), r.SuccessCount)
	require.Equal(t, r.Requests, r.SuccessCount+r.Errors[ClassLocal])
	v := SLO{MaxErrorRate: 1}.Judge(r)
	require.Equal(t, CauseLocalLimits, namedBy(v), v)
}

func truthTable(all []*truthRuns) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "experiment\tplanted\tverdicts\tmissed\tdropped\tarrivals off: median\tworst\tright")
	for _, s := range all {
		if s.runs == 0 {
			continue
		}
		var verdicts []string
		for _, name := range slices.Sorted(maps.Keys(s.named)) {
			verdicts = append(verdicts, fmt.Sprintf("%s × %d", name, s.named[name]))
		}
		slices.Sort(s.off)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.2f %%\t%.2f %%\t%d of %d\n", s.name, cmp.Or(string(s.planted), "-"), strings.Join(verdicts, ", "),
			text.Share(s.lost.Missed, s.lost.Scheduled), text.Share(s.lost.Dropped, s.lost.Scheduled),
			100*s.off[len(s.off)/2], 100*s.off[len(s.off)-1], s.right, s.runs)
	}
	w.Flush()
	return b.String()
}
