package resiliencetest

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"example.com/brunt/internal/race"
)

// A cell leaves nothing but garbage, so that collecting it less often saves a fifth of the
// time and costs some megabytes.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	if race.Enabled {
		runtime.GOMAXPROCS(1) // in virtual time little runs at once, and handing it over costs the race detector a third
	}
	os.Exit(m.Run())
}
