package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary be the command, and so all of its processes.
func TestMain(m *testing.M) {
	if os.Getenv("BENCHPEERS_TEST_RUN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestWholeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("three processes and some thousand requests")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.md")
	cmd := exec.CommandContext(t.Context(), self, "-rounds", "2", "-requests", "100", "-c", "2", "-seed", "7", "-md", file)
	cmd.Env = append(os.Environ(), "BENCHPEERS_TEST_RUN=1")
	var out, progress strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, want := range []string{"-seed 7", "Noise:", "2 connections, 100 requests", "| fortio-fast ", "req/s of brunt-async ≥ 1.35 × vegeta"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	if got := progress.String(); !strings.Contains(got, "round 2 of 2") {
		t.Errorf("got progress %q", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != out.String() {
		t.Error("the file and standard output differ")
	}
}

func TestParse(t *testing.T) {
	newFlags := func() *flag.FlagSet {
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		return f
	}
	o, err := parse(newFlags(), []string{"-c", "1, 20", "-only", "vegeta,plain-do"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.concurrencies) != 2 || o.concurrencies[1] != 20 || len(o.only) != 2 {
		t.Errorf("got %+v", o)
	}
	for _, bad := range [][]string{{"-c", "ten"}, {"surplus"}, {"-rounds", "many"}} {
		if _, err := parse(newFlags(), bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if _, err := choose([]string{"nobody"}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got error %v, want one that names the contestant", err)
	}
}
