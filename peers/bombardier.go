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
			return []string{
				client, "-c", strconv.Itoa(w.Connections), "-d", w.Duration.String(), "-t", Limit.String(),
				"-p", "r", "-o", "json", w.URL,
			}
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
		} `json:"result"`
	}
	if err := json.Unmarshal(stdout, &report); err != nil || report.Result == nil {
		return Outcome{}, errOutput("bombardier", stdout)
	}
	r := report.Result
	return Outcome{
		Succeeded: r.Status2xx,
		Failed:    r.Status1xx + r.Status3xx + r.Status4xx + r.Status5xx + r.Others,
		Elapsed:   seconds(r.Seconds),
	}, nil
}
