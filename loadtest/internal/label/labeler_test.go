package label

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// window returns a second that shows a cause by itself.
func window(letter byte) Window {
	w := Window{
		Length: time.Second, Scheduled: 1000, Ended: 1000,
		Lag: 100 * time.Microsecond, Response: 20 * ms, Service: 10 * ms, Mean: 11 * ms,
	}
	switch letter {
	case 'c':
		w.Lag = 6 * ms
	case 'C': // with a slow service besides
		w.Lag, w.Service = 6*ms, 40*ms
	case 'd': // late, but next to what was measured that is nothing
		w.Lag, w.Response = 6*ms, 70*ms
	case 't':
		w.Lag, w.Response = 20*ms, time.Second
	case 'w': // many had to wait, but for a moment
		w.Waited, w.Wait, w.Mean = 1000, 900*ms, ms
	case 'v': // and next to what was measured that was nothing
		w.Waited, w.Wait, w.Mean = 250, 500*ms, 11*ms
	case 'm':
		w.Missed, w.Ended = 10, 990
	case 'k':
		w.Waited, w.Wait, w.Mean = 250, 500*ms, 5*ms
	case 'f':
		w.Dropped, w.Ended = 10, 990
	case 'l':
		w.Local = 10
	case 's':
		w.Service = 21 * ms
	case 'z': // frozen
		w.Ended, w.Service, w.Response = 99, 10*ms, 10*ms
	case 'q':
		w.Service = 4 * ms
	case 'r': // nothing was due, but what had begun waited
		w.Scheduled, w.Ended, w.Waited, w.Wait, w.Mean = 0, 100, 100, 100*time.Second, 2*time.Second
	case '0':
		w.Scheduled, w.Ended = 0, 0
	case 'x': // so that arrivals found no free worker
		w.Lag, w.Dropped = 6*ms, 10
	case 'y':
		w.Waited, w.Wait, w.Mean, w.Dropped = 250, 500*ms, 5*ms, 10
	case '2': // few, but enough
		w.Scheduled, w.Ended = 20, 20
	case '1': // too few that ended to say how long they take
		w.Ended, w.Service = 19, time.Hour
	case 'h': // long enough
		w.Length, w.Lag = 500*ms, 6*ms
	case 'b': // the whole run was brief
		w.Length, w.Lag = 500*ms-1, 6*ms
	case '|': // the next harvest was soon
		w.Length = 500*ms - 1
	case '-': // next to nothing was due
		w.Scheduled, w.Ended, w.Lag = 19, 19, time.Second
	}
	return w
}

// letters returns a run's labels, one letter a second.
func letters(labels []Cause) string {
	names := map[Cause]byte{"": '.', CPU: 'c', Connections: 'k', InFlight: 'f', LocalLimits: 'l', Slower: 's', Faster: 'q'}
	var out []byte
	for _, l := range labels {
		out = append(out, names[l])
	}
	return string(out)
}

