package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"example.com/brunt/peers/internal/commandtest"
)

func TestMain(m *testing.M) { commandtest.Main(m, main) }

// A whole run, with a service so slow that little load is needed; what it finds on a busy
// machine is not looked at, but that every part is there.
func TestWholeRun(t *testing.T) {
	report, progress, err := commandtest.Run(t.Context(), t.TempDir(), "-workers", "2", "-time", "20ms", "-limit", "60ms", "-runs", "1",
		"-trial", "100ms", "-probe", "100ms", "-width", "0.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 workers, service time constant 20ms, queue 200: capacity 100.0/s", "0.99 of the requests within 60ms: up to 100.0/s without end",
		"| search    | alone    |", "| bisection | alone    |", "| search    | neighbor |", "| bisection | neighbor |", "\nbisection, neighbor:",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s\n%s", want, report, progress)
		}
	}
	if n := strings.Count(progress, "\n"); n != 4 {
		t.Errorf("got %d lines of progress, want 4:\n%s", n, progress)
	}
}

func TestBisect(t *testing.T) {
	for _, knee := range []float64{1, 49, 50, 51, 487.3, 99_999} {
		probes := 0
		lo, hi, err := bisect(func(rate float64) (bool, error) {
			probes++
			return rate <= knee, nil
		})
		if err != nil || lo > knee || hi <= knee || hi-lo > 0.01*hi {
			t.Errorf("knee %v: got %v to %v, %v", knee, lo, hi, err)
		}
		if probes > 20 {
			t.Errorf("knee %v: %d probes", knee, probes)
		}
	}
	for _, always := range []bool{true, false} {
		if _, _, err := bisect(func(float64) (bool, error) { return always, nil }); !errors.Is(err, errNone) {
			t.Errorf("always %v: got %v", always, err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := bisect(func(rate float64) (bool, error) { return true, map[bool]error{true: broken}[rate > 100] }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	// One probe that was disturbed decides, as is said of it.
	probes := 0
	lo, _, _ := bisect(func(rate float64) (bool, error) {
		probes++
		return rate <= 500 && probes != 3, nil
	})
	if lo > 200 {
		t.Errorf("got %v though 200 had failed", lo)
	}
}

func TestSumUp(t *testing.T) {
	s := sumUp(100, []found{
		{rate: 98, took: time.Second},
		{rate: 100, took: 3 * time.Second},
		{fault: errNone, took: 9 * time.Second},
		{rate: 90, took: time.Second},
	})
	want := summary{found: 3, median: 98, worst: -0.1, near: 2, spread: 0.1, alike: 1, time: 2 * time.Second, longest: 9 * time.Second}
	s.worst = math.Round(1e6*s.worst) / 1e6
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if s := sumUp(100, nil); s != (summary{}) {
		t.Errorf("got %+v of nothing", s)
	}
}

// The neighbor is busy for about the share of the time that it is told, and ends.
func TestRolesEnd(t *testing.T) {
	var out bytes.Buffer
	if err := (neighborRole{Duty: 0.5, Busy: time.Millisecond}).burn(strings.NewReader(""), &out); err != nil || out.String() != "burning\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	out.Reset()
	if err := (serviceRole{Workers: 1, Mean: time.Millisecond}).serve(strings.NewReader(""), &out); err != nil || !strings.HasPrefix(out.String(), "http://127.0.0.1:") {
		t.Errorf("got %q, %v", out.String(), err)
	}
	if err := (serviceRole{}).serve(strings.NewReader(""), &out); err == nil {
		t.Error("got no error of a service without workers")
	}
}

func TestParse(t *testing.T) {
	parseAll := func(args ...string) (options, error) {
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		return parse(f, args)
	}
	o, err := parseAll()
	if err != nil || len(o.searches) != 2 || len(o.places) != 2 {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err = parseAll("-only", "bisection", "-places", "alone", "-arrivals", "poisson"); err != nil || len(o.searches) != 1 || len(o.places) != 1 || o.objective.Arrivals == 0 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, bad := range [][]string{
		{"-runs", "0"},
		{"-runs", "101"},
		{"-duty", "1"},
		{"-probe", "0s"},
		{"-only", "nobody"},
		{"-places", "elsewhere"},
		{"-arrivals", "none"},
		{"-distribution", "none"},
		{"-workers", "0"},
		{"-limit", "0s"},
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
