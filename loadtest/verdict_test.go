package loadtest

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
)

// open1000 had 1,000 arrivals, all of which took 10 ms, 2 ms of them lag; a tenth was
// named "login".
func open1000() *EngineResult {
	samples := make([]sample, 1000)
	for i := range samples {
		samples[i] = sample{latency: 8 * ms, lag: 2 * ms, status: 200, endpoint: noEndpoint}
		if i%10 == 0 {
			samples[i].endpoint = 0
		}
	}
	r := record(epoch, 2*time.Second, []string{"login"}, samples)
	r.Engine, r.Scheduled = "arrival", 1000
	return r
}

// lose turns so many of the arrivals of open1000, all of them beyond the first 1,000, into
// others that were not delivered.
func lose(missed, dropped, local int64) *EngineResult {
	r := open1000()
	r.Scheduled += missed + dropped
	r.Missed, r.Dropped = missed, dropped
	if local > 0 {
		r.Errors = map[ErrorClass]int64{ClassLocal: local}
	}
	return r
}

// seconds has an interval for each of counts.
func seconds(counts ...Counts) *EngineResult {
	r := open1000()
	r.Counts, r.Intervals = Counts{}, nil
	for i, c := range counts {
		r.add(c)
		at := time.Duration(i) * time.Second
		r.Intervals = append(r.Intervals, Interval{From: at, To: at + time.Second, Counts: c, P99: time.Duration(i+1) * ms})
	}
	return r
}

func found(c Cause, windows, latched, of int) *EngineResult {
	r := open1000()
	r.Causes = []CauseFinding{{Cause: c, Windows: windows, Latched: latched, Of: of, Text: "seen; to change"}}
	return r
}

