package replay

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest"
)

var start = time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)

// common is a line in the common log format.
func common(at time.Time, target string) string {
	return fmt.Sprintf("10.0.0.1 - - [%s] \"GET %s HTTP/1.1\" 200 5\n", at.Format(commonLayout), target)
}

// fractional is a JSON line, whose time has a fraction.
func fractional(at time.Time, target string) string {
	return fmt.Sprintf(`{"ts":"%s","method":"GET","path":"%s"}`+"\n", at.Format("2006-01-02T15:04:05.000000000Z07:00"), target)
}

// anyLog returns a log and what its lines are: entries in the order of lines, whose targets
// are their numbers.
func anyLog(rng *rand.Rand) (string, []*Entry) {
	var text strings.Builder
	var entries []*Entry
	at, jitter, blank := start, 1+rng.IntN(5000), rng.IntN(10)
	kind := rng.IntN(3)
	for i := range rng.IntN(80) {
		if rng.IntN(10) < blank/5 {
			text.WriteString("\n")
		}
		at = at.Add(time.Duration(rng.IntN(400)) * time.Millisecond)
		e := &Entry{Time: at.Add(-time.Duration(rng.IntN(jitter)) * time.Millisecond), Method: "GET", Target: fmt.Sprint("/", i)}
		if kind == 0 || kind == 1 && rng.IntN(2) == 0 {
			e.Time, e.whole = e.Time.Truncate(time.Second), true
			text.WriteString(common(e.Time, e.Target))
		} else {
			text.WriteString(fractional(e.Time, e.Target))
		}
		e.Line = strings.Count(text.String(), "\n")
		entries = append(entries, e)
	}
	return text.String(), entries
}

// sorted is what a walk with a window does to entries: the earliest of those that it has
// read is next, and none is due before another that was.
func sorted(entries []*Entry, window int) (out []*Entry, late int64) {
	rest := slices.Clone(entries)
	var latest time.Time
	for len(rest) > 0 {
		first := 0
		for i, e := range rest[:min(len(rest), window+1)] {
			if e.Time.Before(rest[first].Time) {
				first = i
			}
		}
		e := *rest[first]
		rest = slices.Delete(rest, first, first+1)
		if e.due = e.Time; e.due.Before(latest) {
			e.due = latest
			late++
		}
		latest = e.due
		out = append(out, &e)
	}
	return out, late
}

// spread is when sorted entries are due: those of a whole second are spread over it.
func spread(entries []*Entry, together bool) (at []time.Duration) {
	var latest time.Duration
	for i, e := range entries {
		whole := func(o *Entry) bool { return !together && o.whole && o.due.Nanosecond() == 0 && o.due.Equal(e.due) }
		d := e.due.Sub(entries[0].due)
		if whole(e) {
			first, end := i, i
			for first > 0 && whole(entries[first-1]) {
				first--
			}
			for end < len(entries) && whole(entries[end]) {
				end++
			}
			d += time.Duration(i-first) * time.Second / time.Duration(end-first)
		}
		latest = max(latest, d)
		at = append(at, latest)
	}
	return at
}

func TestWalksAreAsTheModelSays(t *testing.T) {
	var lateInAll int64
	for seed := range uint64(700) {
		rng := rand.New(rand.NewPCG(seed, 0))
		text, entries := anyLog(rng)
		c := &Config{Base: base, Reorder: rng.IntN(8) - 1, Together: rng.IntN(3) == 0}
		want, late := sorted(entries, max(c.window(), 0))
		if c.Reorder == 0 {
			require.Zero(t, late, "the default window is longer than the log")
		}
		lateInAll += late
		w := newWalk(strings.NewReader(text), c)
		got := walkAll(t, w)
		require.Len(t, got, len(want), "seed %d", seed)
		for i, e := range got {
			require.Equal(t, want[i].Target, e.Target, "seed %d: entry %d", seed, i)
			require.Equal(t, want[i].Line, e.Line, "seed %d: entry %d", seed, i)
			require.True(t, want[i].Time.Equal(e.Time), "seed %d: entry %d", seed, i)
			require.True(t, want[i].due.Equal(e.due), "seed %d: entry %d", seed, i)
		}
		require.Equal(t, late, w.late, "seed %d", seed)

		var instantsGot []time.Duration
		all := &instants{walk: newWalk(strings.NewReader(text), c), together: c.Together}
		for at, ok := all.next(); ok; at, ok = all.next() {
			instantsGot = append(instantsGot, at)
		}
		require.NoError(t, all.err)
		require.Equal(t, spread(want, c.Together), instantsGot, "seed %d", seed)
		require.True(t, slices.IsSorted(instantsGot))
		_, ok := all.next()
		require.False(t, ok)
	}
	require.Positive(t, lateInAll)
}

// A second is counted while the one before it is handed out, so that no arrival waits until
// all lines of a second have been read.
func TestSecondsAreReadAhead(t *testing.T) {
	const n = 1000
	var text strings.Builder
	for second := range 5 {
		for range n {
			text.WriteString(common(start.Add(time.Duration(second)*time.Second), "/"))
		}
	}
	w := newWalk(strings.NewReader(text.String()), &Config{Base: base, Reorder: -1})
	all := &instants{walk: w}
	all.next()
	for range 5*n - 1 {
		before := w.lines.Number()
		_, ok := all.next()
		require.True(t, ok)
		require.LessOrEqual(t, w.lines.Number()-before, readAhead+1)
	}
	require.Less(t, cap(w.pending), 64, "what has been handed out is forgotten")
}

