package peers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The outputs in testdata are what the tools printed, but for k6's, which is made
// after its documentation.
func TestParseOutputs(t *testing.T) {
	tests := []struct {
		file  string
		parse func([]byte) (Outcome, error)
		want  Outcome
	}{
		{"wrk.txt", parseWrk, Outcome{Succeeded: 112744, Elapsed: 1004 * time.Millisecond}},
		{"wrk-errors.txt", parseWrk, Outcome{Failed: 70942, Elapsed: 1099 * time.Millisecond}},
		{"wrk-sockets.txt", parseWrk, Outcome{Failed: 9780}},
		{"hey.txt", parseHey, Outcome{Succeeded: 18520, Elapsed: 502 * time.Millisecond, Latency: Latency{
			P50: 300 * time.Microsecond, P90: 400 * time.Microsecond, P99: 700 * time.Microsecond, Max: 4600 * time.Microsecond,
		}}},
		{"hey-errors.txt", parseHey, Outcome{Failed: 3498, Elapsed: 202 * time.Millisecond}},
		{"bombardier.json", parseBombardier, Outcome{Succeeded: 79476, Elapsed: 1000 * time.Millisecond}},
		{"bombardier-errors.json", parseBombardier, Outcome{Failed: 37820, Elapsed: 1000 * time.Millisecond}},
		{"bombardier-latencies.json", parseBombardier, Outcome{Succeeded: 202, Elapsed: 1001 * time.Millisecond, Latency: Latency{
			P50: 276 * time.Microsecond, P90: 745 * time.Microsecond, P99: 31142 * time.Microsecond, Max: 40440 * time.Microsecond,
		}}},
		{"wrk2.txt", parseWrk2, Outcome{Succeeded: 401, Elapsed: 2007 * time.Millisecond, Latency: Latency{
			P50: 1310 * time.Microsecond, P90: 22620 * time.Microsecond, P99: 58880 * time.Microsecond, P999: 59100 * time.Microsecond, Max: 59100 * time.Microsecond,
		}}},
		{"h2load.txt", parseH2load, Outcome{Succeeded: 20, Elapsed: 1050 * time.Millisecond, Latency: Latency{
			P50: 395 * time.Microsecond, P90: 471 * time.Microsecond, P99: 485 * time.Microsecond, P999: 485 * time.Microsecond, Max: 485 * time.Microsecond,
		}}},
		{"k6-rate.json", parseK6, Outcome{Succeeded: 9100, Elapsed: 10 * time.Second, Unsent: 901, Latency: Latency{
			P50: 200 * time.Microsecond, P90: 340 * time.Microsecond, P99: 913 * time.Millisecond, P999: 990500 * time.Microsecond, Max: 1001 * time.Millisecond,
		}}},
		{"k6.json", parseK6, Outcome{Succeeded: 12000, Failed: 15, Elapsed: 1001 * time.Millisecond}},
	}
	for _, tt := range tests {
		text, err := os.ReadFile(filepath.Join("testdata", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := tt.parse(text)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
		}
		if got.Elapsed = got.Elapsed.Round(time.Millisecond); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.file, got, tt.want)
		}
		for _, bad := range [][]byte{nil, []byte("{}"), text[:len(text)/8]} {
			if out, err := tt.parse(bad); err == nil {
				t.Errorf("%s: got %+v and no error from %q", tt.file, out, bad)
			}
		}
	}
}

func TestArgs(t *testing.T) {
	w := Work{URL: "http://a/", Connections: 100, Duration: 2 * time.Second, Threads: 2}
	for tool, want := range map[*Tool]string{
		&wrk:            "-t2 -c100 -d2s --timeout 30s http://a/",
		&hey:            "-c 100 -z 2s -cpus 2 -t 30 -disable-compression http://a/",
		&bombardierFast: "--fasthttp -c 100 -d 2s -t 30s -p r -o json http://a/",
		&k6:             "run --quiet --no-usage-report --vus 100 --duration 2s --env TARGET=http://a/ -",
	} {
		if got := strings.Join(tool.Args(w), " "); got != want {
			t.Errorf("%s: got %q, want %q", tool.Program, got, want)
		}
	}
	w.Rate = 1500
	for tool, want := range map[*Tool]string{
		&wrk2:           "-R1500 --latency -t2 -c100 -d2s --timeout 30s http://a/",
		&h2load:         "--h1 -c 100 -t 1 -D 2 --rps 15 --log-file /dev/stdout http://a/",
		&hey:            "-q 15 -c 100 -z 2s -cpus 2 -t 30 -disable-compression http://a/",
		&bombardierFast: "--fasthttp -c 100 -d 2s -t 30s -p r -o json http://a/ --rate 1500 --latencies",
		&k6:             "run --quiet --no-usage-report --env RATE=1500 --env VUS=100 --env DURATION=2s --env TARGET=http://a/ -",
	} {
		if got := strings.Join(tool.Args(w), " "); got != want {
			t.Errorf("%s: got %q, want %q", tool.Program, got, want)
		}
	}
	w.Connections = 1
	if got := wrk.Args(w)[0]; got != "-t1" {
		t.Errorf("got %s for one connection: wrk refuses more threads than connections", got)
	}
}

func TestDurationsAreRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, time.Second: time.Second, 1500 * time.Millisecond: 2 * time.Second,
	} {
		if got := wrk.duration(d); got != want {
			t.Errorf("got %v for %v, want %v", got, d, want)
		}
		if got := hey.duration(d); got != d {
			t.Errorf("got %v for %v from a tool that takes any", got, d)
		}
	}
}

func TestFind(t *testing.T) {
	t.Setenv("PATH", "")
	dir := t.TempDir()
	tool := &Tool{Program: "generator"}
	if _, err := tool.find(dir); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("got error %v, want %v", err, ErrNotInstalled)
	}
	if err := os.WriteFile(filepath.Join(dir, "generator"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := tool.find(dir); err != nil || !filepath.IsAbs(path) {
		t.Errorf("got %q, %v", path, err)
	}
	if _, err := tool.find(""); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("got error %v without the directory, want %v", err, ErrNotInstalled)
	}
}

func TestInstallSaysWhatItCannotHave(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	absent := &Tool{Program: "absent", Module: "example.invalid/absent", Version: "v1.0.0"}
	failed, err := Install(t.Context(), []Contestant{{Name: "go"}, {Name: "c", Tool: &Tool{Program: "c"}}, {Name: "absent", Tool: absent}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if why := failed["absent"]; len(failed) != 1 || !errors.Is(why, ErrNotInstalled) || !strings.Contains(why.Error(), "go install example.invalid/absent@v1.0.0") {
		t.Errorf("got %v", failed)
	}
	if failed, err := Install(t.Context(), []Contestant{{Name: "absent", Tool: absent}}, ""); err != nil || len(failed) > 0 {
		t.Errorf("got %v, %v though nothing was to be installed", failed, err)
	}
}
