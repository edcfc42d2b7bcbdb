package loadtest

import (
	"context"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A counter that add forgets would be missing from totals, and one without a key
// from JSON.
func TestCountsAddsEveryCounter(t *testing.T) {
	var a, b Counts
	va, vb := reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()
	for i := range va.NumField() {
		va.Field(i).SetInt(int64(i + 1))
		vb.Field(i).SetInt(100)
		key := va.Type().Field(i).Tag.Get("json")
		require.Equal(t, strings.ToLower(key), key)
		require.NotEmpty(t, key)
	}
	b.add(a)
	for i := range vb.NumField() {
		require.EqualValues(t, 101+i, vb.Field(i).Int(), vb.Type().Field(i).Name)
	}
}

// Outcomes as they are streamed amount to the result of the same run.
func TestCollectAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		client := Func(func(context.Context) error {
			n++
			time.Sleep(time.Duration(1+n%7) * time.Millisecond)
			if n%5 == 0 {
				return errTest
			}
			return nil
		})
		run := func() (Engine, Source) {
			n = 0
			return newEngine(t, SyncConfig{Client: client}), Times(100, &Request{Name: "a"}, &Request{Name: "b"}, &Request{})
		}
		e, src := run()
		want, err := e.Run(t.Context(), src)
		require.NoError(t, err)
		closeEngine(t, e)
		e, src = run()
		got, err := Collect(Stream(t.Context(), e, src))
		require.NoError(t, err)
		closeEngine(t, e)
		require.Equal(t, want.Elapsed, got.Elapsed)
		require.Equal(t, want.ErrorExamples, got.ErrorExamples)
		whole, err := json.Marshal(&want.Stats)
		require.NoError(t, err)
		same, err := json.Marshal(&got.Stats)
		require.NoError(t, err)
		require.JSONEq(t, string(whole), string(same))
		require.Len(t, got.Endpoints, 2)
		for name, ep := range want.Endpoints {
			require.Equal(t, ep.Counts, got.Endpoints[name].Counts)
			require.Equal(t, ep.P99(), got.Endpoints[name].P99())
		}
	})
}

// The error that ends a stream comes with what was there before.
func TestCollectKeepsTheErrorOfTheStream(t *testing.T) {
	got, err := Collect(func(yield func(RequestResult, error) bool) {
		_ = yield(RequestResult{StatusCode: 200, Latency: time.Millisecond}, nil) && yield(RequestResult{}, errTest)
	})
	require.ErrorIs(t, err, errTest)
	require.EqualValues(t, 1, got.SuccessCount)
}

// slowError is an error whose text takes as long as 300 more requests do.
type slowError struct{ requests *atomic.Int64 }

func (e slowError) Error() string {
	for until := e.requests.Load() + 300; e.requests.Load() < until; {
		time.Sleep(time.Microsecond)
	}
	return "told"
}

// The text of a user's error is asked for outside the locks of the recorder: other
// workers go on meanwhile.
func TestAnErrorThatTakesItsTimeDelaysNoOtherWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // all workers share a shard
		var n atomic.Int64
		client := Func(func(context.Context) error {
			if n.Add(1) == 1 {
				return slowError{&n}
			}
			time.Sleep(time.Microsecond)
			return nil
		})
		e := newEngine(t, AsyncConfig{MaxConcurrent: 2, Client: client})
		defer closeEngine(t, e)
		r, err := e.Run(t.Context(), Times(20_000))
		require.NoError(t, err)
		require.Equal(t, map[ErrorClass]string{ClassOther: "told"}, r.ErrorExamples)
	})
}
