package servertiming

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerTimingIsReadAsBrowsersDo(t *testing.T) {
	const none = -1
	for _, tt := range []struct {
		reason string
		values []string
		metric string
		want   float64 // ms
	}{
		{"the only metric", []string{"app;dur=12.5"}, "", 12.5},
		{"a metric without a duration does not compete", []string{"miss, app;dur=12.5, cache;desc=hit"}, "", 12.5},
		{"total wins, wherever it is", []string{"db;dur=53", "app;dur=47.2, total;dur=61"}, "", 61},
		{"several and no total: which, would be a guess", []string{"db;dur=53, app;dur=47.2"}, "", none},
		{"one by name", []string{"db;dur=53, app;dur=47.2"}, "app", 47.2},
		{"of one name, the sum", []string{"db;dur=5, app;dur=47.2", "db;dur=7"}, "db", 12},
		{"names heed case", []string{"DB;dur=53"}, "db", none},
		{"a name that is not there, though there is a total", []string{"total;dur=61"}, "db", none},
		{"no header", nil, "", none},
		{"an empty one", []string{"", " , ,"}, "", none},
		{"no duration", []string{"app", "app;desc=slow"}, "", none},
		{"quoted description with all that separates", []string{`app;desc="a, total;dur=99 \"b\\";dur=3`}, "", 3},
		{"quoted duration", []string{`app;dur="3.25"`}, "", 3.25},
		{"a quoted string that does not end takes all", []string{`app;desc="x;dur=4, total;dur=9`}, "", none},
		{"white space wherever it may be", []string{" app \t; desc = \"x\" ;\tdur = 4 , "}, "", 4},
		{"a parameter's name in any case, and one without a value", []string{"app;DUR=4", "hit;fresh"}, "", 4},
		{"the first dur counts", []string{"app;dur=4;dur=5"}, "", 4},
		{"the first dur counts, bad or not", []string{"app;dur=x;dur=5"}, "", none},
		{"what is wrong ends at the comma", []string{"a b;dur=1, c/d;dur=2, app;dur=3, ;dur=4"}, "", 3},
		{"garbage behind a value", []string{"app;dur=3 ms;dur=4"}, "", 3},
		{"zero", []string{"app;dur=0"}, "", 0},
		{"exponent", []string{"app;dur=1.5e1"}, "", 15},
		{"a tenth of a microsecond", []string{"app;dur=0.0001"}, "", 0.0001},
		{"negative", []string{"app;dur=-1"}, "", none},
		{"not a number", []string{"app;dur=NaN"}, "", none},
		{"endless", []string{"app;dur=Inf"}, "", none},
		{"hexadecimal", []string{"app;dur=0x10"}, "", none},
		{"out of range", []string{"app;dur=1e300"}, "", none},
		{"a parameter without a name ends it", []string{"app;;dur=5", "app;dur=3"}, "", 3},
		{"each in range, the sum just not", []string{"app;dur=4611686018427.387904, app;dur=4611686018427.387904"}, "app", none},
		{"each in range, the sum not", []string{"app;dur=9e12, app;dur=9e12"}, "app", none},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			got, ok := readMetric(tt.values, tt.metric)
			require.Equal(t, tt.want != none, ok, "%v", got)
			if ok {
				require.Equal(t, time.Duration(math.Round(tt.want*1e6)), got)
			}
		})
	}
}

func TestParseDuration(t *testing.T) {
	for _, tt := range []struct {
		value string
		unit  time.Duration
		want  time.Duration // -1: unusable
	}{
		{"17", time.Millisecond, 17 * time.Millisecond},
		{" 17.25\t", time.Millisecond, 17250 * time.Microsecond},
		{"0.012345", time.Second, 12345 * time.Microsecond},
		{"1m1.5s", time.Millisecond, 61500 * time.Millisecond},
		{"5µs", time.Hour, 5 * time.Microsecond},
		{"0", time.Second, 0},
		{"0s", time.Second, 0},
		{"", time.Millisecond, -1},
		{"-17", time.Millisecond, -1},
		{"-17ms", time.Millisecond, -1},
		{"fast", time.Millisecond, -1},
		{"1e9", time.Hour, -1},
		{"9223372036854774784", 1, math.MaxInt64 - 1023},
		{"9223372036854775808", 1, -1}, // 1<<63
	} {
		got, ok := parseDuration(tt.value, tt.unit)
		require.Equal(t, tt.want >= 0, ok, "%q: %v", tt.value, got)
		if ok {
			require.Equal(t, tt.want, got, "%q", tt.value)
		}
	}
}

