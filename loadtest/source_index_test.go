package loadtest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/race"
)

// weighted is a mix of requests to "http://0", "http://1" and so on.
func weighted(weights ...float64) []Weighted {
	parts := make([]Weighted, len(weights))
	for i, w := range weights {
		parts[i] = Weighted{Weight: w, Request: Get("http://" + strconv.Itoa(i))}
	}
	return parts
}

// After any number of requests each part of a mix has had its share, in all of them
// and in those of one shard of several.
func TestMixGivesEachPartItsShare(t *testing.T) {
	for _, weights := range [][]float64{{1}, {90, 9, 1}, {1, 1}, {math.Pi, math.E, 1e-3}, {math.MaxFloat64, math.MaxFloat64}, {5e-324, 5e-324}, {1, 1e-20}, {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		m, err := newMix(weighted(weights...), newEndpoints(), (*Request).Validate)
		require.NoError(t, err)
		var sum float64
		for _, w := range weights {
			sum += w / weights[0]
		}
		for _, shards := range []int64{1, 3, 7} {
			for shard := range shards {
				count := make([]float64, len(weights))
				dst := make([]item, 1)
				for n := range int64(race.Fewer(20_000)) {
					_, err := m.pick(dst, shard+n*shards)
					require.NoError(t, err)
					k, err := strconv.Atoi(dst[0].req.URL[len("http://"):])
					require.NoError(t, err)
					count[k]++
					if n%97 != 0 {
						continue
					}
					for i, w := range weights {
						require.InDelta(t, float64(n+1)*(w/weights[0])/sum, count[i], 8, "weights %v, shard %d of %d, part %d after %d", weights, shard, shards, i, n+1)
					}
				}
			}
		}
	}
}

// Which request a number is depends on the number alone, however the numbers are
// claimed.
func TestMixIsTheSameHoweverItIsClaimed(t *testing.T) {
	want := take(open(t, Take(1000, Mix(weighted(3, 2, 1)...))), 1, 1)
	require.Len(t, want, 1000)
	for _, batch := range []int{2, 7, 64} {
		require.Equal(t, want, take(open(t, Take(1000, Mix(weighted(3, 2, 1)...))), batch, 1))
	}
}

// The numbers of a source without end begin at 0, and leave none out.
func TestEndlessSourcesBeginAtZero(t *testing.T) {
	var asked []int64
	f := open(t, Pick(func(i int64) *Request { asked = append(asked, i); return Get("http://a") }))
	for _, n := range []int{3, 1, 2} {
		require.Equal(t, n, f.claim(make([]item, n), 10))
	}
	require.Equal(t, []int64{0, 1, 2, 3, 4, 5}, asked)
}

// Each fraction belongs to a part, the largest to the last one.
func TestMixHasAPartForEachNumber(t *testing.T) {
	const largest = 0xe217c1e66c88cc3 // times the golden ratio, modulo 2⁶⁴, is 2⁶⁴ - 1
	m, err := newMix(weighted(1, 2), newEndpoints(), (*Request).Validate)
	require.NoError(t, err)
	dst := make([]item, 2)
	n, err := m.pick(dst, largest)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, "http://1", dst[0].req.URL)
}

func TestMixRefusesWhatIsNoShare(t *testing.T) {
	_, err := Mix().start(newEndpoints(), (*Request).Validate)
	require.ErrorIs(t, err, ErrEmptySource)
	parts := append(weighted(1, 0, -1, math.NaN(), math.Inf(1)), Weighted{Weight: 1})
	_, err = Mix(parts...).start(newEndpoints(), (*Request).Validate)
	require.ErrorIs(t, err, ErrInvalidRequest)
	for _, text := range []string{"part 1 has the weight 0:", "part 2 has the weight -1:", "part 3 has the weight NaN:", "part 4 has the weight +Inf:", "request 5"} {
		require.ErrorContains(t, err, text)
	}
}

// Every number is asked for once, by as many workers as there are.
func TestPickIsAskedForEachNumberOnce(t *testing.T) {
	for _, workers := range []int{1, 8} {
		var asked [10_000]atomic.Int32
		req := &Request{}
		e := newEngine(t, AsyncConfig{MaxConcurrent: workers, Client: Func(nop)})
		r, err := e.Run(t.Context(), Take(int64(len(asked)), Pick(func(i int64) *Request { asked[i].Add(1); return req })))
		require.NoError(t, err)
		closeEngine(t, e)
		require.EqualValues(t, len(asked), r.SuccessCount)
		require.Zero(t, r.Unsent)
		for i := range asked {
			require.EqualValues(t, 1, asked[i].Load(), i)
		}
	}
}

// An invalid request ends the run, and is named; those before it are sent.
func TestPickEndsWithAnInvalidRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, bad := range map[string]*Request{"nil": nil, "a URL without a host": Get("http://")} {
			e := newEngine(t, SyncConfig{Client: answers{}})
			r, err := e.Run(t.Context(), Take(100, Pick(func(i int64) *Request {
				if i == 42 {
					return bad
				}
				return Get("http://h/")
			})))
			require.ErrorIs(t, err, ErrInvalidRequest, name)
			require.ErrorContains(t, err, "request 42")
			require.EqualValues(t, 42, r.Requests, name)
			require.EqualValues(t, 58, r.Unsent, name)
			closeEngine(t, e)
		}
		_, err := Pick(nil).start(newEndpoints(), (*Request).Validate)
		require.ErrorIs(t, err, ErrEmptySource)
	})
}

// answers is a client that answers every valid request at once.
type answers struct{}

