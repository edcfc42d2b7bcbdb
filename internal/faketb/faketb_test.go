package faketb

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A test that fails goes as testing has it, and the one that runs it does not fail.
func TestRun(t *testing.T) {
	var order []string
	tb := Run(t, func(tb *TB) {
		require.Equal(t, "TestFake", tb.Name())
		tb.Cleanup(func() { order = append(order, "first") })
		tb.Cleanup(func() {
			require.Error(t, tb.Context().Err(), "it ends before the cleanups")
			order = append(order, "last")
			tb.Cleanup(func() { order = append(order, "late") })
		})
		require.NoError(t, tb.Context().Err())
		require.False(t, tb.Failed())
		require.False(t, tb.FailedNow())
		tb.Helper()
		tb.Log("a ", 1)
		tb.Logf("b %d", 2)
		tb.Error("c ", 3)
		tb.Errorf("d %d", 4)
		require.True(t, tb.Failed())
		tb.Fatalf("e %d", 5)
		t.Error("it goes on")
	})
	require.Equal(t, []string{"last", "late", "first"}, order)
	require.Equal(t, 3, tb.Cleanups())
	require.Equal(t, []string{"a 1", "b 2"}, tb.Logs())
	require.Equal(t, []string{"c 3", "d 4", "e 5"}, tb.Errors())
	require.Equal(t, []string{"e 5"}, tb.Fatals())
	require.True(t, tb.FailedNow())
	require.Equal(t, "a 1\nb 2\nc 3\nd 4\ne 5", tb.Text())

	tb = Run(nil, func(tb *TB) {
		tb.TestName = "TestOther"
		require.Equal(t, "TestOther", tb.Name())
		tb.Skipf("no %s", "luck")
		t.Error("it goes on")
	})
	require.Equal(t, []string{"no luck"}, tb.Skips())
	require.False(t, tb.Failed())
	require.False(t, tb.FailedNow())
	tb = Run(t, func(tb *TB) { tb.FailNow() })
	require.True(t, tb.Failed())
	require.True(t, tb.FailedNow())
	require.Empty(t, tb.Errors(), "without words")
	require.DirExists(t, Run(t, func(*TB) {}).TempDir(), "t is asked")
}