// A cause begins with three windows in a row that show it, and ends with three without.
func TestLabelsAreLatched(t *testing.T) {
	for _, tt := range []struct{ reason, windows, want, findings string }{
		{"nothing", "..........", "..........", ""},
		{"one bad second", "...c......", "..........", ""},
		{"two", "...cc.cc..", "..........", ""},
		{"three", "...ccc...", "...ccc...", "cpu 3/3 of 9"},
		{"a good one between", "...ccc.c..cc...", "...ccccccccc...", "cpu 6/9 of 15"},
		{"from the beginning to the end", "ccccc", "ccccc", "cpu 5/5 of 5"},
		{"no more than makes a cause", "ccc", "ccc", "cpu 3/3 of 3"},
		{"twice", "...ccc...ccc...", "...ccc...ccc...", "cpu 6/6 of 15"},
		{"not over yet", "...ccc..", "...ccccc", "cpu 3/5 of 8"},
		{"missed is short of CPU", "...mcm...", "...ccc...", "cpu 3/3 of 9 lost 20"},
		{"one limit brings about others", "...cfc...", "...ccc...", "cpu 2/3 of 9|in flight 1/0 of 9 lost 10"},
		{"none more often than the others", "...fck...", "...ccc...", "cpu 1/3 of 9|in flight 1/0 of 9 lost 10"},
		{"one cause after another", "...cccfff...", "...cccfff...", "in flight 3/3 of 12 lost 30|cpu 3/3 of 12"},
		{"service and generator do not mix", "...scs...", ".........", ""},
		{"slower, faster", "...sss...qqq", "...sss...qqq", "service slower 3/3 of 12|service faster 3/3 of 12"},
		{"frozen", "...zzz...", "...sss...", "service slower 3/3 of 9"},
		{"what it was like at first", "sss...qqq", "...qqqqqq", "service faster 6/6 of 9"},
		{"a bad start teaches nothing", "CCC...sss", "ccc...sss", "cpu 3/3 of 9|service slower 3/3 of 9"},
		{"what does not matter", "...ddd.www.vvv", "..............", ""},
		{"short of CPU more often than not", "...cc.cc.cc", "...........", "cpu 6/0 of 11"},
		{"long after it was due, however slow the service", "...ttt...", "...ccc...", "cpu 3/3 of 9"},
		{"limits come back", "...f..f..f..", "............", "in flight 3/0 of 12 lost 30"},
		{"once is not again and again", "...k..k.....", "............", ""},
		{"nothing was due", "...c0c00c.0..", "...cccccc....", "cpu 3/3 of 9"},
		{"nothing was due, and no end", "...c0c00c.0.", "...ccccccccc", "cpu 3/5 of 8"},
		{"what is left after the last arrival", "...cccrrrrrr", "...ccccccccc", "cpu 3/3 of 6"},
		{"nothing was due yet", "00ccc.", "..cccc", "cpu 3/4 of 4"},
		{"next to nothing was due", "---------", ".........", ""},
		{"few at first", "222sss", "...sss", "service slower 3/3 of 6"},
		{"too few at first", "111...sss", "......sss", "service slower 3/3 of 9"},
		{"limits of the machine", "...lll...", "...lll...", "local limits 3/3 of 9 lost 30"},
		{"dropped for want of CPU", "...xxx...", "...ccc...", "cpu 3/3 of 9 lost 30"},
		{"dropped for want of connections", "...yyy...", "...kkk...", "connections 3/3 of 9 lost 30"},
		{"a thousandth of the arrivals", "...f......", "..........", ""},
		{"more than a thousandth", "...f.....", ".........", "in flight 1/0 of 9 lost 10"},
		{"half a second is one", "...hhh...", "...ccc...", "cpu 3/3 of 9"},
		{"a short one between", "...c|c|c...", "...ccccc...", "cpu 3/3 of 9"},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			var l Labeler
			var labels []Cause
			for _, w := range []byte(tt.windows) {
				label, back := l.Add(window(w))
				for i := range back {
					labels[len(labels)-1-i] = label
				}
				labels = append(labels, label)
			}
			require.Equal(t, tt.want, letters(labels))
			label, back := l.Finish()
			require.Equal(t, l.latched, label)
			require.Zero(t, back)
			held := make(map[Cause]int)
			for i, c := range labels {
				if w := window(tt.windows[i]); w.Scheduled > 0 && w.Length >= minLength {
					held[c]++
				}
			}
			var got []string
			for _, f := range l.Findings(100) {
				require.Equal(t, held[f.Cause], f.Latched, "as many windows as have the label, of those in which something was due")
				line := fmt.Sprintf("%s %d/%d of %d", f.Cause, f.Windows, f.Latched, f.Of)
				if f.Lost > 0 {
					line += fmt.Sprintf(" lost %d", f.Lost)
				}
				got = append(got, line)
			}
			require.Equal(t, tt.findings, strings.Join(got, "|"))
		})
	}
}

// What a cause says names the setting to change, and how large it must be where that is
// known.
func TestCausesSayWhatToChange(t *testing.T) {
	// 200 a second of 100 ms each: 20 in flight.
	e := evidence{
		band: band{lag: 6 * ms, low: 4 * ms, high: 60 * ms}, ended: 200, waited: 150, wait: 150 * 5 * ms, lost: 7,
		worst: Window{Length: time.Second, Scheduled: 200, Ended: 200, Mean: 100 * ms},
	}
	healthy := band{low: 10 * ms, high: 12 * ms}
	const pool = "raise the limit on connections (Conn.MaxConnections, Conn.MaxKeepaliveConnections, or that of your Transport), or with HTTP/2 the server's on streams"
	for _, tt := range []struct {
		cause       Cause
		maxInFlight int
		want        string
	}{
		{LocalLimits, 20, "7 requests failed for a limit of this machine and did not reach the service; reuse connections, or raise the limit (ulimit -n, ephemeral ports)"},
		{CPU, 20, "in the worst second a tenth of the requests began 6ms or more after they were due, and 7 arrivals were never sent; send fewer per second, make the functions of the source quicker if it has any, raise GOMAXPROCS if the machine has more processors, or run the server in another process or on another machine"},
		{Connections, 20, "75 % of the requests waited for a connection or a stream, 5ms on average: 200/s that take 100ms each are 20 or more in flight at once; " + pool},
		{Connections, 19, "75 % of the requests waited for a connection or a stream, 5ms on average: 200/s that take 100ms each are 20 or more in flight at once; raise MaxInFlight, which is 19, and " + pool},
		{InFlight, 20, "MaxInFlight 20 was reached, and 7 arrivals were dropped: the service stalled, or many arrivals came at once; raise MaxInFlight"},
		{InFlight, 19, "MaxInFlight 19 was reached, and 7 arrivals were dropped: 200/s that take 100ms each are 20 or more in flight at once; raise MaxInFlight"},
		{Slower, 20, "its median service time was up to 60ms; at the beginning of the run it was 12ms"},
		{Faster, 20, "its median service time was down to 4ms; at the beginning of the run it was 10ms"},
	} {
		require.Equal(t, tt.want, e.text(tt.cause, healthy, tt.maxInFlight))
	}
	e.lost, e.stalled = 0, true
	require.NotContains(t, e.text(CPU, healthy, 20), "never sent")
	require.Equal(t, "next to no request ended at times; its median service time was up to 60ms; at the beginning of the run it was 12ms", e.text(Slower, healthy, 20))
}

