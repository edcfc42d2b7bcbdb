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

	"example.com/brunt/internal/benchrun/internal/fakebench"
)

func argument(name string) string {
	for _, a := range os.Args {
		if v, ok := strings.CutPrefix(a, "-test."+name+"="); ok {
			return v
		}
	}
	return ""
}

func main() {
	log := os.Getenv(fakebench.Log)
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	dir, err := os.Getwd()
	check(err)
	line, err := json.Marshal(fakebench.Launch{
		PID: os.Getpid(), Dir: dir, PWD: os.Getenv("PWD"), Temp: os.TempDir(),
		Bench: argument("bench"), Time: argument("benchtime"), Procs: argument("cpu"),
	})
	check(err)
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	check(err)
	_, err = f.Write(append(line, '\n'))
	check(err)
	check(f.Close())
	data, err := os.ReadFile(fakebench.File)
	check(err)
	var declared []fakebench.Benchmark
	check(json.Unmarshal(data, &declared))
	var benchmarks []testing.InternalBenchmark
	for _, d := range declared {
		benchmarks = append(benchmarks, testing.InternalBenchmark{Name: "Benchmark" + d.Name, F: func(b *testing.B) { run(b, d) }})
	}
	fmt.Println("pkg: " + fakebench.Pkg)
	//nolint:staticcheck // the way to give package testing a list of benchmarks
	testing.Main(regexp.MatchString, nil, benchmarks, nil)
}

func run(b *testing.B, d fakebench.Benchmark) {
	if d.Subs != nil {
		for _, s := range d.Subs {
			b.Run(s, func(b *testing.B) { run(b, fakebench.Benchmark{Allocs: d.Allocs}) })
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
