//go:build !plan9

package proctest

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEnded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signal 0 is not sent here")
	}
	require.False(t, Ended(os.Getpid()))
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	require.False(t, Ended(cmd.Process.Pid))
	require.NoError(t, cmd.Process.Kill())
	if runtime.GOOS == "linux" {
		require.Eventually(t, func() bool { return Ended(cmd.Process.Pid) }, time.Minute, time.Millisecond, "a zombie")
	}
	require.Error(t, cmd.Wait())
	require.True(t, Ended(cmd.Process.Pid))
}