func (answers) Session() (Session, error)                      { return answers{}, nil }
func (answers) Close() error                                   { return nil }
func (answers) Do(context.Context, *Request) (Response, error) { return Response{StatusCode: 200}, nil }
func (answers) ValidateRequest(r *Request) error               { return r.Validate() }

// A request is looked through once, and one of the many that are new each time is
// not kept.
func TestKnownRequestsAreValidatedOnce(t *testing.T) {
	var validated int
	k := knownRequests{names: newEndpoints(), validate: func(*Request) error { validated++; return nil }}
	r := &Request{Name: "a"}
	for range 100 {
		it, err := k.item(r)
		require.NoError(t, err)
		require.Equal(t, item{req: r, endpoint: 0}, it)
	}
	require.Equal(t, 1, validated)
	for range 2 * maxKeptRequests {
		_, err := k.item(&Request{Name: "b"})
		require.NoError(t, err)
	}
	kept := 0
	k.items.Range(func(any, any) bool { kept++; return true })
	require.Equal(t, maxKeptRequests, kept)
}

func TestTakeEndsAnySource(t *testing.T) {
	endless := func(yield func(*Request) bool) {
		for yield(Get("http://a")) { // yields for ever
		}
	}
	three := []*Request{Get("http://a"), Get("http://a"), Get("http://a")}
	for name, tt := range map[string]struct {
		src        Source
		sent, size int
	}{
		"pick":                 {Take(10, Pick(func(int64) *Request { return three[0] })), 10, 10},
		"mix":                  {Take(10, Mix(weighted(1, 2)...)), 10, 10},
		"times, which longer":  {Take(10, Times(100, three...)), 10, 10},
		"times, which shorter": {Take(10, Times(3, three...)), 3, 3},
		"seq":                  {Take(10, Seq(endless)), 10, -1},
		"seq, which shorter":   {Take(10, Seq(slices.Values(three))), 3, -1},
		"for":                  {Take(10, For(time.Hour, three...)), 10, -1},
		"take of take":         {Take(100, Take(10, Take(50, Seq(endless)))), 10, -1},
		"until of take":        {Until(time.Hour, Take(10, Mix(weighted(1, 2)...))), 10, -1},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualValues(t, tt.size, open(t, tt.src).size())
			for _, workers := range []int{1, 4} {
				e := newEngine(t, AsyncConfig{MaxConcurrent: workers, Client: Func(nop)})
				r, err := e.Run(t.Context(), tt.src)
				require.NoError(t, err)
				require.EqualValues(t, tt.sent, r.Requests)
				require.Zero(t, r.Unsent)
				closeEngine(t, e)
			}
		})
	}
	for n, want := range map[int64]string{0: "nothing to send", -1: "Take(-1): negative count"} {
		_, err := Take(n, Times(1)).start(newEndpoints(), (*Request).Validate)
		require.ErrorContains(t, err, want)
	}
	_, err := Take(1, Source{}).start(newEndpoints(), (*Request).Validate)
	require.ErrorIs(t, err, ErrEmptySource)
	_, err = Take(1, Times(-1)).start(newEndpoints(), (*Request).Validate)
	require.ErrorContains(t, err, "Times(-1)")
}

// Names may come with any request, from any worker.
func TestPickNamesRequestsOnManyWorkers(t *testing.T) {
	e := newEngine(t, AsyncConfig{MaxConcurrent: 8, Client: Func(nop)})
	defer closeEngine(t, e)
	r, err := e.Run(t.Context(), Take(5000, Pick(func(i int64) *Request { return &Request{Name: fmt.Sprint(i % 50)} })))
	require.NoError(t, err)
	require.Len(t, r.Endpoints, 50)
	for name, ep := range r.Endpoints {
		require.EqualValues(t, 100, ep.Requests, name)
	}
}

// Sources by number cost a request no allocation.
func TestSourcesByNumberAllocateNothing(t *testing.T) {
	one := &Request{Name: "a"}
	for name, src := range map[string]Source{
		"mix":  Mix(Weighted{Weight: 2, Request: one}, Weighted{Weight: 1, Request: &Request{}}),
		"pick": Pick(func(int64) *Request { return one }),
	} {
		f, err := src.start(newEndpoints(), func(*Request) error { return nil })
		require.NoError(t, err)
		dst := make([]item, maxBatch)
		f.claim(dst, 1)
		require.Zero(t, testing.AllocsPerRun(100, func() { f.claim(dst, 1) }), name)
	}
}

// Panics of a pick leave the source to the other workers, and end the run.
func TestPickThatPanics(t *testing.T) {
	e := newEngine(t, AsyncConfig{MaxConcurrent: 4, Client: Func(nop)})
	defer closeEngine(t, e)
	var once sync.Once
	require.Panics(t, func() {
		_, _ = e.Run(t.Context(), Take(1000, Pick(func(i int64) *Request {
			if i == 500 {
				once.Do(func() { panic("boom") })
			}
			return &Request{}
		})))
	})
}

func BenchmarkOverheadMix(b *testing.B) {
	b.ReportAllocs()
	e := Start(b, ThreadedConfig{Client: Func(nop)})
	b.ResetTimer()
	if _, err := e.Run(b.Context(), Take(int64(b.N), Mix(
		Weighted{Weight: 90, Request: &Request{Name: "a"}}, Weighted{Weight: 9, Request: &Request{Name: "b"}}, Weighted{Weight: 1, Request: &Request{Name: "c"}},
	))); err != nil {
		b.Fatal(err)
	}
}