// A run of fewer windows than make a cause has one if all that say something show one, and
// then throughout.
func TestAShortRunHasOneLabel(t *testing.T) {
	for windows, want := range map[string]Cause{"c": CPU, "b": CPU, "c0c|": CPU, "fc": CPU, "c.": "", ".": "", "0": ""} {
		var l Labeler
		for _, w := range []byte(windows) {
			label, back := l.Add(window(w))
			require.Empty(t, label)
			require.Zero(t, back)
		}
		label, back := l.Finish()
		require.Equal(t, want, label, windows)
		if want != "" {
			require.Equal(t, len(windows), back, windows)
			require.Equal(t, l.windows, l.evidence(want).held, windows)
		}
	}
}

// Each cause begins at just these figures; the constants themselves are not asked.
func TestWhatAWindowShows(t *testing.T) {
	const us = time.Microsecond
	healthy := band{windows: latchAfter, lag: 100 * us, low: 8 * ms, high: 12 * ms}
	with := func(change func(*band)) band { b := healthy; change(&b); return b }
	late, quick := with(func(b *band) { b.lag = ms }), with(func(b *band) { b.low, b.high = 1900*us, 900*us })
	for name, tt := range map[string]struct {
		band   band
		change func(*Window)
		want   Cause
	}{
		"nothing":                      {healthy, func(*Window) {}, ""},
		"too few":                      {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Lag = 19, 19, time.Second }, ""},
		"enough were due":              {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Lag = 20, 19, time.Second }, CPU},
		"enough ended":                 {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Lag = 19, 20, time.Second }, CPU},
		"nearly a hundredth local":     {healthy, func(w *Window) { w.Local = 9 }, ""},
		"a hundredth local":            {healthy, func(w *Window) { w.Local = 10 }, LocalLimits},
		"not quite late":               {healthy, func(w *Window) { w.Lag = 2*ms - 1 }, ""},
		"late":                         {healthy, func(w *Window) { w.Lag = 2 * ms }, CPU},
		"not later than three times":   {late, func(w *Window) { w.Lag = 3*ms - 1 }, ""},
		"three times as late":          {late, func(w *Window) { w.Lag = 3 * ms }, CPU},
		"not late where all is late":   {with(func(b *band) { b.lag = time.Second }), func(w *Window) { w.Lag = 6*ms - 1 }, ""},
		"late wherever it is":          {with(func(b *band) { b.lag = time.Second }), func(w *Window) { w.Lag = 6 * ms }, CPU},
		"a tenth of the response":      {healthy, func(w *Window) { w.Lag, w.Response = 6*ms, 60*ms }, CPU},
		"long, however slow":           {healthy, func(w *Window) { w.Lag, w.Response = 20*ms, time.Hour }, CPU},
		"not quite that long":          {healthy, func(w *Window) { w.Lag, w.Response = 20*ms-1, time.Hour }, ""},
		"less than a tenth":            {healthy, func(w *Window) { w.Lag, w.Response = 6*ms, 60*ms+us }, ""},
		"a moment's wait":              {healthy, func(w *Window) { w.Waited, w.Wait, w.Mean = 250, 250*ms, 2*ms }, Connections},
		"less than a moment":           {healthy, func(w *Window) { w.Waited, w.Wait, w.Mean = 250, 250*ms-1, 2*ms }, ""},
		"a tenth of what was measured": {healthy, func(w *Window) { w.Waited, w.Wait, w.Mean = 250, 500*ms, 5*ms }, Connections},
		"not a tenth":                  {healthy, func(w *Window) { w.Waited, w.Wait, w.Mean = 250, 500*ms-1, 5*ms }, ""},
		"nothing ended":                {healthy, func(w *Window) { w.Ended = 0 }, Slower},
		"not a tenth ended":            {healthy, func(w *Window) { w.Ended = 99 }, Slower},
		"a tenth ended":                {healthy, func(w *Window) { w.Ended = 100 }, ""},
		"one of twenty ended":          {healthy, func(w *Window) { w.Scheduled, w.Ended = 20, 1 }, Slower},
		"twice as slow":                {healthy, func(w *Window) { w.Service = 24 * ms }, ""},
		"slower":                       {healthy, func(w *Window) { w.Service = 24*ms + 1 }, Slower},
		"slower by a millisecond":      {quick, func(w *Window) { w.Service = 1900 * us }, Slower},
		"slower by less":               {quick, func(w *Window) { w.Service = 1900*us - 1 }, ""},
		"twenty were slower":           {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Service = 20, 20, 25*ms }, Slower},
		"nineteen were slower":         {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Service = 20, 19, 25*ms }, ""},
		"half as slow":                 {healthy, func(w *Window) { w.Service = 4 * ms }, ""},
		"faster":                       {healthy, func(w *Window) { w.Service = 4*ms - 1 }, Faster},
		"faster by a millisecond":      {quick, func(w *Window) { w.Service = 900 * us }, Faster},
		"faster by less":               {quick, func(w *Window) { w.Service = 900*us + 1 }, ""},
		"twenty were faster":           {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Service = 20, 20, ms }, Faster},
		"nineteen were faster":         {healthy, func(w *Window) { w.Scheduled, w.Ended, w.Service = 20, 19, ms }, ""},
		"nobody knows what it was":     {with(func(b *band) { b.windows-- }), func(w *Window) { w.Service = time.Second }, ""},
	} {
		w := window('.')
		tt.change(&w)
		require.Equal(t, tt.want, tt.band.judge(w), name)
	}
}