// Each objective is met at its limit and missed beyond it.
func TestObjectivesOfOpenLoopsNamesAndSeconds(t *testing.T) {
	const all = 1 // error rate
	ok := Counts{Requests: 1000, SuccessCount: 1000, Scheduled: 1000}
	bad := Counts{Requests: 1000, SuccessCount: 900, ErrorCount: 100, Scheduled: 1000}
	few := Counts{Requests: 19, ErrorCount: 19, Scheduled: 19}
	enough := Counts{Requests: 20, ErrorCount: 20, Scheduled: 20}
	none := Counts{Scheduled: 1000}
	canceled := open1000()
	canceled.Scheduled, canceled.Canceled = 1011, 11
	dropping := found(CauseInFlight, 12, 12, 12)
	dropping.Scheduled, dropping.Dropped = 1250, 250
	late := seconds(ok, bad, ok)
	for i := range late.Intervals { // as a harvest is on a busy machine
		late.Intervals[i].From += 3 * ms
		late.Intervals[i].To += 3 * ms
	}
	down := seconds(ok, ok, none, none, ok, ok)
	closed := func(counts ...int64) *EngineResult {
		var rows []Counts
		for _, n := range counts {
			rows = append(rows, Counts{Requests: n, SuccessCount: n})
		}
		return seconds(rows...)
	}
	for name, tt := range map[string]struct {
		slo    SLO
		r      *EngineResult
		kind   VerdictKind
		missed []string // as they are shown, without padding
	}{
		"response time is judged":  {SLO{P99: 10 * ms, Max: 10 * ms}, open1000(), VerdictPass, nil},
		"response time, beyond":    {SLO{P99: 9 * ms}, open1000(), VerdictFail, []string{"p99: 10ms, at most 9ms"}},
		"max, beyond":              {SLO{Max: 9 * ms}, open1000(), VerdictFail, []string{"max: 10ms, at most 9ms"}},
		"max of nothing":           {SLO{Max: 9 * ms, MinRequests: 1}, &EngineResult{}, VerdictFail, []string{"max: not judged: 0 requests, needs 1, at most 9ms", "requests: 0, at least 1"}},
		"p99.9 needs more":         {SLO{P999: time.Second}, open1000(), VerdictFail, []string{"p99.9: not judged: 1,000 requests, needs 10,000, at most 1s"}},
		"service time is judged":   {SLO{ServiceP50: 8100 * time.Microsecond, ServiceP95: 8100 * time.Microsecond, ServiceP99: 8100 * time.Microsecond}, open1000(), VerdictPass, nil},
		"service time, beyond":     {SLO{ServiceP99: 7 * ms}, open1000(), VerdictFail, []string{"service p99: 8ms, at most 7ms"}},
		"missed within 0.1 %":      {SLO{}, lose(1, 0, 0), VerdictPass, nil},
		"missed more":              {SLO{}, lose(2, 0, 0), VerdictInvalid, []string{"missed: 0.2 % (2 of 1,002), at most 0.1 %"}},
		"missed as allowed":        {SLO{MaxMissedRate: 0.002}, lose(2, 0, 0), VerdictPass, nil},
		"one dropped":              {SLO{}, lose(0, 1, 0), VerdictFail, []string{"dropped: 0.0999 % (1 of 1,001), at most 0 %"}},
		"dropped, and too many":    {SLO{MaxDroppedRate: 0.001}, lose(0, 12, 0), VerdictInvalid, []string{"dropped: 1.19 % (12 of 1,012), at most 0.1 %", "achieved: 98.8 % of the arrivals, at least 98.9 %"}},
		"dropped as allowed":       {SLO{MaxDroppedRate: 0.05}, lose(0, 50, 0), VerdictPass, nil},
		"delivered less":           {SLO{MaxDroppedRate: 1, MinAchievedRate: 0.95}, lose(0, 60, 0), VerdictInvalid, []string{"achieved: 94.3 % of the arrivals, at least 95 %"}},
		"local limits are no load": {SLO{}, lose(0, 0, 11), VerdictInvalid, []string{"achieved: 98.9 % of the arrivals, at least 99 %"}},
		"local limits at theirs":   {SLO{}, lose(0, 0, 10), VerdictPass, nil},
		"canceled is not sent":     {SLO{}, canceled, VerdictInvalid, []string{"achieved: 98.9 % of the arrivals, at least 99 %"}},
		"delivered a little less":  {SLO{MaxDroppedRate: 1, MinAchievedRate: 0.98913}, lose(0, 11, 0), VerdictInvalid, []string{"achieved: 98.91196834817013 % of the arrivals, at least 98.9 %"}},
		"valid, and failed":        {SLO{P99: ms}, lose(1, 0, 0), VerdictFail, []string{"p99: 10ms, at most 1ms"}},
		"invalid wins":             {SLO{P99: ms}, lose(2, 0, 0), VerdictInvalid, []string{"p99: 10ms, at most 1ms", "missed: 0.2 % (2 of 1,002), at most 0.1 %"}},

		"a cause that held":             {SLO{}, found(CauseCPU, 3, 3, 30), VerdictInvalid, nil},
		"a cause that held for less":    {SLO{}, found(CauseCPU, 3, 3, 31), VerdictPass, nil},
		"seconds short of CPU":          {SLO{}, found(CauseCPU, 5, 0, 12), VerdictPass, nil},
		"a limit met again and again":   {SLO{}, found(CauseConnections, 3, 0, 12), VerdictInvalid, nil},
		"a limit met twice":             {SLO{}, found(CauseConnections, 2, 0, 12), VerdictPass, nil},
		"a limit for whole of two":      {SLO{}, found(CauseConnections, 2, 2, 2), VerdictInvalid, nil},
		"drops that are allowed":        {SLO{MaxDroppedRate: 0.2}, found(CauseInFlight, 12, 12, 12), VerdictPass, nil},
		"drops at their limit":          {SLO{MaxDroppedRate: 0.2}, dropping, VerdictPass, nil},
		"no drops are allowed":          {SLO{}, found(CauseInFlight, 12, 12, 12), VerdictInvalid, nil},
		"drops allow no other cause":    {SLO{MaxDroppedRate: 0.2}, found(CauseCPU, 12, 12, 12), VerdictInvalid, nil},
		"the service's causes":          {SLO{}, found(CauseSlower, 12, 12, 12), VerdictPass, nil},
		"a cause and a missed latency":  {SLO{P99: ms}, found(CauseCPU, 3, 3, 12), VerdictInvalid, []string{"p99: 10ms, at most 1ms"}},
		"a service cause and a failure": {SLO{P99: ms}, found(CauseSlower, 3, 3, 12), VerdictFail, []string{"p99: 10ms, at most 1ms"}},

		"name, within":             {SLO{Endpoints: map[string]SLO{"login": {P50: 10 * ms, MinRequests: 100, MinRPS: 50}}}, open1000(), VerdictPass, nil},
		"name, beyond":             {SLO{Endpoints: map[string]SLO{"login": {P50: ms, MinRPS: 51}}}, open1000(), VerdictFail, []string{"login p50: 10ms, at most 1ms", "login req/s: 50, at least 51"}},
		"name without a p99":       {SLO{Endpoints: map[string]SLO{"login": {P99: time.Hour}}}, open1000(), VerdictFail, []string{"login p99: not judged: 100 requests, needs 1,000, at most 1h0m0s"}},
		"name that never came":     {SLO{Endpoints: map[string]SLO{"logout": {}}}, open1000(), VerdictFail, []string{"logout requests: 0, at least 1"}},
		"name and all of them":     {SLO{Max: ms, Endpoints: map[string]SLO{"login": {Max: 2 * ms}}}, open1000(), VerdictFail, []string{"max: 10ms, at most 1ms", "login max: 10ms, at most 2ms"}},
		"worst second, within":     {SLO{MaxErrorRate: all, WorstSecondP99: 3 * ms, WorstSecondErrorRate: 0.1}, seconds(ok, bad, ok), VerdictPass, nil},
		"worst second, beyond":     {SLO{MaxErrorRate: all, WorstSecondP99: 2 * ms, WorstSecondErrorRate: 0.09}, seconds(ok, bad, ok), VerdictFail, []string{"worst p99: 3ms, from 2s to 3s, at most 2ms", "worst errors: 10 % (100 of 1,000, from 1s to 2s), at most 9 %"}},
		"harvested late":           {SLO{MaxErrorRate: all, WorstSecondErrorRate: 0.09}, late, VerdictFail, []string{"worst errors: 10 % (100 of 1,000, from 1s to 2s), at most 9 %"}},
		"few say nothing":          {SLO{MaxErrorRate: all, WorstSecondP99: 2 * ms, WorstSecondErrorRate: 0.01}, seconds(ok, ok, few), VerdictPass, nil},
		"just enough":              {SLO{MaxErrorRate: all, WorstSecondErrorRate: 0.01}, seconds(ok, ok, enough), VerdictFail, []string{"worst errors: 100 % (20 of 20, from 2s to 3s), at most 1 %"}},
		"only few":                 {SLO{MaxErrorRate: all, WorstSecondP99: 2 * ms, WorstSecondErrorRate: 0.01}, seconds(few, few), VerdictFail, []string{"worst p99: not judged: no second has 100 requests, at most 2ms", "worst errors: not judged: no second has 20 requests, at most 1 %"}},
		"stall, within":            {SLO{MaxStall: 2 * time.Second}, down, VerdictPass, nil},
		"stall, beyond":            {SLO{MaxStall: time.Second}, down, VerdictFail, []string{"stall: 2s, from 2s to 4s, at most 1s"}},
		"stall, none":              {SLO{MaxStall: 1}, seconds(ok, ok, ok), VerdictPass, nil},
		"nothing was due":          {SLO{MaxStall: 1}, seconds(ok, Counts{}, Counts{}, ok, ok), VerdictPass, nil},
		"the generator stood":      {SLO{MaxStall: 1, MaxMissedRate: 1}, seconds(ok, Counts{Scheduled: 1000, Missed: 1000}, ok, ok), VerdictPass, nil},
		"stall, closed loop":       {SLO{MaxStall: time.Second}, closed(1000, 1000, 400, 0, 600, 1000, 1000), VerdictFail, []string{"stall: 2s, from 2.4s to 4.4s, at most 1s"}},
		"stall, nearly all before": {SLO{MaxStall: time.Second}, closed(1000, 950, 0, 950, 1000), VerdictPass, nil},
		"too short for a stall":    {SLO{MaxStall: time.Second}, closed(1000, 0), VerdictFail, []string{"stall: not judged: needs three seconds, most of them with 10 requests, at most 1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, tt.slo.Validate())
			v := tt.slo.Judge(tt.r)
			var missed []string
			for _, o := range v.Missed() {
				missed = append(missed, o.Name+": "+o.Observed+", "+o.Wanted)
			}
			require.Equal(t, tt.missed, missed)
			require.Equal(t, tt.kind, v.Kind, "%v", v)
			tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, tt.r, tt.slo) })
			require.Equal(t, tt.kind != VerdictPass, tb.Failed())
		})
	}
}

