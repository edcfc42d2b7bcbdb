package resilience

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where this said yes too often the window would be right all the same, and every
// event would take its mutex.
func TestWindowKnowsItsBucketWithoutTheMutex(t *testing.T) {
	w := window{width: 10}
	for _, c := range []struct {
		bucket, now uint64
		want        bool
	}{
		{0, 0, false},
		{0, 9, false},
		{0, 10, true},
		{3, 29, true},
		{3, 30, false},
		{3, 39, false},
		{3, 40, true},
		{3, 0, true},
		{3, math.MaxUint64, true},
		{math.MaxUint64 / 10, math.MaxUint64, false},
	} {
		require.Equal(t, c.want, w.outside(c.bucket, c.now), "bucket %d at %d", c.bucket, c.now)
	}
}

// Two that find their bucket outside at once begin it one after the other: what was
// recorded between them stays in it.
func TestWindowBucketBeginsOnce(t *testing.T) {
	var w window
	w.open(10, 0)
	require.Equal(t, uint64(1), w.begin(10))
	counted, _ := w.success(12)
	require.True(t, counted)
	require.Equal(t, uint64(1), w.begin(13), "it has begun")
	require.Equal(t, uint64(1), w.begin(9), "a later one has begun")
	require.Zero(t, w.marks[1].successes.Load(), "as it was when the bucket began")
	require.Equal(t, uint64(2), w.begin(20))
	require.Equal(t, uint64(1), w.marks[2].successes.Load())
}

// Failures in a row end with the first success, and no sooner.
func TestWindowSuccessEndsAStreak(t *testing.T) {
	var w window
	w.open(10, 0)
	w.streak.Store(3)
	w.failure(5, false)
	require.Equal(t, uint64(3), w.streak.Load(), "who adds to it is its owner")
	w.success(5)
	require.Zero(t, w.streak.Load())
}

// A window that is opened late has begun the bucket of that time and no other.
func TestWindowOpensInTheBucketOfNow(t *testing.T) {
	var w window
	w.open(10, 57)
	require.Equal(t, uint64(5), w.latest.Load())
	for i := range w.marks {
		bucket := w.marks[i].bucket.Load()
		require.Equal(t, i == 5, bucket != 0, "slot %d", i)
		require.Contains(t, []uint64{0, 6}, bucket)
	}
	require.Equal(t, uint64(5), w.begin(59))
}

// A success asks for a look at the error rate only while a failure is in its window.
func TestWindowSuccessCountsWithRecentFailures(t *testing.T) {
	var w window
	w.open(10, 0)
	success := func(now uint64) bool {
		counted, withFailures := w.success(now)
		require.True(t, counted)
		return withFailures
	}
	require.False(t, success(0), "none has failed")
	require.True(t, w.failure(5, false))
	require.True(t, success(5))
	require.True(t, success(10*windowBuckets-1), "the last bucket of its window")
	require.Equal(t, uint64(1), w.sum(10*windowBuckets-1).failures)
	require.False(t, success(10*windowBuckets), "and the first after it")
	require.Zero(t, w.sum(10*windowBuckets).failures)
}
