package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// service is a transport that answers after a while and remembers what came when.
type service struct {
	takes time.Duration
	start time.Time

	mu   sync.Mutex
	came map[string]time.Duration
	reqs []*http.Request
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.came[r.URL.RequestURI()] = time.Since(s.start)
	s.reqs = append(s.reqs, r)
	s.mu.Unlock()
	if s.takes > 0 {
		time.Sleep(s.takes)
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

func (s *service) conn() loadtest.ConnectionConfig {
	return loadtest.ConnectionConfig{Transport: s}
}

// run sends src through an engine in a bubble.
func run(t *testing.T, s *service, cfg loadtest.EngineConfig, src loadtest.Source) (*loadtest.EngineResult, error) {
	t.Helper()
	e, err := cfg.New()
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(t.Context())) }()
	s.start, s.came = time.Now(), make(map[string]time.Duration)
	return e.Run(t.Context(), src)
}

func newLog(t *testing.T, text string, c Config) *Log {
	t.Helper()
	c.Base = base
	l, err := New(strings.NewReader(text), c)
	require.NoError(t, err)
	return l
}

// Each request of a log comes at its own instant, exactly, however it is scaled, cut,
// sharded or throttled.
func TestRequestsComeAtTheirInstants(t *testing.T) {
	var text strings.Builder
	at := start
	for i := range 300 {
		at = at.Add(time.Duration(i*i) * 1001 * time.Nanosecond)
		text.WriteString(fractional(at, fmt.Sprint("/", i)))
	}
	for i := range 100 {
		text.WriteString(common(at.Truncate(time.Second).Add(time.Duration(2+i/40)*time.Second), fmt.Sprint("/", 300+i)))
	}
	l := newLog(t, text.String(), Config{})
	want := make(map[string]time.Duration)
	due := slices.Collect(l.Schedule().All())
	require.Len(t, due, 400)
	require.Equal(t, 1001*time.Nanosecond, due[1])
	whole := at.Truncate(time.Second).Add(2 * time.Second).Sub(start)
	require.Equal(t, whole, due[300], "the first of 40 in a second")
	require.Equal(t, whole+25*time.Millisecond, due[301])
	require.Equal(t, whole+2*time.Second+950*time.Millisecond, due[399], "the last of 20 in a second")
	for i, at := range due {
		want[fmt.Sprint("/", i)] = at
	}
	for name, tt := range map[string]struct {
		schedule pace.Schedule
		most     int
		takes    time.Duration
		scale    float64
	}{
		"as it was":                         {schedule: l.Schedule()},
		"ten times as fast":                 {schedule: l.Schedule().Scale(10), scale: 10},
		"half as fast":                      {schedule: l.Schedule().Scale(0.5), scale: 0.5},
		"the beginning":                     {schedule: l.Schedule().Until(due[100])},
		"the first":                         {schedule: l.Schedule().Take(17)},
		"one of three machines":             {schedule: l.Schedule().Shard(1, 3)},
		"one of three, fast, the beginning": {schedule: l.Schedule().Scale(4).Shard(2, 3).Take(50), scale: 4},
		"where most are dropped":            {schedule: l.Schedule(), most: 1, takes: 33 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &service{takes: tt.takes}
				r, err := run(t, s, loadtest.ArrivalConfig{Schedule: tt.schedule, MaxInFlight: tt.most, Conn: s.conn()}, l.Source())
				require.NoError(t, err)
				require.Equal(t, r.Requests, r.SuccessCount)
				require.Len(t, s.came, int(r.Requests))
				require.Equal(t, r.Scheduled, r.Requests+r.Dropped)
				if n := tt.schedule.Len(); n >= 0 {
					require.Equal(t, n, r.Scheduled)
				}
				if tt.most > 0 {
					require.Greater(t, r.Dropped, int64(100))
				} else {
					require.Zero(t, r.Dropped)
				}
				for url, at := range s.came {
					due := want[url]
					if tt.scale != 0 {
						due = time.Duration(float64(due)/tt.scale + 0.5)
					}
					require.Equal(t, due, at, url)
				}
			})
		})
	}
}

