package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/htmlreport"
	"example.com/brunt/loadtest/shards"
)

// ErrAddress is matched by the error of [Listen] for an address that others than this
// machine could reach.
var ErrAddress = errors.New("live: not a loopback address")

// Listen listens for browsers at addr, of a loopback interface, such as 127.0.0.1:8089 or
// localhost:0; port 0 is one that is free.
func Listen(addr string) (net.Listener, error) {
	if host, _, err := net.SplitHostPort(addr); err != nil || !loopback(host) {
		return nil, fmt.Errorf("%w: %q: use 127.0.0.1:0, or another port than 0", ErrAddress, addr)
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if at := ln.Addr().String(); !loopback(at) { // what is localhost here?
		ln.Close()
		return nil, fmt.Errorf("%w: %q is %s here: use 127.0.0.1:0, or another port than 0", ErrAddress, addr, at)
	}
	return ln, nil
}

// Show returns a function for OnProgress of an engine's configuration, and serves a page
// about the run that it is told of, at addr as [Listen] has it. BRUNT_LIVE in the environment
// has precedence over addr; if both are empty nothing is shown. The page's address is
// logged, and it is there until the test ends. The function follows one run at a time, and
// calls others with each report; it is nil if there is nothing to call.
//
// In one of several shards, with a BRUNT_RESULTS, nothing is served: the function appends
// each report, a line of JSON, to RUN.TEST.I-of-N.progress.jsonl there, for [Watch].
//
// An address that is not of a loopback interface ends the test. One that is taken, or a file
// that cannot be written, does not: the log says so, and the run is not shown.
func Show(tb testing.TB, addr string, others ...func(loadtest.Progress)) func(loadtest.Progress) {
	tb.Helper()
	addr = cmp.Or(os.Getenv("BRUNT_LIVE"), addr)
	// What is wrong with the environment of a shard shards.Run says.
	if c, err := shards.FromEnv(); err == nil && c.Shard.Count > 1 {
		return chain(record(tb, c), others)
	}
	if addr == "" {
		return chain(nil, others)
	}
	ln, err := Listen(addr)
	if errors.Is(err, ErrAddress) {
		tb.Fatal(err)
	}
	if err != nil {
		tb.Logf("%v: the run is not shown; port 0 is one that is free", err)
		return chain(nil, others)
	}
	s := &show{title: tb.Name()}
	h := newHandler(s.view)
	// It says nothing on standard error either.
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) }) // ends with Close, in the cleanup
	tb.Cleanup(func() {
		s.end()
		h.end()
		srv.Close()
		serving.Wait()
	})
	tb.Logf("live: http://%s/", ln.Addr())
	return chain(s.add, others)
}

// chain returns a function that calls first, if it is not nil, and others; nil if there is
// nothing to call.
func chain(first func(loadtest.Progress), others []func(loadtest.Progress)) func(loadtest.Progress) {
	all := slices.DeleteFunc(append([]func(loadtest.Progress){first}, others...), func(f func(loadtest.Progress)) bool { return f == nil })
	if len(all) == 0 {
		return nil
	}
	return func(p loadtest.Progress) {
		for _, f := range all {
			f(p)
		}
	}
}

// show is a run of this process.
type show struct {
	title string

	mu    sync.Mutex // guards the fields below
	clock clock
	track track
	over  bool // the test has ended
}

func (s *show) add(p loadtest.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.track.add(p, s.clock.start(p, time.Now()), mostRows)
}

func (s *show) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *show) view() htmlreport.Live {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.track.quiet = s.over
	l := join([]*track{&s.track})
	l.Title = s.title
	switch p := s.track.last; {
	case p.Done:
		l.State = "done after " + extent(p.Elapsed, 0)
	case s.over:
		l.State = "the test has ended before the run: " + extent(p.Elapsed, p.Planned)
	case s.track.began.IsZero():
		l.State = "waiting for the run to begin"
	default:
		l.State = "running: " + extent(p.Elapsed, p.Planned)
	}
	return l
}
