package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, src Source) feed {
	t.Helper()
	f, err := src.start(newEndpoints(), (*Request).Validate)
	require.NoError(t, err)
	t.Cleanup(f.close)
	return f
}

// take claims up to n at a time until the feed ends.
func take(f feed, n, share int) []string {
	var urls []string
	dst := make([]item, n)
	for {
		k := f.claim(dst, share)
		if k == 0 {
			return urls
		}
		for _, it := range dst[:k] {
			urls = append(urls, it.req.URL)
		}
	}
}

func TestURLsAreEachSentOnceInOrder(t *testing.T) {
	f := open(t, URLs("http://a", "http://b", "http://c"))
	require.EqualValues(t, 3, f.size())
	require.Equal(t, []string{"http://a", "http://b", "http://c"}, take(f, 64, 1))
}

func TestTimesCycles(t *testing.T) {
	for batch := 1; batch <= 9; batch++ {
		f := open(t, Times(7, Get("http://a"), Get("http://b"), Get("http://c")))
		require.Equal(t, []string{"http://a", "http://b", "http://c", "http://a", "http://b", "http://c", "http://a"}, take(f, batch, 1), "batch %d", batch)
	}
}

func TestTimesHandsOutExactlyItsCountToManyWorkers(t *testing.T) {
	for _, total := range []int{1, 2, 63, 64, 65, 1000, 10007} {
		f := open(t, Times(total, Get("http://a")))
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			sum int
		)
		for range 8 {
			wg.Go(func() { // ends with the feed
				n := len(take(f, maxBatch, 8))
				mu.Lock()
				sum += n
				mu.Unlock()
			})
		}
		wg.Wait()
		require.Equal(t, total, sum)
	}
}

func TestClaimsShrinkTowardsTheEnd(t *testing.T) {
	f := open(t, Times(1000, Get("http://a")))
	dst := make([]item, maxBatch)
	left := 1000
	for left > 0 {
		n := f.claim(dst, 10)
		require.LessOrEqual(t, n, max(1, left/20), "with %d left for 10 workers", left)
		left -= n
	}
}

func TestWhatIsGivenBackIsHandedOutAgain(t *testing.T) {
	f := open(t, Times(10, Get("http://a"), Get("http://b")))
	dst := make([]item, 5)
	require.Equal(t, 5, f.claim(dst, 1))
	f.unclaim(dst[2:5])
	got := take(f, 4, 1)
	require.Len(t, got, 8)
	require.ElementsMatch(t, []string{"http://a", "http://b", "http://a", "http://b", "http://a", "http://b", "http://a", "http://b"}, got)
}

// What is given back near the end of a run is shared by the workers as the rest is, and
// asked for no more once it is gone.
func TestWhatIsGivenBackIsShared(t *testing.T) {
	f := open(t, Times(1000, Get("http://a"))).(*indexFeed)
	dst := make([]item, 100)
	require.Equal(t, 100, f.claim(dst, 1))
	f.unclaim(dst)
	for left := 100; left > 0; {
		n := f.claim(dst, 5)
		require.Equal(t, max(1, left/10), n, "with %d left for 5 workers", left)
		left -= n
	}
	require.False(t, f.hasBack.Load())

	f.hasBack.Store(true) // as another worker has seen it that was quicker
	require.Equal(t, 90, f.claim(dst, 5), "of the 900 that were not claimed")
}

// An open loop asks for numbers: none at the end or later, and none after a fault.
func TestNumbersEnd(t *testing.T) {
	dst := make([]item, 1)
	f := open(t, Times(3, Get("http://a"), Get("http://b")))
	for number, want := range []int{1, 1, 1, 0, 0} {
		require.Equal(t, want, f.at(int64(number), dst), "number %d", number)
	}
	f = open(t, Pick(func(i int64) *Request {
		if i == 2 {
			return nil
		}
		return Get("http://a")
	}))
	for number, want := range []int{1, 1, 0, 0} {
		require.Equal(t, want, f.at(int64(number), dst), "number %d", number)
	}
	require.ErrorIs(t, f.fault(), ErrInvalidRequest)
}

