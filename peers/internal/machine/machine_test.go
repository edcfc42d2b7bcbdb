package machine

import (
	"runtime/debug"
	"testing"
)

func TestVersions(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1", Deps: []*debug.Module{{Path: "a", Version: "v1"}, {Path: "b", Version: "v2"}, {Path: "c", Version: "v3"}}}
	if got := Versions(info, "c", "a", "absent"); got != "go1, a v1, c v3" {
		t.Errorf("got %q", got)
	}
}
