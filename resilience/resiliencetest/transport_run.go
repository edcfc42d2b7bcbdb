package resiliencetest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// cellLimit is how long, in real time, a cell may take before it counts as hung. It takes
// milliseconds, and a storm some hundred of them.
const cellLimit = time.Minute

// A storm is of so many calls at once, or of steadyCalls one after another.
const (
	stormClients = 100
	steadyCalls  = 500
)

// observation is all that was seen in a cell.
type observation struct {
	Cell       // without its verdict
	calls      []*call
	next       *call // made right after, when all is well, or a minute after that, if it failed
	leaked     bool  // Authorization has come to another host
	goroutines []string
}

// runCell runs a cell in a bubble of its own.
func runCell(t *testing.T, c cell, cfg transportConfig, wrap wrapFunc) Cell {
	t.Helper()
	var o *observation
	res := run(t, property[wrapFunc]{name: c.name(), check: func(ch *checker, wrap wrapFunc) {
		o = observe(ch, c, cfg, wrap)
	}}, wrap, cellLimit)
	out := Cell{Fault: c.fault.name, Shape: c.shape.name(c.fault), Reproduction: c.reproduction(cfg), Verdict: Fail, Reasons: []string{res.Details}}
	switch {
	case res.Status == Hung: // o may still be written to
		out.Outcome = "never returned"
	case !res.Status.OK() || o == nil:
		out.Outcome = res.Status.String()
	default:
		o.Fault, o.Shape, o.Reproduction = out.Fault, out.Shape, out.Reproduction
		out = o.Cell
		out.Verdict, out.Reasons = judgeCell(c, cfg, o)
	}
	return out
}

// calls returns how many calls a cell is of.
func (c cell) calls() int {
	switch {
	case c.fault.apart > 0:
		return steadyCalls
	case c.shape == shapeStorm:
		return stormClients
	case c.shape == shapeWorkload:
		return len(workload)
	}
	return 1
}

// observe makes the calls of a cell.
func observe(ch *checker, c cell, cfg transportConfig, wrap wrapFunc) *observation {
	f := c.fault
	w := newWorld(ch, f, cfg, wrap)
	defer w.tb.cleanUp()
	fired := func() int64 {
		if f.fired != nil {
			return f.fired(w)
		}
		return w.srv.Fired(f.faults[0])
	}
	if f.warm {
		warm := &call{id: "warm", method: http.MethodGet, path: "/work"}
		w.run(warm)
		ch.require(warm.ok() && warm.right, "the call before the fault failed: status %d, %v", warm.status, warm.err)
		time.Sleep(10 * time.Millisecond)
	}
	if f.setUp != nil {
		f.setUp(w)
	}
	o := &observation{}
	for i := range c.calls() {
		call := &call{id: fmt.Sprintf("call-%d", i), method: c.shape.method(f), path: cmp.Or(f.path, "/work"), expect: f.expect}
		if c.shape == shapeWorkload {
			call.method, call.path = workload[i].method, workload[i].path
		}
		if c.shape == shapeCanceled {
			call.cancel = func(ctx context.Context) { awaitPhase(ctx, f.phase, fired) }
		}
		o.calls = append(o.calls, call)
	}
	requests, dials, connections := w.hits(), w.dials.Load(), w.conns.Load()
	w.runAll(o.calls, f.apart, c.shape == shapeWorkload)
	o.Fired, o.Requests = fired(), w.hits()-requests
	o.Dials, o.Connections = int(w.dials.Load()-dials), int(w.conns.Load()-connections)

	w.srv.SetFaults()
	if f.heal != nil {
		f.heal(w)
	}
	if !slices.ContainsFunc(o.calls, func(c *call) bool { return !c.returned }) {
		time.Sleep(10 * time.Millisecond)
		o.next = &call{id: "next", method: http.MethodGet, path: "/work"}
		if w.run(o.next); !o.next.ok() {
			time.Sleep(time.Minute)
			o.next = &call{id: "later", method: http.MethodGet, path: "/work"}
			w.run(o.next)
		}
	}
	o.LeftOpen, o.goroutines = w.leave()
	for _, call := range o.calls {
		w.note(call.id, func(r *record) { call.record = *r })
	}
	o.sum()
	o.leaked, o.unclosed = w.leaked.Load(), int(w.unclosed.Load())
	return o
}

// runAll makes calls, each so long after the one before has begun, or when that has returned.
func (w *world) runAll(calls []*call, apart time.Duration, inTurn bool) {
	var under sync.WaitGroup
	for i, c := range calls {
		if i > 0 {
			time.Sleep(apart)
		}
		under.Go(func() { w.run(c) }) // ends when run returns
		if inTurn {
			under.Wait()
		}
	}
	under.Wait()
}

// awaitPhase returns when a call has come to a phase in which a fault that has fired holds it,
// or has ended.
func awaitPhase(ctx context.Context, p phase, fired func() int64) {
	time.Sleep(oneWay / 20) // never at the instant of anything on the network
	for fired() == 0 && ctx.Err() == nil {
		time.Sleep(oneWay / 4)
	}
	time.Sleep(p.after())
}

// sum sets what is to be said of the calls together.
func (o *observation) sum() {
	worked := 0
	for _, call := range o.calls {
		o.Attempts += len(call.attempts)
		o.Executions += call.executions
		o.Time = max(o.Time, call.ended-call.began)
		if call.err != nil && o.Error == "" {
			o.Error = call.err.Error()
		}
		o.Status = cmp.Or(o.Status, call.status)
		if call.ok() {
			worked++
		}
	}
	o.Outcome = o.calls[0].outcome()
	if len(o.calls) > 1 {
		o.Outcome = fmt.Sprintf("%d of %d succeeded", worked, len(o.calls))
	}
}

func (c *call) outcome() string {
	switch {
	case !c.returned:
		return "never returned"
	case c.ok() && c.right:
		return "succeeded"
	case c.ok():
		return "wrong answer"
	case c.canceled != 0:
		return "canceled"
	}
	return "gave up"
}

// reproduction says in words how to see a cell.
func (c cell) reproduction(cfg transportConfig) string {
	f := c.fault
	var b strings.Builder
	fmt.Fprintf(&b, "a server of which %s", f.says)
	var faults []string
	for _, fault := range f.faults {
		faults = append(faults, fault.String())
	}
	if faults != nil {
		fmt.Fprintf(&b, " (fixtures: %s)", strings.Join(faults, "; "))
	}
	if f.proto != "" {
		fmt.Fprintf(&b, ", over %s", map[string]string{"tls": "TLS and HTTP/1.1", "h2": "TLS and HTTP/2"}[f.proto])
	}
	b.WriteString("; a new client")
	if f.warm {
		b.WriteString(" that has made one call before")
	}
	switch c.shape {
	case shapeStorm:
		if f.apart == 0 {
			fmt.Fprintf(&b, "; %d GETs at once", stormClients)
		}
	case shapeWorkload:
		b.WriteString("; GET, PUT, POST and a GET of chunks, one after another")
	case shapeCanceled:
		fmt.Fprintf(&b, "; a %s, canceled %v after the fault has fired", c.shape.method(f), f.phase.after())
	case shapeGet:
		b.WriteString("; a GET")
	case shapePut, shapePost:
		fmt.Fprintf(&b, "; a %s with %d bytes and GetBody", c.shape.method(f), uploadSize)
	}
	fmt.Fprintf(&b, "; deadline %v", cfg.deadline)
	return b.String()
}
