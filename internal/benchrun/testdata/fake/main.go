// Command fake is the benchmark binary that benchrun's tests run: real package
// testing around benchmarks that a file in the directory of the process declares,
// so a side of a comparison is a directory and is not compiled. It appends what it
// knows about its own start to a log.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

type fakeBench struct {
	Name      string
	Allocs    float64
	Print     string   // to standard output, in the middle of the line
	Fail      string   // with this message
	Subs      []string // names of sub-benchmarks; the benchmark itself reports nothing then
	Blocks    bool     // until killed, once started is written
	Leaves    bool     // a child process running
	FailAlone bool     // when it is not run together with others
}

// launch is what a process knows about how it was started.
type launch struct {
	PID            int
	Dir, PWD, Temp string
	Bench, Time    string
	Procs          string
}

func argument(name string) string {
	for _, a := range os.Args {
		if v, ok := strings.CutPrefix(a, "-test."+name+"="); ok {
			return v
		}
	}
	return ""
}

func main() {
	log := os.Getenv("BRUNT_FAKE_LOG")
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	dir, err := os.Getwd()
	check(err)
	line, err := json.Marshal(launch{
		os.Getpid(), dir, os.Getenv("PWD"), os.TempDir(),
		argument("bench"), argument("benchtime"), argument("cpu"),
	})
	check(err)
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	check(err)
	_, err = f.Write(append(line, '\n'))
	check(err)
	check(f.Close())
	data, err := os.ReadFile("benchmarks.json")
	check(err)
	var declared []fakeBench
	check(json.Unmarshal(data, &declared))
	var benchmarks []testing.InternalBenchmark
	for _, d := range declared {
		benchmarks = append(benchmarks, testing.InternalBenchmark{Name: "Benchmark" + d.Name, F: d.run})
	}
	fmt.Println("pkg: example.com/fake")
	//nolint:staticcheck // the way to give package testing a list of benchmarks
	testing.Main(regexp.MatchString, nil, benchmarks, nil)
}

func (d fakeBench) run(b *testing.B) {
	if d.Subs != nil {
		for _, s := range d.Subs {
			b.Run(s, func(b *testing.B) { fakeBench{Allocs: d.Allocs}.run(b) })
		}
		return
	}
	if d.Leaves || d.Blocks {
		sleeper := exec.CommandContext(b.Context(), "sleep", "600")
		if d.Leaves {
			// Not ended with the benchmark.
			sleeper = exec.Command("sleep", "600") //nolint:noctx // as said
		}
		if err := sleeper.Start(); err != nil {
			b.Fatal(err)
		}
		// There at once with its content.
		err := os.WriteFile("starting", fmt.Appendf(nil, "%d", sleeper.Process.Pid), 0o600)
		if err = errors.Join(err, os.Rename("starting", "started")); err != nil {
			b.Fatal(err)
		}
	}
	if d.Blocks {
		time.Sleep(time.Hour)
	}
	if d.Fail != "" || (d.FailAlone && argument("bench") != ".") {
		b.Fatal("broken" + d.Fail)
	}
	if d.Print != "" {
		_, _ = io.WriteString(os.Stdout, d.Print)
	}
	b.ReportMetric(100, "ns/op")
	b.ReportMetric(d.Allocs, "allocs/op")
}
