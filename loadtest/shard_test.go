package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/pace"
)

// numbered is request number i of those that the sources below send.
func numbered(i int64) *Request { return Get("http://h/" + strconv.FormatInt(i, 10)) }

func numberedSeq(n int64) iter.Seq[*Request] {
	return func(yield func(*Request) bool) {
		for i := range n {
			if !yield(numbered(i)) {
				return
			}
		}
	}
}

// sourcesOf are sources of n numbered requests.
func sourcesOf(t *testing.T, n int64) map[string]Source {
	t.Helper()
	var urls []string
	var reqs []*Request
	for i := range n {
		urls, reqs = append(urls, numbered(i).URL), append(reqs, numbered(i))
	}
	recorded := Recorded(func(yield func(*Request, error) bool) {
		for r := range numberedSeq(n) {
			if !yield(r, nil) {
				return
			}
		}
	})
	template, err := NewTemplate(Get("http://h/${i}"))
	require.NoError(t, err)
	endless := Seq(numberedSeq(math.MaxInt64))
	return map[string]Source{
		"URLs":           URLs(urls...),
		"Times":          Times(int(n), reqs...),
		"Cycle":          Take(n, Cycle(reqs...)),
		"Pick":           Take(n, Pick(numbered)),
		"Template":       Take(n, template.Source(func(i int64, _ string) (string, error) { return strconv.FormatInt(i, 10), nil })),
		"Until":          Until(time.Hour, Take(n, Pick(numbered))),
		"Take of Until":  Take(n, Until(time.Hour, Pick(numbered))),
		"Seq":            Seq(numberedSeq(n)),
		"Take of Seq":    Take(n, endless),
		"Until of Seq":   Until(time.Hour, Take(n, endless)),
		"Recorded":       recorded,
		"Take, Recorded": Take(n, recorded),
		"fewer recorded": Take(n+5, recorded),
	}
}

// The shards of a source, taken together, send what the source does, each request once and
// under its number, however they claim it.
func TestShardsOfASourceAreTheWhole(t *testing.T) {
	const total = 23
	for name, src := range sourcesOf(t, total) {
		for n := 1; n <= 5; n++ {
			for _, batch := range []int{1, 7} {
				seen := make(map[int64]int)
				for i := range n {
					f := open(t, src.Shard(i, n))
					if size := f.size(); size >= 0 && name != "fewer recorded" {
						require.EqualValues(t, (total-i+n-1)/n, size, "%s %d/%d", name, i, n)
					}
					dst := make([]item, batch)
					for k := f.claim(dst, 2); k > 0; k = f.claim(dst, 2) {
						for _, it := range dst[:k] {
							require.Equal(t, numbered(it.number).URL, it.req.URL, "%s %d/%d", name, i, n)
							require.EqualValues(t, i, it.number%int64(n), "%s %d/%d", name, i, n)
							seen[it.number]++
						}
					}
					require.NoError(t, f.fault())
				}
				require.Len(t, seen, total, "%s of %d", name, n)
				for number, times := range seen {
					require.Equal(t, 1, times, "%s of %d: %d", name, n, number)
				}
			}
		}
	}
}

// A shard of a shard is one of the whole, and a limit behind it is the shard's own.
func TestShardsOfShards(t *testing.T) {
	for name, src := range sourcesOf(t, 24) {
		got := take(open(t, src.Shard(1, 2).Shard(2, 3)), 4, 1) // 5, 11, 17, 23
		require.Equal(t, []string{"http://h/5", "http://h/11", "http://h/17", "http://h/23"}, got, name)
		got = take(open(t, Take(2, src.Shard(1, 3))), 4, 1)
		require.Equal(t, []string{"http://h/1", "http://h/4"}, got, name)
		got = take(open(t, Take(2, src.Shard(1, 3)).Shard(1, 2)), 4, 1)
		require.Equal(t, []string{"http://h/4"}, got, name)
	}
	require.EqualValues(t, 3, open(t, Take(math.MaxInt64, Take(10, Pick(numbered)).Shard(1, 3))).size(), "which is more than there are numbers")
}

