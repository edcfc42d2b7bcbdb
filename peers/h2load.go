package peers

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// h2load comes with nghttp2. It reports no percentiles: they are of the log it writes,
// a line for each request, with its latency in µs.
var h2load = Tool{
	Program: "h2load",
	Step:    time.Second,
	Args: func(w Work) []string {
		return []string{
			"--h1", "-c", strconv.Itoa(w.Connections), "-t", "1", "-D", strconv.Itoa(int(w.Duration / time.Second)),
			"--rps", strconv.FormatFloat(float64(w.Rate)/float64(w.Connections), 'f', -1, 64), "--log-file", "/dev/stdout", w.URL,
		}
	},
	Parse: parseH2load,
}

var (
	h2loadTotal = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s), `)
	h2loadCount = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed`)
	h2loadLog   = regexp.MustCompile(`^\d+\t-?\d+\t(\d+)\n`)
)

func parseH2load(stdout []byte) (Outcome, error) {
	total, count := h2loadTotal.FindSubmatch(stdout), h2loadCount.FindSubmatch(stdout)
	if total == nil || count == nil {
		return Outcome{}, errOutput("h2load", stdout)
	}
	var out Outcome
	out.Elapsed, _ = time.ParseDuration(string(total[1]) + string(total[2])) // digits and a unit
	out.Succeeded, _ = strconv.Atoi(string(count[1]))                        // digits
	out.Failed, _ = strconv.Atoi(string(count[2]))                           // digits
	var all []time.Duration
	for line := range bytes.Lines(stdout) {
		if took := h2loadLog.FindSubmatch(line); took != nil {
			us, _ := strconv.Atoi(string(took[1])) // digits
			all = append(all, time.Duration(us)*time.Microsecond)
		}
	}
	slices.Sort(all)
	out.Latency = LatencyOf(all)
	return out, nil
}
