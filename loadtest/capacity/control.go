package capacity

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

const (
	// headroom is by how much the generator must be able to exceed the upper bound.
	headroom = 1.25
	// controlTrials are the most that are made, of which the median decides.
	controlTrials = 3
)

// control checks that the upper bound is the service's: the generator must be able to
// send still more, and more quickly, when what it sends to does nothing. That is how fast
// it is at this time on this machine.
func (d *driver) control(ctx context.Context, hi float64) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	requests, stop, err := d.null(d.http)
	if err != nil {
		return err
	}
	defer stop()
	goals := make([]Goal, len(d.goals))
	for i, g := range d.goals {
		goals[i] = Goal{LossRatio: g.LossRatio, TrialDuration: d.longestTrial(), DurationSum: controlTrials * d.longestTrial()}.withDefaults()
	}
	rate := headroom * hi * max(d.sends, 1) // of requests
	var trials []Trial
	for classify(goals, trials) == undecided {
		began := time.Now()
		r, err := d.run(ctx, order{Rate: rate, Length: d.longestTrial(), MaxInFlight: d.options.inFlight(rate), Null: true, HTTP: d.http}, loadtest.Cycle(requests...))
		if err != nil {
			return err
		}
		t := judge(d.goals, r, false)
		t.Kind, t.Rate, t.Duration, t.Elapsed = TrialControl, rate, d.longestTrial(), time.Since(began)
		if f := limit(r, false); f != nil {
			t.Note = fmt.Sprintf("%s: %s", f.Cause, f.Text)
		}
		d.add(t)
		if r.Requests == r.ErrorCount {
			return &EndError{ErrGenerator, "it could not be checked against a server that does nothing: set Null, for example because Engine.Client does not reach it: " + errorText(r)}
		}
		trials = append(trials, t)
	}
	if classify(goals, trials) == upper {
		last := trials[len(trials)-1]
		return &EndError{ErrGenerator, fmt.Sprintf("the service misses an objective at %s/s, but the generator alone, with nothing to wait for, misses it at %s/s (p99 %v); "+
			"give it more processors, run the service in another process or on another machine, or use loadtest.Wire",
			text.Rate(hi), text.Rate(rate), text.Duration(last.P99))}
	}
	return nil
}

// null returns requests like those of the search, which go over HTTP or not, to something
// that does nothing, and what ends it.
func (d *driver) null(overHTTP bool) (requests []*loadtest.Request, stop func(), err error) {
	stop = func() {}
	if d.options.Null != nil {
		return []*loadtest.Request{d.options.Null}, stop, nil
	}
	conn := d.options.Engine.Conn
	if !overHTTP || conn.Transport != nil || conn.DialContext != nil || virtual(time.Now()) {
		return []*loadtest.Request{loadtest.Call("null", func(context.Context) error { return nil })}, stop, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, stop, fmt.Errorf("capacity: the server for the check of the generator: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})}
	ended := make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		_ = server.Serve(listener) // it was closed
	}()
	stop = func() { server.Close(); <-ended }
	url := "http://" + listener.Addr().String() + "/"
	for _, r := range d.requests {
		if r.URL != "" {
			requests = append(requests, &loadtest.Request{Method: r.Method, URL: url, Header: r.Header, Body: r.Body})
		}
	}
	if len(requests) == 0 {
		requests = append(requests, loadtest.Get(url))
	}
	return requests, stop, nil
}

// virtual reports whether now is the time of a testing/synctest bubble, in which a real
// socket would stop it.
func virtual(now time.Time) bool { return now.Year() < 2009 }