func TestAShardThatIsNone(t *testing.T) {
	for _, s := range []Shard{{-1, 2}, {2, 2}, {0, 0}} {
		_, err := Times(3).Shard(s.Index, s.Count).start(newEndpoints(), (*Request).Validate)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, fmt.Sprintf("shard %d of %d", s.Index, s.Count))
	}
	_, err := Times(3, numbered(0)).Shard(3, 4).start(newEndpoints(), (*Request).Validate)
	require.ErrorIs(t, err, ErrEmptySource)
	require.ErrorContains(t, err, "no request for shard 3 of 4")
	_, err = Source{}.Shard(0, 2).start(newEndpoints(), (*Request).Validate)
	require.ErrorIs(t, err, ErrEmptySource)
	require.Equal(t, "1/4", Shard{1, 4}.String())
}

// Four shards that begin together and are merged are what one process measures: each count,
// of the whole and by name, and each histogram, bucket by bucket.
func TestShardsMergeToWhatOneProcessMeasures(t *testing.T) {
	work := func(i int64) time.Duration { return time.Duration(1+i*i%97) * time.Millisecond }
	requests := func() Source { // of two names, some of which fail
		return Pick(func(i int64) *Request {
			return Call([]string{"even", "odd"}[i%2], func(context.Context) error {
				time.Sleep(work(i))
				if i%11 == 0 {
					return errors.New("refused")
				}
				return nil
			})
		})
	}
	users := func() Source { // whose pauses are random
		return Pick(func(int64) *Request {
			return Walk("shop", func(_ context.Context, u *User) error {
				for range 1 + u.Number()%3 {
					if err := u.Pause(time.Duration(u.Rand().IntN(50)) * time.Millisecond); err != nil {
						return err
					}
					if _, err := u.Do(Call("step", func(context.Context) error { time.Sleep(work(u.Number())); return nil })); err != nil {
						return err
					}
				}
				if u.Number()%7 == 0 {
					return errors.New("gave up")
				}
				return nil
			})
		})
	}
	open := func(c ArrivalConfig) func() (Engine, error) {
		c.Schedule = pace.Poisson(200, 7).Until(10 * time.Second)
		return c.New
	}
	for name, tt := range map[string]struct {
		engine func() (Engine, error)
		source func() Source
		n      int64
	}{
		"arrivals":             {open(ArrivalConfig{}), requests, -1},
		"arrivals and warm-up": {open(ArrivalConfig{Exclude: Exclude{WarmUp: time.Second, RampDown: time.Second}}), requests, -1},
		"the first excluded":   {open(ArrivalConfig{Exclude: Exclude{WarmUpRequests: 101}}), requests, -1},
		"arrivals of users":    {open(ArrivalConfig{}), users, -1},
		"fewer requests":       {open(ArrivalConfig{}), requests, 777},
		"closed loop":          {ThreadedConfig{MaxWorkers: 3}.New, requests, 1000},
		"users, closed loop":   {AsyncConfig{MaxConcurrent: 5}.New, users, 300},
		"one after the other":  {SyncConfig{Exclude: Exclude{WarmUpRequests: 10}}.New, requests, 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := func(src Source) *EngineResult {
					if tt.n >= 0 {
						src = Take(tt.n, src)
					}
					return src.run(t, tt.engine)
				}
				whole := run(tt.source())
				const n = 4
				parts := make([]*EngineResult, n)
				var shards sync.WaitGroup
				for i := range n {
					shards.Go(func() {
						src := tt.source()
						if tt.n >= 0 {
							src = Take(tt.n, src)
						}
						parts[i] = src.Shard(i, n).run(t, tt.engine)
					})
				}
				shards.Wait()
				merged := readBack(t, parts[0])
				for _, p := range parts[1:] {
					merged.Merge(readBack(t, p))
				}

				require.NotZero(t, whole.Requests)
				require.Equal(t, whole.Counts, merged.Counts)
				require.JSONEq(t, asJSON(t, &whole.Stats), asJSON(t, &merged.Stats))
				require.JSONEq(t, asJSON(t, whole.Endpoints), asJSON(t, merged.Endpoints))
				require.JSONEq(t, asJSON(t, whole.Scenarios), asJSON(t, merged.Scenarios))
				require.Equal(t, whole.begun(), merged.begun(), "what is not counted too")
				require.Equal(t, whole.Unsent, merged.Unsent)
				require.Equal(t, whole.Schedule, merged.Schedule)
				if whole.Schedule != "" {
					require.Equal(t, whole.Elapsed, merged.Elapsed)
				}
				if whole.Schedule != "" && name != "the first excluded" { // from another on in each
					require.Equal(t, bySecond(whole.Intervals), bySecond(merged.Intervals), "second by second")
				}
			})
		})
	}
}

