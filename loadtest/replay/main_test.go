package replay

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/loadtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is the service under test in all tests.
const base = "http://h.test"

// faults returns the line errors in err, in order.
func faults(tb testing.TB, err error) (all []*loadtest.LineError) {
	tb.Helper()
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			all = append(all, faults(tb, err)...)
		}
		return all
	}
	var line *loadtest.LineError
	if errors.As(err, &line) {
		all = append(all, line)
	}
	return all
}

// walkAll returns all entries of a walk.
func walkAll(tb testing.TB, w *walk) (all []*Entry) {
	tb.Helper()
	for {
		e, err := w.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(tb, err)
		all = append(all, e)
	}
}
