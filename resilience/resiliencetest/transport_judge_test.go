package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a judge says of what was seen, rule by rule. Each row changes one thing about a cell in
// which all went well.
func TestJudge(t *testing.T) {
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	say := func(reasons ...string) []string { return reasons }
	for _, row := range []struct {
		reason string
		fault  transportFault
		shape  shape
		opts   []TransportOption
		change func(o *observation, c *call)
		want   Verdict
		says   []string
	}{
		{reason: "all went well", want: Pass},
		{reason: "the fault did not fire", change: func(o *observation, _ *call) { o.Fired = 0 }, want: Invalid, says: say("the fault did not fire, so that nothing was proved")},
		{reason: "nothing was tried", change: func(_ *observation, c *call) { c.attempts = nil }, want: Invalid, says: say("no attempt was seen: does the client use its base, with the context of the request?")},
		{reason: "a GET was executed twice", change: func(_ *observation, c *call) { c.executions = 2 }, want: Pass},
		{reason: "a POST was executed twice", shape: shapePost, change: func(_ *observation, c *call) { c.executions = 2 }, want: Fail, says: say("the POST was executed 2 times")},
		{reason: "a wrong body was executed", change: func(_ *observation, c *call) { c.wrong = 1 }, want: Fail, says: say("the request was executed with a body that its caller did not send")},
		{reason: "Retry-After was obeyed to the nanosecond", fault: transportFault{retryAfter: 3 * time.Second}, change: tries(0, 3*time.Second), want: Pass},
		{reason: "Retry-After was not obeyed", fault: transportFault{retryAfter: 3 * time.Second}, change: tries(0, 3*time.Second-1), want: Fail, says: say("attempt 2 came after 2.999999999s, where Retry-After said 3s")},
		{reason: "as many attempts as may be", change: tries(0, 1, 2, 3), want: Pass},
		{reason: "an attempt too many", change: tries(0, 1, 2, 3, 4), want: Fail, says: say("5 attempts, where 4 are the most")},
		{reason: "fewer may be made", opts: []TransportOption{MaxAttempts(1)}, change: tries(0, 1), want: Fail, says: say("2 attempts, where 1 are the most")},
		{reason: "redirects are not counted", fault: transportFault{hops: 10}, change: tries(0, 1, 2, 3, 4), want: Pass},
		{reason: "requests that nobody asked for", change: func(o *observation, _ *call) { o.Requests = 5 }, want: Fail, says: say("5 requests have reached the server, where 4 are the most")},
		{reason: "connections without end", change: func(o *observation, _ *call) { o.Dials = 5 }, want: Fail, says: say("5 connections were tried, where 4 are the most")},
		{reason: "an attempt after the call", change: tries(0, 11*time.Second), want: Fail, says: say("attempt 2 began 1s after the call had returned")},
		{reason: "it does not return", change: func(o *observation, c *call) { c.returned, o.next = false, nil }, want: Fail, says: say("the call had not returned after 5m0s")},
		{reason: "Authorization", change: func(o *observation, _ *call) { o.leaked = true }, want: Fail, says: say("Authorization was sent to another host")},

		{reason: "canceled", shape: shapeCanceled, change: canceled(context.Canceled, 0), want: Pass},
		{reason: "canceled, and wrapped", shape: shapeCanceled, change: canceled(fmt.Errorf("gave up: %w", context.Canceled), cancelTime), want: Pass},
		{reason: "canceled too late", shape: shapeCanceled, change: canceled(context.Canceled, cancelTime+1), want: Fail, says: say("the call returned 1.000000001s after it was canceled")},
		{reason: "canceled, and does not say so", shape: shapeCanceled, change: canceled(io.EOF, 0), want: Fail, says: say("the canceled call does not say context.Canceled: EOF")},
		{reason: "canceled, and tried again", shape: shapeCanceled, change: func(o *observation, c *call) {
			canceled(context.Canceled, time.Second)(o, c)
			c.attempts = append(c.attempts, c.canceled+1)
		}, want: Fail, says: say("attempt 2 began 1ns after the call was canceled")},

		{reason: "a broken answer as a whole one", change: func(_ *observation, c *call) { c.right = false }, want: Fail, says: say("an answer that is cut short or broken was handed over as complete")},
		{reason: "a broken answer that nobody can tell", fault: transportFault{want: silent}, change: func(_ *observation, c *call) { c.right = false }, want: Pass},
		{reason: "a broken answer, and an error", change: func(_ *observation, c *call) { c.right, c.err = false, io.ErrUnexpectedEOF }, want: Pass},
		{reason: "success out of nothing", fault: transportFault{want: lasts}, want: Fail, says: say("the call succeeded, which can't be")},
		{reason: "not recovered", change: fails(refused), want: Fail, says: say("the call failed, where it can succeed: dial: connection refused")},
		{reason: "a status, not recovered", change: func(_ *observation, c *call) { c.status, c.right = 503, false }, want: Fail, says: say("the call failed, where it can succeed: status 503")},
		{reason: "not recovered, without retries", opts: []TransportOption{WithoutRetry()}, change: fails(refused), want: Pass},
		{reason: "a POST need not recover", shape: shapePost, change: fails(refused), want: Pass},
		{reason: "a POST that was not sent must", fault: transportFault{want: unsent}, shape: shapePost, change: fails(refused), want: Fail, says: say("the call failed, where it can succeed: dial: connection refused")},
		{reason: "what only takes time must succeed", fault: transportFault{want: endured}, shape: shapePost, opts: []TransportOption{WithoutRetry()}, change: fails(refused), want: Fail, says: say("the call failed, where it can succeed: dial: connection refused")},
		{reason: "a failure that says why", fault: transportFault{want: lasts, is: isRefused}, change: fails(refused), want: Pass},
		{reason: "a failure that does not", fault: transportFault{want: lasts, is: isRefused}, change: fails(errors.New("failed")), want: Fail, says: say("the failure does not say what happened: failed")},
		{reason: "an error with the status", fault: transportFault{want: lasts, status: 503}, change: fails(errors.New("gave up: 503")), want: Pass},
		{reason: "an error without", fault: transportFault{want: lasts, status: 503}, change: fails(errors.New("gave up")), want: Fail, says: say("the failure does not say what happened: gave up")},
		{reason: "another status", fault: transportFault{want: lasts, status: 503}, change: func(_ *observation, c *call) { c.status = 500 }, want: Fail, says: say("the failure does not say what happened: status 500")},
		{reason: "past the deadline, and says so", fault: transportFault{want: either}, change: func(o *observation, c *call) { fails(context.DeadlineExceeded)(o, c); c.ended = time.Minute }, want: Pass},
		{reason: "past the deadline, and says something else", fault: transportFault{want: either}, change: func(o *observation, c *call) { fails(io.EOF)(o, c); c.ended = time.Minute }, want: Fail, says: say("the deadline has passed, and the error does not say context.DeadlineExceeded: EOF")},

		{reason: "the next call is wrong", change: func(o *observation, _ *call) { o.next.right = false }, want: Fail, says: say("the next call, when all was well again, got a wrong answer")},
		{reason: "a later one fails too", change: func(o *observation, _ *call) { o.next = &call{returned: true, err: io.EOF} }, want: Fail, says: say("a minute after all was well again a call still fails: EOF")},
		{reason: "a call of a storm that goes on", fault: transportFault{want: either, well: time.Second}, shape: shapeStorm, change: func(o *observation, c *call) {
			late := *c
			late.began, late.err = time.Second, io.EOF
			o.calls = append(o.calls, &late)
		}, want: Fail, says: say("a call still fails that begins 1s after the beginning, when its cause has long gone: EOF")},
		{reason: "a call of a workload that makes an attempt too many", shape: shapeWorkload, change: func(o *observation, c *call) {
			other := *c
			other.attempts = []time.Duration{0, 1, 2, 3, 4}
			o.calls = append(o.calls, &other)
		}, want: Fail, says: say("call 2, GET /work: 5 attempts, where 4 are the most")},
		{reason: "a connection is left", change: func(o *observation, _ *call) { o.LeftOpen = 1 }, want: Fail, says: say("1 connections are still open when all is over")},
		{reason: "a goroutine is left", change: func(o *observation, _ *call) { o.goroutines = []string{"main.go"} }, want: Fail, says: say("goroutines are left: [main.go]")},
		{reason: "a body is left", change: func(o *observation, _ *call) { o.unclosed = 1 }, want: Fail, says: say("1 bodies of requests were never closed")},
		{reason: "what net/http leaves", fault: transportFault{beneath: "net/http does it"}, change: func(o *observation, _ *call) { o.LeftOpen = 1 }, want: Known, says: say("1 connections are still open when all is over", "net/http does it")},
		{reason: "what net/http leaves, and more", fault: transportFault{beneath: "net/http does it"}, change: func(o *observation, _ *call) { o.LeftOpen, o.leaked = 1, true }, want: Fail, says: say("Authorization was sent to another host", "1 connections are still open when all is over")},
	} {
		t.Run(row.reason, func(t *testing.T) {
			c := &call{method: row.shape.method(&row.fault), path: "/work", returned: true, ended: 10 * time.Second, status: 200, right: true, record: record{attempts: []time.Duration{0}, executions: 1}}
			next := *c
			o := &observation{Cell: Cell{Fired: 1}, calls: []*call{c}, next: &next}
			if row.change != nil {
				row.change(o, c)
			}
			o.sum()
			verdict, reasons := judgeCell(cell{&row.fault, row.shape}, configure(t, row.opts), o)
			require.Equal(t, row.want, verdict, "%q", reasons)
			require.Equal(t, row.says, reasons)
		})
	}
}

func tries(at ...time.Duration) func(*observation, *call) {
	return func(_ *observation, c *call) { c.attempts = at }
}

func fails(err error) func(*observation, *call) {
	return func(_ *observation, c *call) { c.status, c.err, c.right = 0, err, false }
}

// canceled is a call that is canceled after two seconds, and returns late after that.
func canceled(err error, late time.Duration) func(*observation, *call) {
	return func(o *observation, c *call) {
		fails(err)(o, c)
		c.canceled = 2 * time.Second
		c.ended = c.canceled + late
	}
}
