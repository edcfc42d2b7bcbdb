package peers

import (
	"encoding/json"
	"strconv"
	"time"
)

var (
	bombardierFast  = bombardier("--fasthttp")
	bombardierPlain = bombardier("--http1")
)

func bombardier(client string) Tool {
	return Tool{
		Program: "bombardier",
		Module:  "github.com/codesenberg/bombardier",
		Version: "v1.2.6",
		Step:    time.Second, // the least that it takes
		Args: func(w Work) []string {
			args := []string{
				client, "-c", strconv.Itoa(w.Connections), "-d", w.Duration.String(), "-t", Limit.String(),
				"-p", "r", "-o", "json", w.URL,
			}
			if w.Rate > 0 {
				args = append(args, "--rate", strconv.Itoa(w.Rate), "--latencies")
			}
			return args
		},
		Parse: parseBombardier,
	}
}

func parseBombardier(stdout []byte) (Outcome, error) {
	var report struct {
		Result *struct {
			Seconds   float64 `json:"timeTakenSeconds"`
			Status1xx int     `json:"req1xx"`
			Status2xx int     `json:"req2xx"`
			Status3xx int     `json:"req3xx"`
			Status4xx int     `json:"req4xx"`
			Status5xx int     `json:"req5xx"`
			Others    int     `json:"others"`
			Latency   struct {
				Max         float64            `json:"max"` // µs
				Percentiles map[string]float64 `json:"percentiles"`
			} `json:"latency"`
		} `json:"result"`
	}
	if err := json.Unmarshal(stdout, &report); err != nil || report.Result == nil {
		return Outcome{}, errOutput("bombardier", stdout)
	}
	r := report.Result
	out := Outcome{
		Succeeded: r.Status2xx,
		Failed:    r.Status1xx + r.Status3xx + r.Status4xx + r.Status5xx + r.Others,
		Elapsed:   seconds(r.Seconds),
	}
	if p := r.Latency.Percentiles; p != nil {
		out.Latency = Latency{
			P50: seconds(p["50"] / 1e6), P90: seconds(p["90"] / 1e6), P99: seconds(p["99"] / 1e6), Max: seconds(r.Latency.Max / 1e6),
		}
	}
	return out, nil
}
