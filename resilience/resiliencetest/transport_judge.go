package resiliencetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// cancelTime is how long a call may go on that its caller has canceled.
const cancelTime = time.Second

// judgeCell gives the verdict on a cell: a function of what was seen.
func judgeCell(c cell, cfg transportConfig, o *observation) (_ Verdict, reasons []string) {
	of := "" // which call the reasons are
	bad := func(yes bool, format string, args ...any) {
		if yes {
			reasons = append(reasons, of+fmt.Sprintf(format, args...))
		}
	}
	if o.Fired == 0 || o.Attempts == 0 {
		bad(o.Fired == 0, "the fault did not fire, so that nothing was proved")
		bad(o.Attempts == 0, "no attempt was seen: does the client use its base, with the context of the request?")
		return Invalid, reasons
	}
	for i, call := range o.calls {
		if c.shape == shapeWorkload {
			of = fmt.Sprintf("call %d, %s %s: ", i+1, call.method, call.path)
			bad(len(call.attempts) > cfg.attempts, "%d attempts, where %d are the most", len(call.attempts), cfg.attempts)
		}
		judgeCall(c.fault, cfg, call, bad)
		since := call.began - o.calls[0].began
		bad(c.fault.well > 0 && since >= c.fault.well && !call.ok(), "a call still fails that begins %v after the beginning, when its cause has long gone: %v", since, call.failure())
		if len(reasons) > 0 && c.shape == shapeStorm {
			break // the others say the same
		}
	}
	of = ""
	most := len(o.calls) * (cfg.attempts + c.fault.hops)
	bad(o.Attempts > most, "%d attempts, where %d are the most", o.Attempts, most)
	bad(o.Requests > int64(most), "%d requests have reached the server, where %d are the most", o.Requests, most)
	bad(o.Dials > most, "%d connections were tried, where %d are the most", o.Dials, most)
	bad(o.leaked, "Authorization was sent to another host")
	if o.next != nil {
		bad(o.next.ok() && !o.next.right, "the next call, when all was well again, got a wrong answer")
		bad(!o.next.ok(), "a minute after all was well again a call still fails: %v", o.next.failure())
	}
	clean := reasons == nil
	if o.next != nil {
		bad(o.LeftOpen > 0, "%d connections are still open when all is over", o.LeftOpen)
		bad(len(o.goroutines) > 0, "goroutines are left: %v", o.goroutines)
		bad(o.unclosed > 0 && (c.fault == &transportFaults[calm] || !cfg.leavesBodies), "%d bodies of requests were never closed", o.unclosed)
	}
	switch {
	case reasons == nil:
		return Pass, nil
	case clean && c.fault.beneath != "":
		return Known, append(reasons, c.fault.beneath)
	}
	return Fail, reasons
}

// judgeCall tells bad what is wrong with one call.
func judgeCall(f *transportFault, cfg transportConfig, call *call, bad func(yes bool, format string, args ...any)) {
	bad(call.method == http.MethodPost && call.executions > 1, "the POST was executed %d times", call.executions)
	bad(call.wrong > 0, "the request was executed with a body that its caller did not send")
	for i := 1; i < len(call.attempts) && f.retryAfter > 0; i++ {
		gap := call.attempts[i] - call.attempts[0]
		bad(gap < f.retryAfter, "attempt %d came after %v, where Retry-After said %v", i+1, gap, f.retryAfter)
	}
	if !call.returned {
		bad(true, "the call had not returned after %v", cfg.limit)
		return
	}
	for i, at := range call.attempts {
		bad(at > call.ended, "attempt %d began %v after the call had returned", i+1, at-call.ended)
		bad(call.canceled != 0 && at > call.canceled, "attempt %d began %v after the call was canceled", i+1, at-call.canceled)
	}
	if call.canceled != 0 {
		late := call.ended - call.canceled
		bad(late > cancelTime, "the call returned %v after it was canceled", late)
		bad(!errors.Is(call.err, context.Canceled), "the canceled call does not say context.Canceled: %v", call.failure())
		return
	}
	bad(call.ok() && !call.right && f.want != silent, "an answer that is cut short or broken was handed over as complete")
	if call.ok() {
		bad(f.want == lasts, "the call succeeded, which can't be")
		return
	}
	must := map[promise]bool{
		heals:   cfg.retries && call.method != http.MethodPost,
		unsent:  cfg.retries,
		endured: true,
		silent:  true,
	}[f.want]
	bad(must && (call.status == 0 || call.status >= 300), "the call failed, where it can succeed: %v", call.failure())
	late := call.ended-call.began >= cfg.deadline
	says := errors.Is(call.err, context.DeadlineExceeded) || errors.Is(call.err, os.ErrDeadlineExceeded)
	bad(late && !says, "the deadline has passed, and the error does not say context.DeadlineExceeded: %v", call.failure())
	bad(!late && !f.shows(call.status, call.err), "the failure does not say what happened: %v", call.failure())
}

// failure is what the caller knows of a call that failed.
func (c *call) failure() string {
	switch {
	case c.err != nil:
		return c.err.Error()
	case !c.returned:
		return "it does not return"
	}
	return fmt.Sprintf("status %d", c.status)
}
