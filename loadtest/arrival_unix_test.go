//go:build unix

package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// TestOpenLoopUntilStopped is what TestAStoppedProcessMissesArrivals runs in a process of
// its own.
func TestOpenLoopUntilStopped(t *testing.T) {
	if os.Getenv("BRUNT_STOPPED") == "" {
		t.Skip("a helper of another test")
	}
	first := true
	e := Start(t, ArrivalConfig{Schedule: pace.Constant(200).Until(2 * time.Second), MaxCatchUp: 100 * time.Millisecond, Client: Func(func(context.Context) error {
		if first {
			first = false
			fmt.Println("begun")
		}
		return nil
	}), MaxInFlight: 1})
	r, err := e.Run(t.Context(), Cycle())
	require.NoError(t, err)
	line, err := json.Marshal(r.Counts)
	require.NoError(t, err)
	fmt.Printf("counts %s\n", line)
}

// A generator that does not run for a while sends at once only what is due for less than
// MaxCatchUp when it is back, and counts the rest.
func TestAStoppedProcessMissesArrivals(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestOpenLoopUntilStopped$")
	cmd.Env = append(os.Environ(), "BRUNT_STOPPED=1", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // nothing races after it
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var c Counts
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch what, rest, _ := strings.Cut(lines.Text(), " "); what {
		case "begun":
			require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
			time.Sleep(time.Second) // what the process misses: nothing waits for it
			require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
		case "counts":
			require.NoError(t, json.Unmarshal([]byte(rest), &c))
		}
	}
	require.NoError(t, cmd.Wait())
	require.EqualValues(t, 400, c.Scheduled)
	require.Equal(t, c.Scheduled, c.Requests+c.Missed+c.Dropped, "none is canceled")
	require.GreaterOrEqual(t, c.Missed, int64(150), "what was due for more than 100 ms of the second")
	require.Positive(t, c.Requests)
}