func TestWhatIsNeededInFlight(t *testing.T) {
	w := Window{Length: 2 * time.Second, Scheduled: 400, Ended: 100, Mean: 60 * ms, Waited: 50, Wait: time.Second}
	require.InDelta(t, 10, w.needed(), 0, "200 a second of 50 ms each, after 10 ms of waiting")
	w.Wait = time.Hour
	require.Zero(t, w.needed())
	w.Users, w.Walked = 4, 2*time.Second
	require.InDelta(t, 100, w.needed(), 0, "200 users a second who walk for half a second")
	require.Zero(t, Window{Length: time.Second, Scheduled: 1}.needed())
}

func TestBandsAndEvidenceSumUp(t *testing.T) {
	var e evidence
	heavy := Window{Length: time.Second, Scheduled: 100, Ended: 100, Mean: 100 * ms, Service: 11 * ms}
	equal := heavy
	equal.Lag = ms
	for _, w := range []Window{
		{Length: time.Second, Scheduled: 40, Ended: 30, Waited: 5, Wait: 7 * ms, Lag: 2 * ms, Service: 12 * ms},
		{Length: time.Second, Scheduled: 30, Ended: 2, Waited: 1, Wait: ms, Service: 3 * time.Hour},
		heavy, equal,
		{Length: time.Second, Scheduled: 20, Ended: 20, Service: 10 * ms},
		{Length: time.Second, Scheduled: 19, Ended: 19, Service: ms},
	} {
		e.add(w)
	}
	require.Equal(t, evidence{
		band:  band{windows: 6, lag: 2 * ms, low: 10 * ms, high: 12 * ms},
		ended: 271, waited: 6, wait: 8 * ms, stalled: true, worst: equal,
	}, e)
}

func TestWhatMakesARunInvalid(t *testing.T) {
	for _, tt := range []struct {
		Finding
		want bool
	}{
		{Finding{}, false},
		{Finding{Cause: CPU}, false},
		{Finding{Cause: CPU, Latched: 1, Of: 10}, true},
		{Finding{Cause: CPU, Latched: 1, Of: 11}, false},
		{Finding{Cause: Slower, Latched: 9, Of: 10}, false},
		{Finding{Cause: InFlight, Windows: 3, Of: 30}, true},
		{Finding{Cause: InFlight, Windows: 3, Of: 31}, false},
		{Finding{Cause: InFlight, Windows: 2, Of: 10}, false},
		{Finding{Cause: CPU, Windows: 3, Of: 6}, false},
		{Finding{Cause: CPU, Windows: 3, Of: 5}, true},
	} {
		require.Equal(t, tt.want, tt.Limiting(), "%+v", tt.Finding)
	}
}

func TestWorse(t *testing.T) {
	inOrder := append(slices.Clone(causes), "")
	for i, a := range inOrder {
		for j, b := range inOrder {
			require.Equal(t, inOrder[min(i, j)], Worse(a, b))
		}
	}
}