// Whatever a source is made of, Until ends it: no request begins after d, and
// those in flight are finished and no errors.
func TestUntilEndsAnySource(t *testing.T) {
	const took, d = oddly, time.Second
	endless := func(yield func(*Request) bool) {
		for yield(&Request{Name: "a"}) {
		}
	}
	for name, src := range map[string]Source{
		"for itself":     For(d, &Request{Name: "a"}),
		"a longer for":   Until(d, For(time.Hour, &Request{Name: "a"})),
		"a shorter for":  Until(time.Hour, For(d, &Request{Name: "a"})),
		"times":          Until(d, Times(1_000_000, &Request{Name: "a"})),
		"seq":            Until(d, Seq(endless)),
		"until in until": Until(time.Hour, Until(d, Seq(endless))),
	} {
		t.Run(name, func(t *testing.T) {
			forClosedLoops(t, func(t *testing.T, c config) {
				e := newEngine(t, c.make(Func(sleep(took)), 0))
				defer closeEngine(t, e)
				r, err := e.Run(t.Context(), src)
				require.NoError(t, err)
				rounds := (d + took - 1) / took // each began before d
				require.Equal(t, rounds*took, r.Elapsed, "what was in flight at d is finished")
				require.Equal(t, int64(rounds)*int64(c.workers), r.SuccessCount)
				require.Equal(t, r.Requests, r.SuccessCount)
				require.Zero(t, r.Unsent)
			})
		})
	}
}

// What would begin at the very end begins no more.
func TestNothingBeginsAtTheEndOfUntil(t *testing.T) {
	for name, src := range map[string]Source{"until": Until(time.Second, Times(100)), "seq": Until(time.Second, Seq(func(yield func(*Request) bool) {
		for yield(&Request{}) {
		}
	}))} {
		synctest.Test(t, func(t *testing.T) {
			e := newEngine(t, SyncConfig{Client: Func(sleep(100 * time.Millisecond))})
			defer closeEngine(t, e)
			r, err := e.Run(t.Context(), src)
			require.NoError(t, err)
			require.EqualValues(t, 10, r.Requests, name)
			require.Equal(t, time.Second, r.Elapsed, name)
		})
	}
}

func TestUntilLeavesASourceThatEndsFirst(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(oddly)), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Until(time.Hour, Times(1000)))
		require.NoError(t, err)
		require.EqualValues(t, 1000, r.SuccessCount)
		_, err = e.Run(t.Context(), Until(time.Hour, Times(0)))
		require.ErrorIs(t, err, ErrEmptySource)
	})
}

// What an iterator yields after the end is not sent.
func TestUntilDoesNotSendWhatComesTooLate(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Until(time.Second, Seq(func(yield func(*Request) bool) {
			for yield(&Request{}) {
				time.Sleep(400 * time.Millisecond)
			}
		})))
		require.NoError(t, err)
		require.EqualValues(t, 3, r.Requests, "at 0, 0.4 and 0.8 s")
		require.EqualValues(t, 3, r.SuccessCount)
	})
}

// A worker claims several quick requests at once; those that it has left at the
// end of the time are not begun.
func TestABatchEndsWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		e := newEngine(t, SyncConfig{Client: Func(func(context.Context) error {
			if n++; n > 1000 {
				time.Sleep(150 * time.Microsecond) // not so long that the rest is given back
			}
			return nil
		})})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), For(time.Millisecond))
		require.NoError(t, err)
		require.Equal(t, 1050*time.Microsecond, r.Elapsed)
		require.EqualValues(t, 1007, r.Requests)
	})
}

// A sleeping iterator holds up those who wait for their turn, and not the clock
// of a bubble.
func TestSeqMaySleepInABubble(t *testing.T) {
	forEngines(t, func(t *testing.T, c config) {
		e := newEngine(t, c.make(Func(sleep(time.Millisecond)), 0))
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Seq(func(yield func(*Request) bool) {
			for range 20 {
				time.Sleep(10 * time.Millisecond)
				if !yield(&Request{}) {
					return
				}
			}
		}))
		require.NoError(t, err)
		require.EqualValues(t, 20, r.SuccessCount)
		want := 20*10*time.Millisecond + time.Millisecond
		if c.workers == 1 {
			want = 20 * 11 * time.Millisecond
		}
		require.Equal(t, want, r.Elapsed)
	})
}

func TestSeqIsAskedForOneRequestAtATime(t *testing.T) {
	yielded := 0
	f := open(t, Seq(func(yield func(*Request) bool) {
		for i := range 3 {
			yielded++
			if !yield(Get(fmt.Sprintf("http://h/%d", i))) {
				return
			}
		}
	}))
	dst := make([]item, maxBatch)
	require.Equal(t, 1, f.claim(dst, 1))
	require.Equal(t, 1, yielded, "a slow iterator must not hold back what it has yielded")
	require.Equal(t, []string{"http://h/1", "http://h/2"}, take(f, maxBatch, 1))
	require.NoError(t, f.fault())
}

func TestSeqIsStoppedWhenTheRunEndsFirst(t *testing.T) {
	stopped := false
	f, err := Seq(func(yield func(*Request) bool) {
		defer func() { stopped = true }()
		for yield(Get("http://a")) {
		}
	}).start(newEndpoints(), (*Request).Validate)
	require.NoError(t, err)
	require.Equal(t, 1, f.claim(make([]item, 1), 1))
	f.close()
	require.True(t, stopped)
	require.Zero(t, f.claim(make([]item, 1), 1))
}