// INVALID reads otherwise than FAIL, and names the causes before the objectives.
func TestCheckSaysInvalidInOtherWords(t *testing.T) {
	r := found(CauseConnections, 5, 3, 12)
	r.Warnings = append(r.assess(), Warning{WarnStall, "stalled"})
	tb := faketb.Run(t, func(tb *faketb.TB) { Check(tb, r, SLO{P99: ms}) })
	require.Equal(t, "loadtest: INVALID: the load was not what the schedule says, so this run says nothing of the service; change what is named here and run again\n"+
		"  cause       connections in 5 of 12 seconds: seen; to change\n"+
		"  p99         observed 10ms, wanted at most 1ms\n"+
		"  response  p50 10ms  p95 10ms  p99 10ms  max 10ms\n"+
		"  service   p50 8ms  p95 8ms  p99 8ms  max 8ms\n"+
		"  lag       p50 2ms  p95 2ms  p99 2ms  max 2ms\n"+
		"  status    200 × 1,000\n"+
		"  warning   stalled", tb.Text())
	require.Contains(t, r.String(), "\n  warning   connections in 5 of 12 seconds: seen; to change\n")

	v := SLO{P99: ms}.Judge(r)
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var back Verdict
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, v, back)
	require.Contains(t, string(data), `"kind":"INVALID"`)
	require.Contains(t, string(data), `"causes":[{"cause":"connections","windows":5,"latched":3,"of":12,"text":"seen; to change"}]`)
}

