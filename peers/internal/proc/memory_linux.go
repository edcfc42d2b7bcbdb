package proc

import (
	"fmt"
	"os"
	"strings"
)

// PeakRSS is the most physical memory that a running process has held so far, in
// bytes. The maximum that getrusage tells is not it: that takes over the peak of
// the process which started it.
func PeakRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("proc: peak memory: %w", err)
	}
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); !ok || err != nil {
		return 0, fmt.Errorf("proc: peak memory: process %d has none", pid)
	}
	return kib << 10, nil
}