// A log is a source for any engine, and for many runs.
func TestALogIsASourceOfAnyEngine(t *testing.T) {
	l := newLog(t, common(start, "/1")+common(start.Add(-time.Hour), "/2")+common(start, "/3"), Config{})
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			for _, cfg := range []func(*service) loadtest.EngineConfig{
				func(s *service) loadtest.EngineConfig { return loadtest.SyncConfig{Conn: s.conn()} },
				func(s *service) loadtest.EngineConfig { return loadtest.ThreadedConfig{Conn: s.conn()} },
				func(s *service) loadtest.EngineConfig { return loadtest.AsyncConfig{Conn: s.conn()} },
			} {
				s := new(service)
				r, err := run(t, s, cfg(s), l.Source())
				require.NoError(t, err)
				require.EqualValues(t, 3, r.SuccessCount)
				require.Zero(t, r.Unsent)
				require.Len(t, s.came, 3)
			}
		})
	}
	s := new(service)
	_, err := run(t, s, loadtest.SyncConfig{Conn: s.conn()}, l.Source())
	require.NoError(t, err)
	require.Equal(t, "/2", s.reqs[0].URL.Path, "in order of time")
}

func TestStatsSayWhatALogHolds(t *testing.T) {
	text := common(start, "/1") + "bad\n" + common(start, "/2") + fractional(start.Add(2*time.Second), "/skip") + "worse\n" +
		fractional(start.Add(3*time.Second), "/3") + fractional(start.Add(-time.Second), "/4")
	var seen []string
	c := Config{
		MaxBad: 2, Reorder: -1, OnBad: func(e *loadtest.LineError) { seen = append(seen, e.Text) },
		Keep: func(e *Entry) bool { return e.Target != "/skip" },
		Edit: func(e *Entry, r *loadtest.Request) {
			r.Name = e.Target[:2]
			r.Header.Set("Authorization", "Bearer x")
		},
	}
	l := newLog(t, text, c)
	stats := l.Stats()
	require.Len(t, stats.Faults, 2)
	require.Equal(t, []int{2, 5}, []int{stats.Faults[0].Line, stats.Faults[1].Line})
	require.Equal(t, []string{"bad", "worse"}, seen)
	stats.Faults = nil
	require.True(t, start.Equal(stats.First))
	stats.First = time.Time{}
	require.Equal(t, Stats{Requests: 4, Bad: 2, LeftOut: 1, Late: 1, Duration: 3 * time.Second}, stats)
	require.Equal(t, []time.Duration{0, time.Second / 2, 3 * time.Second, 3 * time.Second}, slices.Collect(l.Schedule().All()))
	require.Equal(t, 3*time.Second, l.Schedule().Duration())
	require.EqualValues(t, 4, l.Schedule().Len())

	s := new(service)
	r, err := run(t, s, loadtest.SyncConfig{Conn: s.conn()}, l.Source())
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Endpoints["/3"].SuccessCount)
	require.Equal(t, "Bearer x", s.reqs[0].Header.Get("Authorization"))
	require.Len(t, seen, 2, "bad lines are reported once")
	require.NoError(t, l.Close(), "there is no file")

	c.Together = true
	require.Equal(t, []time.Duration{0, 0, 3 * time.Second, 3 * time.Second}, slices.Collect(newLog(t, text, c).Schedule().All()))
}

// Nothing is sent of a log with bad lines unless they are allowed, and the error lists them.
func TestBadLinesAreAnErrorUnlessAllowed(t *testing.T) {
	text := strings.Repeat("bad\n", 12) + common(start, "/") + "bad\n"
	_, err := New(strings.NewReader(text), Config{Base: base})
	require.ErrorContains(t, err, "replay: 13 bad lines: set Config.MaxBad to leave them out; the first are\nloadtest: line 1: ")
	lines := faults(t, err)
	require.Len(t, lines, 10)
	require.Equal(t, 10, lines[9].Line)
	_, err = New(strings.NewReader(text), Config{Base: base, MaxBad: 12})
	require.Error(t, err)
	for _, most := range []int64{13, -1} {
		require.EqualValues(t, 13, newLog(t, text, Config{MaxBad: most}).Stats().Bad)
	}
	for _, text := range []string{"", "\n\n", "bad\n"} {
		_, err = New(strings.NewReader(text), Config{Base: base, MaxBad: -1})
		require.ErrorIs(t, err, loadtest.ErrEmptySource, "%q", text)
		require.Len(t, faults(t, err), strings.Count(text, "bad"), "why none is one")
	}
	_, err = New(strings.NewReader(common(time.Time{}, "/")+common(start, "/")), Config{Base: base})
	require.ErrorContains(t, err, "spans more than 292 years")
}

