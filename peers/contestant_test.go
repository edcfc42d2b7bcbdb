package peers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/brunt/peers"
	"example.com/brunt/peers/rival/fortio"
	"example.com/brunt/peers/rival/vegeta"
	"example.com/brunt/peers/target"
)

// inProcess runs test for the contestants that can run in this process.
func inProcess(t *testing.T, test func(t *testing.T, c peers.Contestant)) {
	t.Helper()
	for _, c := range slices.Concat(peers.All(), vegeta.Contestants(), fortio.Contestants()) {
		if c.Run != nil {
			t.Run(c.Name, func(t *testing.T) { test(t, c) })
		}
	}
}

// serve starts a server in this process and closes it when the test has ended.
func serve(t *testing.T) *target.Server {
	t.Helper()
	s, err := target.Start(target.Plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// patiently runs test with longer and longer durations until it says that it has
// seen enough: a busy machine may leave little to see in a short one.
func patiently(t *testing.T, test func(d time.Duration) (enough bool)) {
	t.Helper()
	for d := 20 * time.Millisecond; !test(d); d *= 8 {
		if d > 10*time.Second {
			t.Fatalf("it has done next to nothing in %v", d)
		}
	}
}

// serverConnections end a moment after the client's.
var serverConnections = goleak.IgnoreAnyFunction("example.com/brunt/peers/target.(*plainServer).talk")

func TestContestantsDoTheWork(t *testing.T) {
	inProcess(t, func(t *testing.T, c peers.Contestant) {
		for _, n := range []int{1, 10} {
			patiently(t, func(d time.Duration) bool {
				s := serve(t)
				before := goleak.IgnoreCurrent() // the server
				out, err := c.Run(t.Context(), peers.Work{URL: s.URL, Connections: n, Duration: d, Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				slack := int64(0)
				if c.Loose {
					slack = int64(n)
				}
				if missing := s.Hits() - int64(out.Succeeded); out.Failed != 0 || missing < 0 || missing > slack {
					t.Errorf("%d connections: it says %+v, and the server has counted %d hits", n, out, s.Hits())
				}
				if out.Elapsed < d/2 {
					t.Errorf("it says that it took %v of %v", out.Elapsed, d)
				}
				goleak.VerifyNone(t, before, serverConnections)
				return out.Succeeded >= n
			})
		}
	})
}

func TestContestantsStop(t *testing.T) {
	inProcess(t, func(t *testing.T, c peers.Contestant) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := serve(t)
		time.AfterFunc(20*time.Millisecond, func() { cancel(errors.New("enough")) })
		if _, err := c.Run(ctx, peers.Work{URL: s.URL, Connections: 3, Duration: time.Hour, Threads: 1}); err == nil {
			t.Error("got no error from a run that was cut short")
		}
	})
}

// Bad statuses are an error or failures, and never success.
func TestContestantsSayThatTheyFailed(t *testing.T) {
	inProcess(t, func(t *testing.T, c peers.Contestant) {
		s := serve(t)
		out, err := c.Run(t.Context(), peers.Work{URL: s.URL + "nowhere", Connections: 2, Duration: 20 * time.Millisecond, Threads: 1})
		if out.Succeeded != 0 || err == nil && out.Failed == 0 {
			t.Errorf("got %+v, %v though the server has nothing at that path", out, err)
		}
	})
}

// Every contestant that is installed, in processes of their own. Tools are
// not fetched for it.
func TestBench(t *testing.T) {
	p, err := target.Spawn(t.Context(), target.Fast)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := peers.Bench{URL: p.URL, Threads: 1, Tools: t.TempDir()}
	own := slices.DeleteFunc(peers.All(), func(c peers.Contestant) bool { return c.Tool == nil || c.Tool.Own == "" })
	if failed, err := peers.Install(t.Context(), own, b.Tools); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	for _, c := range peers.All() {
		if c.Name == peers.WrkAgain || c.Name == peers.PlainAgain {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			var m peers.Measurement
			patiently(t, func(d time.Duration) bool {
				b.Duration = d
				var err error
				m, err = b.Measure(t.Context(), c, 2)
				if errors.Is(err, peers.ErrNotInstalled) {
					if b.Takes(c) != 0 {
						t.Errorf("it would take %v", b.Takes(c))
					}
					t.Skip(err)
				}
				if err != nil && (!errors.Is(err, peers.ErrWork) || m.Succeeded > 0) {
					t.Fatal(err)
				}
				return m.Succeeded > 0 && (m.Open >= 2 || c.Name == peers.PlainGet)
			})
			if m.Failed != 0 || m.CPU <= 0 || m.Elapsed <= 0 || m.Lifetime < b.Duration {
				t.Errorf("got %+v", m)
			}
			if (c.Run != nil || c.Tool.Own != "") && (m.Memory == 0 || m.Allocs == 0) {
				t.Errorf("got %+v, without memory", m)
			}
		})
	}
}

func TestBenchInside(t *testing.T) {
	b := peers.Bench{Threads: 2, Profiles: t.TempDir()}
	for _, c := range peers.Inside() {
		if c.Name != peers.BruntThreaded && c.Name != peers.PlainGet {
			continue
		}
		patiently(t, func(d time.Duration) bool {
			b.Duration = d
			m, err := b.Measure(t.Context(), c, 3)
			if err != nil && (!errors.Is(err, peers.ErrWork) || m.Succeeded > 0) {
				t.Fatal(err)
			}
			if m.ServerCPU != 0 || m.CPU <= 0 {
				t.Errorf("%s: got %+v", c.Name, m)
			}
			return m.Succeeded > 0 && m.Open >= 2
		})
	}
}

func TestBenchSaysWhy(t *testing.T) {
	b := peers.Bench{URL: serve(t).URL, Threads: 1, Duration: 10 * time.Millisecond}
	script := func(text string) peers.Contestant {
		return peers.Contestant{Name: "script", Tool: &peers.Tool{
			Program: "sh",
			Args:    func(peers.Work) []string { return nil },
			Stdin:   text,
			Parse: func(stdout []byte) (out peers.Outcome, err error) {
				_, err = fmt.Sscan(string(stdout), &out.Succeeded)
				return out, err
			},
		}}
	}
	tests := []struct {
		reason string
		c      peers.Contestant
		want   error
	}{
		{"it invents requests", script("echo 5"), peers.ErrWork},
		{"it did nothing", script("echo 0"), peers.ErrWork},
		{"it fails", script("exit 3"), nil},
		{"it says nothing", script(""), nil},
		{"it is unknown", peers.Contestant{Name: "nobody"}, nil},
	}
	for _, tt := range tests {
		_, err := b.Measure(t.Context(), tt.c, 1)
		if errors.Is(err, peers.ErrNotInstalled) {
			t.Skip(err) // no shell
		}
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want one that matches %v", tt.reason, err, tt.want)
		}
	}
}