// What a closed loop's generator is short of is a warning, as it always was: there is no
// schedule that its load could fall short of.
func TestAClosedLoopIsNeverInvalid(t *testing.T) {
	r := run1000()
	r.Generator = Generator{Watched: time.Minute, SchedLatency: time.Second}
	r.Errors = map[ErrorClass]int64{ClassLocal: 10}
	r.Warnings = r.assess()
	require.Equal(t, VerdictPass, SLO{MaxErrorRate: 0.01, MaxMissedRate: 0.5, MinAchievedRate: 1}.Judge(r).Kind)
}

func TestValidateReportsNestedFaults(t *testing.T) {
	inner := SLO{P99: -1, MaxMissedRate: 1, MaxDroppedRate: 1, MinAchievedRate: 1, WorstSecondP99: 1, WorstSecondErrorRate: 1, MaxStall: 1, MaxPeakMemory: 1, Endpoints: map[string]SLO{"b": {Max: -1}}}
	err := SLO{
		P999: -1, Max: -1, ServiceP50: -1, ServiceP95: -1, ServiceP99: -1, MaxMissedRate: 2, MaxDroppedRate: -1, MinAchievedRate: math.NaN(),
		WorstSecondP99: -1, WorstSecondErrorRate: 2, MaxStall: -1, Endpoints: map[string]SLO{`a"b`: inner, "": {}},
	}.Validate()
	require.ErrorIs(t, err, ErrConfig)
	for _, part := range []string{
		"SLO.P999 is -1ns", "SLO.Max is -1ns", "SLO.ServiceP50 is", "SLO.ServiceP95 is", "SLO.ServiceP99 is", "SLO.MaxMissedRate is 2", "SLO.MaxDroppedRate is -1",
		"SLO.MinAchievedRate is NaN", "SLO.WorstSecondP99 is", "SLO.WorstSecondErrorRate is 2", "SLO.MaxStall is",
		`SLO.Endpoints[""]: requests without a name`, `SLO.Endpoints["a\"b"].P99 is -1ns`, `SLO.Endpoints["a\"b"].Endpoints["b"].Max is`,
		`].MaxMissedRate is set: it is known of a whole run only`, "].MaxDroppedRate is set", "].MinAchievedRate is set", "].WorstSecondP99 is set",
		"].WorstSecondErrorRate is set", "].MaxStall is set", "].MaxPeakMemory is set", "].Endpoints is set",
	} {
		require.ErrorContains(t, err, part)
	}
}