func TestSeqIsNotCalledAgainAfterAPanic(t *testing.T) {
	f := open(t, Seq(func(func(*Request) bool) { panic("boom") }))
	require.PanicsWithValue(t, "boom", func() { f.claim(make([]item, 1), 1) })
	require.Zero(t, f.claim(make([]item, 1), 1))
}

func TestSeqEndsWithAnErrorAtABadRequest(t *testing.T) {
	for name, bad := range map[string]*Request{"nil": nil, "no host": Get("http:///x")} {
		t.Run(name, func(t *testing.T) {
			f := open(t, Seq(func(yield func(*Request) bool) {
				_ = yield(Get("http://a")) && yield(bad) && yield(Get("http://c"))
			}))
			require.Equal(t, []string{"http://a"}, take(f, 1, 1))
			require.ErrorIs(t, f.fault(), ErrInvalidRequest)
			require.ErrorContains(t, f.fault(), "request 1 of the sequence")
		})
	}
}

func TestSourcesRefuseNonsense(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  Source
		is   error
		text string
	}{
		{"zero value", Source{}, ErrEmptySource, "nothing to send"},
		{"no URLs", URLs(), ErrEmptySource, "nothing to send"},
		{"zero times", Times(0, Get("http://a")), ErrEmptySource, "nothing to send"},
		{"nil sequence", Seq(nil), ErrEmptySource, "nothing to send"},
		{"negative times", Times(-1, Get("http://a")), nil, "Times(-1): negative count"},
		{"no duration", For(0, Get("http://a")), nil, "must be above 0"},
		{"negative duration", For(-time.Second, Get("http://a")), nil, "must be above 0"},
		{"until never", Until(0, Times(1, Get("http://a"))), nil, "Until(0s): the duration must be above 0"},
		{"until, of nothing", Until(time.Second, Source{}), ErrEmptySource, "nothing to send"},
		{"until, of an empty source", Until(time.Second, Times(0)), ErrEmptySource, "nothing to send"},
		{"until, of a bad request", Until(time.Second, URLs("ftp://x")), ErrInvalidRequest, "request 0: "},
		{"bad URL", URLs("http://ok", "ftp://x"), ErrInvalidRequest, "request 1: "},
		{"nil request", Times(3, nil), ErrInvalidRequest, "nil"},
		{"empty request over HTTP", Times(3), ErrInvalidRequest, "empty URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.src.start(newEndpoints(), (*Request).Validate)
			require.ErrorContains(t, err, tt.text)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
		})
	}
}

func TestEveryBadRequestIsReported(t *testing.T) {
	_, err := URLs("http://ok", "x", "http://ok", "http://").start(newEndpoints(), (*Request).Validate)
	require.ErrorContains(t, err, "request 1: ")
	require.ErrorContains(t, err, "request 3: ")
}

func TestEndpointsFoldBeyondTheirBound(t *testing.T) {
	e := newEndpoints()
	require.EqualValues(t, noEndpoint, e.id(endpointName{}))
	for i := range 3 * maxEndpoints {
		e.id(endpointName{name: fmt.Sprint(i)})
	}
	require.Len(t, e.names, maxNames+1)
	require.Equal(t, endpointName{name: foldedEndpoints}, e.names[maxNames])
	require.Equal(t, int32(5), e.id(endpointName{name: "5"}), "known names keep their entry")
	require.Equal(t, int32(maxNames), e.id(endpointName{name: "another"}))
}

func TestRequestValidateReportsEveryFault(t *testing.T) {
	bad := &Request{Method: "GE T", URL: "http://", Header: map[string][]string{"a b": {"v"}, "X": {"a\r\nb"}}}
	err := bad.Validate()
	require.ErrorIs(t, err, ErrInvalidRequest)
	for _, text := range []string{`method "GE T"`, "no host", `header name "a b"`, "header X holds a line break"} {
		require.ErrorContains(t, err, text)
	}
	require.NoError(t, Get("http://127.0.0.1:1/").Validate())
	require.NoError(t, Post("https://h", "text/plain", []byte("x")).Validate())
	require.ErrorIs(t, (*Request)(nil).Validate(), ErrInvalidRequest)
	require.ErrorContains(t, Get("http://h:port/").Validate(), "bad URL")
	require.NotContains(t, Get("http://h:port/").Validate().Error(), "begin it")
	require.ErrorContains(t, Get("127.0.0.1:80/x").Validate(), "bad URL \"127.0.0.1:80/x\": first path segment in URL cannot contain colon; begin it with http:// or https://")
}

var errTest = errors.New("test error")
