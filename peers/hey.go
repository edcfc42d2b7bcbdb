package peers

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var hey = Tool{
	Program: "hey",
	Module:  "github.com/rakyll/hey",
	Version: "v0.1.5",
	Args: func(w Work) []string {
		args := []string{
			"-c", strconv.Itoa(w.Connections), "-z", w.Duration.String(), "-cpus", strconv.Itoa(w.Threads),
			"-t", strconv.Itoa(int(Limit / time.Second)), "-disable-compression", w.URL,
		}
		if w.Rate > 0 {
			args = append([]string{"-q", strconv.FormatFloat(float64(w.Rate)/float64(w.Connections), 'f', -1, 64)}, args...)
		}
		return args
	},
	Parse: parseHey,
}

var (
	heyTotal  = regexp.MustCompile(`(?m)^  Total:\s+([0-9.]+) secs$`)
	heyStatus = regexp.MustCompile(`(?m)^  \[(\d+)\]\s+(\d+) responses$`)
	heyMax    = regexp.MustCompile(`(?m)^  Slowest:\s+([0-9.]+) secs$`)
	heyRank   = regexp.MustCompile(`(?m)^  (\d+)%+ in ([0-9.]+) secs$`)
	heyErrors = regexp.MustCompile(`(?m)^  \[(\d+)\]\s+(.*)$`)
)

// parseHey reads the summary. hey leaves out of it what was beyond a million
// requests.
func parseHey(stdout []byte) (Outcome, error) {
	total := heyTotal.FindSubmatch(stdout)
	if total == nil || !bytes.Contains(stdout, []byte("\nStatus code distribution:")) {
		return Outcome{}, errOutput("hey", stdout)
	}
	elapsed, err := strconv.ParseFloat(string(total[1]), 64)
	if err != nil {
		return Outcome{}, fmt.Errorf("peers: hey: %w", err)
	}
	out := Outcome{Elapsed: seconds(elapsed), Latency: heyLatency(stdout)}
	for _, line := range heyErrors.FindAllSubmatch(stdout, -1) {
		if status := heyStatus.FindSubmatch(line[0]); status != nil {
			n, _ := strconv.Atoi(string(status[2])) // digits
			if status[1][0] == '2' {
				out.Succeeded += n
			} else {
				out.Failed += n
			}
			continue
		}
		n, _ := strconv.Atoi(string(line[1])) // digits
		out.Failed += n
	}
	return out, nil
}

func heyLatency(stdout []byte) (l Latency) {
	at := func(digits []byte) time.Duration {
		s, _ := strconv.ParseFloat(string(digits), 64) // digits and dots; 0 is not known
		return seconds(s)
	}
	if slowest := heyMax.FindSubmatch(stdout); slowest != nil {
		l.Max = at(slowest[1])
	}
	for _, line := range heyRank.FindAllSubmatch(stdout, -1) {
		switch string(line[1]) {
		case "50":
			l.P50 = at(line[2])
		case "90":
			l.P90 = at(line[2])
		case "99":
			l.P99 = at(line[2])
		}
	}
	return l
}