func (s Source) run(t *testing.T, engine func() (Engine, error)) *EngineResult {
	t.Helper()
	e, err := engine()
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(t.Context())) }()
	r, err := e.Run(t.Context(), s)
	require.NoError(t, err)
	return r
}

// readBack returns r as another machine reads it.
func readBack(t *testing.T, r *EngineResult) *EngineResult {
	t.Helper()
	var out EngineResult
	require.NoError(t, json.Unmarshal([]byte(asJSON(t, r)), &out))
	return &out
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// bySecond adds up the counts of the intervals that begin at one time.
func bySecond(ivs []Interval) map[time.Duration]Counts {
	out := make(map[time.Duration]Counts)
	for _, iv := range ivs {
		c := out[iv.From]
		c.add(iv.Counts)
		out[iv.From] = c
	}
	return out
}

// Over sockets, each arrival of the schedule comes to the server once.
func TestEachArrivalOfShardsComesOnce(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]int)
	srv := fixtures.NewServer(t, fixtures.WithHandler("/n/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[strings.TrimPrefix(r.URL.Path, "/n/")]++
	})))
	const n, rate = 3, 500
	var shards sync.WaitGroup
	parts := make([]*EngineResult, n)
	for i := range n {
		shards.Go(func() {
			parts[i] = Pick(func(i int64) *Request { return Get(fmt.Sprint(srv.URL, "/n/", i)) }).Shard(i, n).
				run(t, ArrivalConfig{Schedule: pace.Constant(rate).Until(time.Second)}.New)
		})
	}
	shards.Wait()
	for _, p := range parts[1:] {
		parts[0].Merge(p)
	}
	require.EqualValues(t, rate, parts[0].Scheduled)
	require.EqualValues(t, len(seen), parts[0].Requests)
	for i := range rate {
		if k := strconv.Itoa(i); seen[k] != 1 {
			require.NotZero(t, parts[0].Missed+parts[0].Dropped, "request %d was seen %d times", i, seen[k])
			require.Zero(t, seen[k])
		}
	}
}

// Each row, user number and random number is some shard's.
func TestUsersOfShardsAreThoseOfTheWhole(t *testing.T) {
	var mu sync.Mutex
	collect := func(n int) (got []string) {
		scenario := func(_ context.Context, u *User) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(u.Number(), u.Rand().Uint64()))
			return nil
		}
		for i := range n {
			Users(10, scenario).Shard(i, n).run(t, ThreadedConfig{MaxWorkers: 2}.New)
		}
		slices.Sort(got)
		return got
	}
	require.Len(t, collect(1), 10)
	require.Equal(t, collect(1), collect(3))
}

func TestShardFromEnv(t *testing.T) {
	for _, pair := range os.Environ() { // of a scheduler that runs these tests
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"OMPI_", "PMIX_", "SLURM_", "AWS_BATCH_", "NOMAD_", "JOB_COMPLETION_INDEX", "BRUNT_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "")
			}
		}
	}
	s, err := ShardFromEnv()
	require.NoError(t, err)
	require.Equal(t, Shard{0, 1}, s)
	t.Setenv("BRUNT_SHARD", "2/4")
	s, err = ShardFromEnv()
	require.NoError(t, err)
	require.Equal(t, Shard{2, 4}, s)
	t.Setenv("BRUNT_SHARDS", "5")
	_, err = ShardFromEnv()
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err, "BRUNT_SHARDS is 5")
}
