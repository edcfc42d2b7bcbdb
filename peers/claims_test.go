package peers

import (
	"slices"
	"strings"
	"testing"
)

func TestClaims(t *testing.T) {
	var all []string
	for _, b := range slices.Concat(Bounds([]int{10, 200, 10_000}), InsideBounds([]int{100})) {
		all = append(all, b.String())
	}
	for _, want := range []string{
		"req/CPU s of brunt-wire-async ≥ 1.15 × wrk, 10 connections",
		"req/CPU s of brunt-wire-threaded ≥ 5.00 × hey, 200 connections",
		"req/CPU s of brunt-wire-async ≥ 1.25 × bombardier-fasthttp, 200 connections",
		"req/CPU s of brunt-wire-async ≥ 1.10 × fortio-fast, 200 connections",
		"req/CPU s of brunt-wire-async ≥ 3.80 × vegeta, 10 connections",
		"req/CPU s of brunt-async ≥ 1.45 × hey, 10 connections",
		"CPU/request of brunt-threaded ≤ 1.05 × plain-do, 10 connections",
		"peak RSS of brunt-wire-threaded ≤ 15 MB, 200 connections",
		"connections at once of brunt-wire-async ≥ 10000, 10000 connections",
		"errors of brunt-wire-async ≤ 0, 10000 connections",
		"heap and stacks of brunt-wire-async ≤ 12 KiB a connection, from 100 to 10000 connections",
		"req/s of brunt-wire-async ≥ 1.80 × plain-do, 100 connections",
		"req/s of brunt-wire-threaded ≥ 3.00 × runparallel-get, 100 connections",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("nobody claims %q", want)
		}
	}
	for i, b := range all {
		if slices.Contains(all[:i], b) {
			t.Errorf("%q comes twice", b)
		}
		if strings.Contains(b, "10 connections") && strings.Contains(b, "RSS") {
			t.Errorf("%q is nobody's claim", b)
		}
	}
}

// A bound about somebody who does not exist would never be measured.
func TestClaimsAreAboutContestants(t *testing.T) {
	names := func(all []Contestant) (out []string) {
		for _, c := range all {
			out = append(out, c.Name)
		}
		return out
	}
	for _, tt := range []struct {
		bounds []Bound
		from   []string
	}{{Bounds([]int{10, 200, Scale}), names(All())}, {InsideBounds([]int{10}), names(Inside())}} {
		for _, b := range tt.bounds {
			if !slices.Contains(tt.from, b.Subject) || b.Reference != "" && !slices.Contains(tt.from, b.Reference) {
				t.Errorf("%v: there is no such contestant among %v", b, tt.from)
			}
		}
	}
}

func TestAmong(t *testing.T) {
	all := Bounds([]int{200})
	got := Among(all, []Contestant{{Name: WireAsync}, {Name: Wrk}, {Name: Hey}})
	if len(got) != 3 { // two ratios and the memory
		t.Errorf("got %v", got)
	}
	if len(Among(all, All())) != len(all) {
		t.Error("bounds were dropped though everybody is there")
	}
}

func TestInCPUTime(t *testing.T) {
	all := InsideBounds([]int{10})
	cpu := InCPUTime(append(all, Bound{Quantity: "peak RSS"}))
	if len(cpu) != len(all) {
		t.Fatalf("got %d bounds in CPU time, want %d", len(cpu), len(all))
	}
	if got, want := cpu[0].String(), "req/CPU s of brunt-wire-threaded ≥ 1.80 × plain-roundtrip, 10 connections"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
