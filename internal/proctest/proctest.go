//go:build !plan9

// Package proctest tells tests what became of processes.
package proctest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Ended reports whether the process has ended. A zombie, which nobody has waited
// for, has.
func Ended(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil || process.Signal(syscall.Signal(0)) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