// A name that may be among those counted together says so.
func TestAFoldedNameSaysSo(t *testing.T) {
	r := open1000()
	r.Endpoints[foldedEndpoints] = &Stats{}
	slo := SLO{Endpoints: map[string]SLO{"login": {MinRequests: 101}, "logout": {}}}
	v := slo.Judge(r)
	require.Empty(t, v.Missed()[0].Hint, "it has requests, and so is not among them")
	require.Equal(t, `or it is among the names counted as "(others)": a run tells 63 apart`, v.Missed()[1].Hint)
	require.Empty(t, slo.Judge(open1000()).Missed()[1].Hint, "none are")
}

// The field that lets some pass is that of the name, where the objective is.
func TestAForgottenFieldOfANameIsNamed(t *testing.T) {
	r := open1000()
	r.Endpoints["login"].ErrorCount = 1
	slo := SLO{MaxErrorRate: 1, Endpoints: map[string]SLO{"login": {}, "logout": {MaxErrorRate: 1}}}
	v := slo.Judge(r)
	require.Equal(t, "login error rate", v.Missed()[0].Name)
	require.Equal(t, `set SLO.Endpoints["login"].MaxErrorRate to allow some: 0 allows none`, v.Missed()[0].Hint)
}

// A service that is down for 2 of 12 seconds, whenever they begin, leaves p99 as it was,
// in a closed loop; MaxStall and Max find it.
func TestAnOutageOfTwoSecondsIsFound(t *testing.T) {
	for _, from := range []time.Duration{3 * time.Second, 3400 * ms, 3900 * ms} {
		synctest.Test(t, func(t *testing.T) {
			start, took := time.Now(), 10600*time.Microsecond
			e := newEngine(t, ThreadedConfig{Client: Func(func(ctx context.Context) error {
				if now := time.Since(start); now >= from && now < from+2*time.Second {
					return sleep(from + 2*time.Second - now)(ctx)
				}
				return sleep(took)(ctx)
			})})
			r, err := e.Run(t.Context(), For(12*time.Second))
			require.NoError(t, err)
			closeEngine(t, e)
			require.Less(t, r.P99(), 11*ms)
			require.Equal(t, VerdictPass, SLO{P99: 11 * ms}.Judge(r).Kind)
			v := SLO{P99: 11 * ms, MaxStall: 1800 * ms, Max: time.Second}.Judge(r)
			require.Len(t, v.Missed(), 2, "%v", v)
			require.Regexp(t, `^FAIL\n  max         observed (1.99\d*|2.0\d*)s, wanted at most 1s\n  stall       observed (1.89\d*|1.9\d*|2|2.0\d*)s, from `, v.String())
		})
	}
}
