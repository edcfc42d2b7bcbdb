package htmlreport

import (
	"runtime"
	"runtime/debug"
	"strconv"
)

// module is where brunt is found among a program's dependencies.
const module = "example.com/brunt"

// Environment returns what is known of where this process runs: Go version,
// system, CPUs, GOMAXPROCS, and the modules under test. Append to it to say more.
func Environment() []Fact {
	facts := []Fact{
		{"Go", runtime.Version()},
		{"System", runtime.GOOS + "/" + runtime.GOARCH},
		{"CPUs", strconv.Itoa(runtime.NumCPU())},
		{"GOMAXPROCS", strconv.Itoa(runtime.GOMAXPROCS(0))},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		facts = append(facts, buildFacts(info)...)
	}
	return facts
}

func buildFacts(info *debug.BuildInfo) []Fact {
	var facts []Fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	if info.Main.Path != "" {
		add("Module", info.Main.Path+" "+info.Main.Version)
	}
	for _, d := range info.Deps {
		if d.Path == module {
			add("brunt", d.Version)
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			add("Revision", s.Value)
		case "vcs.modified":
			if s.Value == "true" {
				add("Changes", "uncommitted")
			}
		case "-race":
			if s.Value == "true" {
				add("Race detector", "on: latencies are inflated")
			}
		}
	}
	return facts
}
