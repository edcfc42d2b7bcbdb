// Package machine says what numbers depend on besides the code: the processor,
// its load, and the versions of what was built.
package machine

import (
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

// Processor is the CPU's name, where the system has it in the usual file.
func Processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// Load is the load average over the last minute, or empty where there is none.
// It tells a reader whether the machine had other things to do.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// Versions are those of Go and of the given modules, as a program was built with
// them.
func Versions(info *debug.BuildInfo, modules ...string) string {
	out := []string{info.GoVersion}
	for _, m := range info.Deps {
		if slices.Contains(modules, m.Path) {
			out = append(out, m.Path+" "+m.Version)
		}
	}
	return strings.Join(out, ", ")
}
