package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"example.com/brunt/peers"
	"example.com/brunt/peers/internal/commandtest"
)

func TestMain(m *testing.M) { commandtest.Main(m, main) }

func TestWholeRun(t *testing.T) {
	t.Setenv("PATH", "")
	report, progress, err := commandtest.Run(t.Context(), t.TempDir(), "-rates", "100", "-duration", "300ms", "-freeze", "100ms", "-rounds", "2",
		"-only", "brunt-arrival,brunt-wire-arrival,k6", "-tools", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"each request came, at 100/s", "30 requests are due", "| brunt-arrival      |       30 |", "| brunt-wire-arrival |       30 |",
		"frozen for 100ms, at 100/s", "| *the freeze* ", "- k6, in 2 of 2 rounds: k6: not installed: no k6 on the PATH",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s\n%s", want, report, progress)
		}
	}
}

func TestParse(t *testing.T) {
	parseAll := func(args ...string) (options, error) {
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		return parse(f, args)
	}
	o, err := parseAll()
	if err != nil || len(o.contestants) != len(peers.Open()) || len(o.rates) != 2 || len(o.experiments) != 2 {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err = parseAll("-only", "vegeta,wrk2", "-experiment", "stall"); err != nil || len(o.contestants) != 2 || len(o.experiments) != 1 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, bad := range [][]string{
		{"-rates", "many"},
		{"-rates", "0"},
		{"-duration", "0s"},
		{"-freeze", "6s"},
		{"-rounds", "0"},
		{"-connections", "0"},
		{"-experiment", "other"},
		{"-only", "nobody"},
		{"surplus"},
	} {
		if _, err := parseAll(bad...); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if _, err := parseAll("-h"); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v for -h", err)
	}
}
