package main

import (
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/brunt/peers/internal/commandtest"
)

func TestMain(m *testing.M) { commandtest.Main(m, main) }

func TestWholeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds, and dozens of processes")
	}
	dir := t.TempDir()
	report, progress, err := commandtest.Run(t.Context(), dir, "-rounds", "2", "-duration", "200ms", "-connections", "2", "-seed", "7",
		"-cpuprofile", dir, "-tools", dir, "-only", "plain-roundtrip,plain-roundtrip-again,brunt-wire-async,wrk,k6")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-seed 7", "Noise", "The server in another process\n\nfast server over ", "2 connections; medians of 2 rounds", "| wrk ", "| k6 ", "The server in the same process", "| brunt-wire-async ",
		"Those on req/s again", "req/s of brunt-wire-async ≥ 1.80 × plain-roundtrip, 2 connections",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	for _, want := range []string{"2 rounds will take about ", "round 2 of 2"} {
		if !strings.Contains(progress, want) {
			t.Errorf("got progress %q, which lacks %q", progress, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "plain-roundtrip-2.pprof")); err != nil || info.Size() == 0 {
		t.Errorf("got profile %v, %v", info, err)
	}
}

func TestRunRefuses(t *testing.T) {
	tests := []struct {
		reason string
		args   []string
		want   string
	}{
		{"a run too long", []string{"-rounds", "1000"}, "-most"},
		{"more connections than files", []string{"-connections", "100000000"}, "RLIMIT_NOFILE"},
		{"nobody", []string{"-mode", "inside", "-only", "vegeta"}, "no contestant"},
	}
	for _, tt := range tests {
		err := run(append(tt.args, "-tools", ""), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one that says %q", tt.reason, err, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	newFlags := func() *flag.FlagSet {
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		return f
	}
	o, err := parse(newFlags(), []string{"-connections", "1, 20", "-only", "vegeta,plain-do", "-mode", "inside"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.connections, []int{1, 20}) || len(o.only) != 2 || !slices.Equal(o.modes, []string{inside}) {
		t.Errorf("got %+v", o)
	}
	if o, err = parse(newFlags(), []string{"-connections", "10000"}); err != nil || !slices.Equal(o.connections, []int{100, 10_000}) {
		t.Errorf("got %v connections, %v: memory at scale has nothing to compare with", o.connections, err)
	}
	for _, bad := range [][]string{
		{"-connections", "ten"},
		{"-connections", "0"},
		{"surplus"},
		{"-rounds", "many"},
		{"-only", "nobody"},
		{"-mode", "elsewhere"},
		{"-procs", "0"},
		{"-procs", "some"},
		{"-duration", "0s"},
	} {
		if _, err := parse(newFlags(), bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func TestPlace(t *testing.T) {
	cpus := func(n int) func() ([]int, error) {
		return func() ([]int, error) {
			return []int{3, 5, 6, 7}[:n], nil
		}
	}
	broken := func() ([]int, error) { return nil, errors.New("no idea") }
	tests := []struct {
		reason         string
		pin            bool
		procs          string
		cpus           func() ([]int, error)
		server, client []int
		threads        int
		text           string
	}{
		{"two CPUs", true, "", cpus(2), []int{3}, []int{5}, 1, "server bound to CPU 3, clients to CPU 5; GOMAXPROCS 1 in the clients"},
		{"one CPU", true, "1", cpus(1), nil, nil, 1, "nothing bound to CPUs: there is only one; GOMAXPROCS 1 in the clients"},
		{"two of four", true, "2", cpus(4), []int{3}, []int{5, 6}, 2, "server bound to CPU 3, clients to CPUs 5 6; GOMAXPROCS 2 in the clients"},
		{"too many threads", true, "2", cpus(2), []int{3}, nil, 2, "server bound to CPU 3, clients not bound: they have more threads than there are CPUs besides; GOMAXPROCS 2 in the clients"},
		{"no such call", true, "1", broken, nil, nil, 1, "nothing bound to CPUs: no idea; GOMAXPROCS 1 in the clients"},
		{"not asked to", false, "3", cpus(4), nil, nil, 3, "nothing bound to CPUs, as asked; GOMAXPROCS 3 in the clients"},
	}
	for _, tt := range tests {
		p, err := place(tt.pin, tt.procs, tt.cpus)
		if err != nil || !slices.Equal(p.server, tt.server) || !slices.Equal(p.client, tt.client) || p.threads != tt.threads || p.text != tt.text {
			t.Errorf("%s: got %+v, %v", tt.reason, p, err)
		}
	}
	if p, err := place(true, "all", cpus(2)); err != nil || p.threads != p.all || p.all > math.MaxInt16 {
		t.Errorf("got %+v, %v for all", p, err)
	}
}