// What is written as the W3C has it is read, whatever its texts; and nothing makes the
// parser fail, or find more than there is.
func FuzzServerTiming(f *testing.F) {
	f.Add("app", `a "quoted\" text, total;dur=9`, 12.5, `x;desc="`)
	f.Add("total", "", 0.0, "db;dur=1, db;dur=2")
	f.Add("a", ";,=", 1e9, `;;;,,,"\`)
	f.Fuzz(func(t *testing.T, name, text string, ms float64, junk string) {
		for _, metric := range []string{"", name} {
			if d, ok := readMetric([]string{junk, text}, metric); d < 0 || !ok && d != 0 {
				t.Fatalf("%q: %v, %v", junk, d, ok)
			}
		}
		if token, rest := cutToken(name); token == "" || rest != "" || ms < 0 || ms > 1e12 || math.IsNaN(ms) {
			return
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		value := fmt.Sprintf("before;desc=%s, %s;desc=%s;dur=%v;after=%s ,after;desc=%s", quoted, name, quoted, ms, quoted, quoted)
		got, ok := readMetric([]string{value}, name)
		if want := time.Duration(math.Round(ms * 1e6)); !ok || got != want {
			t.Fatalf("%q: got %v, %v, want %v", value, got, ok, want)
		}
	})
}

func TestOfServerTimingAMetricIsRead(t *testing.T) {
	header := http.Header{"Server-Timing": {"db;dur=53", "app;dur=47.2, total;dur=61"}}
	for metric, want := range map[string]time.Duration{"": 61 * time.Millisecond, "app": 47200 * time.Microsecond} {
		got, ok := Source{Metric: metric}.Read(header)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func TestANumberInANamedHeader(t *testing.T) {
	const envoy = "X-Envoy-Upstream-Service-Time"
	for _, tt := range []struct {
		s     Source
		value []string
		want  time.Duration // -1: unusable
	}{
		{Source{Header: envoy}, []string{"17"}, 17 * time.Millisecond},
		{Source{Header: strings.ToLower(envoy)}, []string{" 17.25\t"}, 17250 * time.Microsecond},
		{Source{Header: "X-Runtime", Unit: time.Second}, []string{"0.012345"}, 12345 * time.Microsecond},
		{Source{Header: "X-Took", Unit: time.Hour}, []string{"5µs"}, 5 * time.Microsecond},
		{Source{Header: envoy}, nil, -1},
		{Source{Header: envoy}, []string{"17", "18"}, -1},
	} {
		got, ok := tt.s.Read(http.Header{http.CanonicalHeaderKey(tt.s.Header): tt.value})
		require.Equal(t, tt.want >= 0, ok, "%v: %q: %v", tt.s, tt.value, got)
		if ok {
			require.Equal(t, tt.want, got, "%v: %q", tt.s, tt.value)
		}
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	const ms = ": must be 0 for a millisecond, or positive"
	for _, tt := range []struct {
		s    Source
		want []string
	}{
		{Source{}, nil},
		{Source{Header: "server-timing", Metric: "db"}, nil},
		{Source{Header: "X-Runtime"}, nil},
		{Source{Header: "X-Runtime", Unit: 1}, nil},
		{Source{Header: "a b"}, []string{`ServerTime.Header "a b" is not a token`}},
		{Source{Metric: "a;b"}, []string{`ServerTime.Metric "a;b" is not a token`}},
		{Source{Header: "X-Runtime", Metric: "db"}, []string{`ServerTime.Metric is "db": must be empty, as only Server-Timing has metrics, and Header is X-Runtime`}},
		{Source{Unit: 1}, []string{"ServerTime.Unit is 1ns: must be 0, as Server-Timing is in milliseconds"}},
		{Source{Unit: -1}, []string{"ServerTime.Unit is -1ns" + ms}},
		{Source{Header: "a b", Metric: "a;b", Unit: -1}, []string{
			`ServerTime.Header "a b" is not a token`, `ServerTime.Metric is "a;b": must be empty, as only Server-Timing has metrics, and Header is a b`, "ServerTime.Unit is -1ns" + ms,
		}},
	} {
		var got []string
		tt.s.Validate(func(err error) { got = append(got, err.Error()) })
		require.Equal(t, tt.want, got)
	}
}