func TestConfigReportsEveryFault(t *testing.T) {
	err := Config{Reorder: -2, MaxBad: -2}.Validate()
	require.ErrorIs(t, err, ErrConfig)
	require.Equal(t, `replay: bad config: Base is empty: set it to the URL of the service under test, such as http://127.0.0.1:8080
replay: bad config: Reorder is -2: must be -1 for none, 0 for 1000, or positive
replay: bad config: MaxBad is -2: must be -1 for any number, or not negative`, err.Error())
	require.ErrorIs(t, Config{Base: "localhost:8080"}.Validate(), loadtest.ErrInvalidRequest)
	require.ErrorContains(t, Config{Base: base + "/?x"}.Validate(), "Base has a query")
	require.NoError(t, Config{Base: base + "/v1/"}.Validate())
	_, err = New(strings.NewReader(""), Config{})
	require.ErrorIs(t, err, ErrConfig)
	for _, err := range Stream(strings.NewReader(""), Config{}) {
		require.ErrorIs(t, err, ErrConfig)
	}
}

func TestOpenReadsAFileOnceMoreInEachRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log.gz")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, common(start, "/1")+common(start.Add(time.Second), "/2?x"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(path, zipped.Bytes(), 0o600))
	l, err := Open(path, Config{Base: base + "/v1/"})
	require.NoError(t, err)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			s := new(service)
			_, err := run(t, s, loadtest.ArrivalConfig{Schedule: l.Schedule(), Conn: s.conn()}, l.Source())
			require.NoError(t, err)
			require.Equal(t, map[string]time.Duration{"/v1/1": 0, "/v1/2?x": time.Second}, s.came)
		})
	}
	require.NoError(t, l.Close())
	s := new(service)
	_, err = run(t, s, loadtest.SyncConfig{Conn: s.conn()}, l.Source())
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = Open(path+".missing", Config{Base: base})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(path, Config{})
	require.ErrorIs(t, err, ErrConfig)
}

// changing is a log that others write to.
type changing struct{ text string }

func (c *changing) ReadAt(p []byte, at int64) (int, error) {
	return strings.NewReader(c.text).ReadAt(p, at)
}

// What is written to a log after it was opened is not of it, and what is cut off is missed.
func TestALogThatChanges(t *testing.T) {
	two := common(start, "/1") + common(start.Add(time.Second), "/2")
	r := &changing{two + `10.0.0.1 - - [26/Nov/2026:20:00:02 +0000] "GET /3 HTTP/1.1" 200 5`}
	l, err := New(r, Config{Base: base})
	require.NoError(t, err)
	r.text += "67\n" + common(start.Add(3*time.Second), "/4")
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		_, err := run(t, s, loadtest.ArrivalConfig{Schedule: l.Schedule(), Conn: s.conn()}, l.Source())
		require.NoError(t, err)
		require.Equal(t, map[string]time.Duration{"/1": 0, "/2": time.Second, "/3": 2 * time.Second}, s.came)
	})
	r.text = two
	s := new(service)
	res, err := run(t, s, loadtest.SyncConfig{Conn: s.conn()}, l.Source())
	require.ErrorIs(t, err, ErrChanged)
	require.EqualValues(t, 2, res.SuccessCount)
	require.EqualValues(t, 1, res.Unsent)
	synctest.Test(t, func(t *testing.T) {
		res, err := run(t, s, loadtest.ArrivalConfig{Schedule: l.Schedule(), Conn: s.conn()}, l.Source())
		require.ErrorIs(t, err, ErrChanged)
		require.EqualValues(t, 2, res.SuccessCount)
		require.EqualValues(t, 1, res.Unsent)
	})
}

func TestAStreamIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		text := common(start, "/1") + "bad\n" + common(start, "/2")
		r, err := run(t, s, loadtest.SyncConfig{Conn: s.conn()}, loadtest.Recorded(Stream(strings.NewReader(text), Config{Base: base, MaxBad: 1})))
		require.NoError(t, err)
		require.EqualValues(t, 2, r.SuccessCount)
		_, err = run(t, s, loadtest.SyncConfig{Conn: s.conn()}, loadtest.Recorded(Stream(strings.NewReader(text), Config{Base: base})))
		require.Equal(t, 2, faults(t, err)[0].Line)
	})
}

// A panic of the user's continues where it came, and leaves nothing behind.
func TestAPanicInAHookContinues(t *testing.T) {
	boom := func() { panic(errTest) }
	require.PanicsWithValue(t, errTest, func() {
		_, _ = New(strings.NewReader(common(start, "/")), Config{Base: base, Keep: func(*Entry) bool { boom(); return true }})
	})
	l := newLog(t, common(start, "/"), Config{Edit: func(*Entry, *loadtest.Request) { boom() }})
	e, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{Schedule: l.Schedule(), Client: loadtest.Func(func(context.Context) error { return nil })})
	require.NoError(t, err)
	defer func() {
		var p *loadtest.PanicError
		require.ErrorAs(t, recover().(error), &p)
		require.Equal(t, errTest, p.Value)
		require.NoError(t, e.Close(t.Context()))
	}()
	_, _ = e.Run(t.Context(), l.Source())
}
