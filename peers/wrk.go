package peers

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

var wrk = Tool{
	Program: "wrk",
	Step:    time.Second,
	Args: func(w Work) []string {
		return []string{
			fmt.Sprintf("-t%d", min(w.Threads, w.Connections)), fmt.Sprintf("-c%d", w.Connections),
			fmt.Sprintf("-d%ds", int(w.Duration/time.Second)), "--timeout", fmt.Sprintf("%ds", int(Limit/time.Second)), w.URL,
		}
	},
	Parse: parseWrk,
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)$`)
	wrkStatus   = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d+)$`)
	wrkSocket   = regexp.MustCompile(`(?m)^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$`)
)

// parseWrk takes the elapsed time from the rate, which has more digits.
func parseWrk(stdout []byte) (Outcome, error) {
	total, rate := wrkRequests.FindSubmatch(stdout), wrkRate.FindSubmatch(stdout)
	if total == nil || rate == nil {
		return Outcome{}, errOutput("wrk", stdout)
	}
	requests, err := strconv.Atoi(string(total[1]))
	if err != nil {
		return Outcome{}, fmt.Errorf("peers: wrk: %w", err)
	}
	perSecond, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		return Outcome{}, fmt.Errorf("peers: wrk: %w", err)
	}
	out := Outcome{Succeeded: requests}
	if perSecond > 0 {
		out.Elapsed = seconds(float64(requests) / perSecond)
	}
	if bad := wrkStatus.FindSubmatch(stdout); bad != nil {
		n, _ := strconv.Atoi(string(bad[1])) // digits
		out.Succeeded -= n
		out.Failed += n
	}
	if bad := wrkSocket.FindSubmatch(stdout); bad != nil {
		for _, field := range bad[1:] {
			n, _ := strconv.Atoi(string(field)) // digits
			out.Failed += n
		}
	}
	return out, nil
}

// errOutput is the error about an output that does not look as it should.
func errOutput(program string, stdout []byte) error {
	const most = 200
	return fmt.Errorf("peers: %s printed what is not understood: %.*q", program, most, stdout)
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
