package loadtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/pace"
)

// The fields' comments promise these figures.
func TestDefaults(t *testing.T) {
	for workers, e := range map[int]*engine{
		1:      Start(t, SyncConfig{}).(*SyncEngine).engine,
		10:     Start(t, ThreadedConfig{}).(*ThreadedEngine).engine,
		100:    Start(t, AsyncConfig{}).(*AsyncEngine).engine,
		10_000: Start(t, ArrivalConfig{Schedule: pace.Constant(1)}).(*ArrivalEngine).engine,
	} {
		require.Equal(t, workers, e.concurrency)
		require.Equal(t, 30*time.Second, e.timeout)
		if e.open {
			require.Equal(t, time.Second, e.catchUp)
		}
	}
	require.Equal(t, ConnectionConfig{
		Timeout: 30 * time.Second, KeepaliveExpiry: 90 * time.Second, MaxResponseBytes: 64 << 20,
	}, ConnectionConfig{}.withDefaults())
	require.Equal(t, SinkConfig{QueueSize: 16_384, BatchSize: 1024, FlushInterval: time.Second}, SinkConfig{}.withDefaults())
	require.NoError(t, SinkConfig{QueueSize: 16_777_216}.Validate())
	require.ErrorIs(t, SinkConfig{QueueSize: 16_777_217}.Validate(), ErrConfig)
}