func TestBadLinesAreReportedByNumber(t *testing.T) {
	text := "\ufeff" + common(start, "/1") + "\r\n" + "bad 3\n" + common(start, "/4") + strings.Repeat("x", maxLogLine+1) + "\n" + common(start, "/6") + "GET //user:S3CRET@h/"
	var bad []*loadtest.LineError
	w := newWalk(strings.NewReader(text), &Config{MaxBad: -1, OnBad: func(e *loadtest.LineError) { bad = append(bad, e) }})
	var lines []int
	for _, e := range walkAll(t, w) {
		lines = append(lines, e.Line)
	}
	require.Equal(t, []int{1, 4, 6}, lines)
	require.EqualValues(t, 3, w.bad)
	require.Len(t, bad, 3)
	require.Equal(t, "loadtest: line 3: no time in brackets, such as [10/Oct/2000:13:55:36 -0700]", bad[0].Error())
	require.Equal(t, "bad 3", bad[0].Text)
	require.Equal(t, "loadtest: line 5: longer than 65536 bytes", bad[1].Error())
	require.Less(t, len(bad[1].Text), 2*maxQuoted)
	require.Equal(t, 7, bad[2].Line, "a line without an end")
	require.Equal(t, "GET //h/", bad[2].Text)

	// As many as are allowed, and one more.
	w = newWalk(strings.NewReader(text), &Config{MaxBad: 2, Reorder: -1})
	for range 3 {
		_, err := w.next()
		require.NoError(t, err)
	}
	_, err := w.next()
	require.Equal(t, 7, faults(t, err)[0].Line)
	_, again := w.next()
	require.Equal(t, err, again)
}

// A long line that fits is read, also when the buffer is filled more than once.
func TestLongLinesAreRead(t *testing.T) {
	longest := maxLogLine - len(common(start, "/"))
	for _, size := range []int{100, longest - 100, longest} {
		line := common(start, "/"+strings.Repeat("x", size))
		e := walkAll(t, newWalk(iotest.HalfReader(strings.NewReader(line+line)), &Config{}))
		require.Len(t, e, 2, "%d", len(line))
		require.Len(t, e[1].Target, size+1)
	}
	_, err := newWalk(strings.NewReader(common(start, "/"+strings.Repeat("x", longest+1))), &Config{}).next()
	require.ErrorContains(t, err, "line 1: longer than 65536 bytes")
}

func TestLinesAreUncompressed(t *testing.T) {
	var zipped bytes.Buffer
	var first int
	for _, target := range []string{"/1", "/2"} { // two members, as logrotate and cat make them
		first = zipped.Len()
		z := gzip.NewWriter(&zipped)
		_, err := io.WriteString(z, common(start, target))
		require.NoError(t, err)
		require.NoError(t, z.Close())
	}
	require.Len(t, walkAll(t, newWalk(bytes.NewReader(zipped.Bytes()), &Config{})), 2)
	for n := 2; n < zipped.Len(); n++ {
		w := newWalk(bytes.NewReader(zipped.Bytes()[:n]), &Config{MaxBad: -1})
		_, err := w.next()
		require.Error(t, errors.Join(err, w.err))
		require.Equal(t, n == first, errors.Is(w.err, io.EOF), "cut off at %d: %v", n, w.err)
	}
}

func TestAReaderThatFailsEndsAWalk(t *testing.T) {
	r := io.MultiReader(strings.NewReader(common(start, "/1")+common(start, "/2")), iotest.ErrReader(errTest))
	w := newWalk(r, &Config{MaxBad: -1})
	_, err := w.next()
	require.ErrorIs(t, err, errTest)
	require.ErrorContains(t, err, "replay: after line 2: ")
	all := &instants{walk: newWalk(io.MultiReader(strings.NewReader(common(start, "/1")), iotest.ErrReader(errTest)), &Config{})}
	at, ok := all.next()
	require.True(t, ok, "one, for which the source says why")
	require.Zero(t, at)
	_, ok = all.next()
	require.False(t, ok)
	require.ErrorIs(t, all.err, errTest)
}

var errTest = errors.New("planted")

// Whatever the text: entries are due in order, each line is an entry, blank or bad, and a
// bad one has its own number.
func FuzzWalk(f *testing.F) {
	f.Add(common(start, "/1")+"\nbad\n"+common(start.Add(-time.Hour), "/2")+fractional(start, "/3"), 1)
	f.Add("\ufeff{}\r\n\n"+fractional(start, "/%"), -1)
	f.Add(common(time.Time{}, "/")+common(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "/"), 0)
	f.Fuzz(func(t *testing.T, text string, window int) {
		lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
		c := &Config{Reorder: max(window, -1), MaxBad: -1}
		c.OnBad = func(e *loadtest.LineError) {
			line := strings.TrimRight(lines[e.Line-1], "\r")
			_, err := new(parser).entry(line)
			require.EqualError(t, err, e.Err.Error())
		}
		if strings.HasPrefix(text, "\x1f\x8b") || len(text) > maxLogLine {
			t.Skip()
		}
		w := newWalk(strings.NewReader(text), c)
		var latest time.Time
		n := int64(0)
		for _, e := range walkAll(t, w) {
			require.False(t, e.due.Before(latest))
			latest = e.due
			want, err := new(parser).entry(strings.TrimRight(lines[e.Line-1], "\r"))
			require.NoError(t, err)
			require.Equal(t, show(want), show(e))
			n++
		}
		for _, line := range lines {
			if strings.TrimRight(line, "\r") == "" {
				n++
			}
		}
		require.EqualValues(t, len(lines), n+w.bad)
		var before time.Duration
		all := &instants{walk: newWalk(strings.NewReader(text), &Config{Reorder: c.Reorder, MaxBad: -1})}
		for at, ok := all.next(); ok; at, ok = all.next() {
			require.GreaterOrEqual(t, at, before)
			before = at
			n--
		}
		require.NoError(t, all.err)
	})
}
