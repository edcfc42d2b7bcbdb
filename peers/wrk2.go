package peers

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// wrk2 is no package anywhere: it is used if it is there, under this name.
var wrk2 = Tool{
	Program: "wrk2",
	Step:    time.Second,
	Args: func(w Work) []string {
		return append([]string{fmt.Sprintf("-R%d", w.Rate), "--latency"}, wrk.Args(w)...)
	},
	Parse: parseWrk2,
}

var wrk2Rank = regexp.MustCompile(`(?m)^\s*(\d+\.\d{3})%\s+([0-9.]+(?:us|ms|s|m))$`)

// parseWrk2 reads what wrk prints as well, and the corrected latencies.
func parseWrk2(stdout []byte) (Outcome, error) {
	out, err := parseWrk(stdout)
	if err != nil {
		return out, err
	}
	for _, line := range wrk2Rank.FindAllSubmatch(stdout, -1) {
		at, err := time.ParseDuration(string(line[2]))
		if err != nil {
			return out, fmt.Errorf("peers: wrk2: %w", err)
		}
		switch rank, _ := strconv.ParseFloat(string(line[1]), 64); rank { // digits and a dot
		case 50:
			out.Latency.P50 = at
		case 90:
			out.Latency.P90 = at
		case 99:
			out.Latency.P99 = at
		case 99.9:
			out.Latency.P999 = at
		case 100:
			out.Latency.Max = at
		}
	}
	return out, nil
}
