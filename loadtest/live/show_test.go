package live

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/internal/faketb"
	"example.com/brunt/loadtest"
)

func TestOnlyLoopbackAddressesAreServed(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "10.1.2.3:80", "example.test:80", "8089", "127.0.0.1", "localhost", "127.0.0.1.example.test:0", "//127.0.0.1:0"} {
		ln, err := Listen(addr)
		require.ErrorIs(t, err, ErrAddress, addr)
		require.ErrorContains(t, err, addr)
		require.ErrorContains(t, err, "use 127.0.0.1:0")
		require.Nil(t, ln)
		tb := faketb.Run(t, func(tb *faketb.TB) { Show(tb, addr) })
		require.Len(t, tb.Fatals(), 1)
		require.Contains(t, tb.Fatals()[0], "not a loopback address")
		require.Empty(t, tb.Logs())
		require.Zero(t, tb.Cleanups())
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0"} {
		ln, err := Listen(addr)
		require.NoError(t, err, addr)
		require.NoError(t, ln.Close())
	}
	for _, addr := range []string{"127.0.0.1:99999", "127.0.0.2:99999"} { // Linux alone has the latter
		_, err := Listen(addr)
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrAddress)
	}
}

// Without an address there is nothing, not even a report to take.
func TestOffByDefault(t *testing.T) {
	t.Setenv("BRUNT_LIVE", "")
	tb := new(faketb.TB)
	require.Nil(t, Show(tb, ""))
	called := 0
	Show(tb, "", func(loadtest.Progress) { called++ })(second(1, 1))
	require.Equal(t, 1, called)
	require.Empty(t, tb.Logs())
	require.Zero(t, tb.Cleanups())
}

func TestTheEnvironmentSaysWhere(t *testing.T) {
	t.Setenv("BRUNT_LIVE", "127.0.0.1:0")
	for _, addr := range []string{"", "0.0.0.0:1"} {
		tb := new(faketb.TB)
		require.NotNil(t, Show(tb, addr))
		require.True(t, strings.HasPrefix(shownAt(t, tb), "http://127.0.0.1:"))
		tb.End()
	}
	t.Setenv("BRUNT_LIVE", ":8089")
	require.Contains(t, faketb.Run(t, func(tb *faketb.TB) { Show(tb, "127.0.0.1:0") }).Text(), `":8089"`)
}

// A port that is taken costs the view, not the run.
func TestATakenPortIsLogged(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	tb := new(faketb.TB)
	called := 0
	Show(tb, ln.Addr().String(), func(loadtest.Progress) { called++ })(second(1, 1))
	require.Equal(t, 1, called)
	require.Len(t, tb.Logs(), 1)
	require.Contains(t, tb.Logs()[0], "the run is not shown")
	require.Zero(t, tb.Cleanups())
}

// What a benchmark prints must not be torn: the test's log is all that is written to,
// whatever browsers do.
func TestNothingIsPrinted(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = file, file
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	tb := new(faketb.TB)
	f := Show(tb, "127.0.0.1:0")
	f(second(1, 1))
	conn := dial(t, tb)
	_, err = io.WriteString(conn, "nonsense\r\n\r\n")
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	tb.End()
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Empty(t, string(text))
	require.Len(t, tb.Logs(), 1)
	_, err = new(net.Dialer).DialContext(t.Context(), "tcp", conn.RemoteAddr().String())
	require.Error(t, err, "it ends with the test")
}

// Each state of a run is said in words.
func TestStates(t *testing.T) {
	s := &show{title: "x"}
	require.Equal(t, "waiting for the run to begin", s.view().State)
	s.add(second(3, 1))
	require.Equal(t, "running: 3s of 1m0s", s.view().State)
	unplanned := second(4, 1)
	unplanned.Planned = 0
	s.add(unplanned)
	require.Equal(t, "running: 4s", s.view().State)
	done := second(5, 1)
	done.Done = true
	s.add(done)
	require.Equal(t, "done after 5s", s.view().State)
	s.add(second(1, 1))
	s.end()
	require.Equal(t, "the test has ended before the run: 1s of 1m0s", s.view().State)
	require.Empty(t, s.view().Last)
}
