package peers

import (
	"encoding/json"
	"strconv"
)

// k6 is under the AGPL: it is used if it is there, and never fetched.
var k6 = Tool{
	Program: "k6",
	Stdin: `import http from "k6/http";
export const options = { discardResponseBodies: true, summaryTrendStats: ["med", "p(90)", "p(99)", "p(99.9)", "max"] };
if (__ENV.RATE) options.scenarios = { main: {
  executor: "constant-arrival-rate", rate: Number(__ENV.RATE), timeUnit: "1s", duration: __ENV.DURATION,
  preAllocatedVUs: Number(__ENV.VUS), maxVUs: Number(__ENV.VUS) } };
export default function () { http.get(__ENV.TARGET); }
export function handleSummary(data) { return { stdout: JSON.stringify(data) }; }
`,
	Args: func(w Work) []string {
		vus, duration := strconv.Itoa(w.Connections), w.Duration.String()
		args := []string{"run", "--quiet", "--no-usage-report"}
		if w.Rate > 0 {
			args = append(args, "--env", "RATE="+strconv.Itoa(w.Rate), "--env", "VUS="+vus, "--env", "DURATION="+duration)
		} else {
			args = append(args, "--vus", vus, "--duration", duration)
		}
		return append(args, "--env", "TARGET="+w.URL, "-")
	},
	Parse: parseK6,
}

// parseK6 reads what handleSummary is given. A pass of http_req_failed is a request
// that failed.
func parseK6(stdout []byte) (Outcome, error) {
	var summary struct {
		Metrics struct {
			Requests *struct {
				Values struct {
					Count int     `json:"count"`
					Rate  float64 `json:"rate"`
				} `json:"values"`
			} `json:"http_reqs"`
			Latency struct {
				Values struct {
					P50  float64 `json:"med"` // ms
					P90  float64 `json:"p(90)"`
					P99  float64 `json:"p(99)"`
					P999 float64 `json:"p(99.9)"`
					Max  float64 `json:"max"`
				} `json:"values"`
			} `json:"http_req_duration"`
			Unsent struct {
				Values struct {
					Count int `json:"count"`
				} `json:"values"`
			} `json:"dropped_iterations"`
			Failed struct {
				Values struct {
					Passes int `json:"passes"`
				} `json:"values"`
			} `json:"http_req_failed"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(stdout, &summary); err != nil || summary.Metrics.Requests == nil {
		return Outcome{}, errOutput("k6", stdout)
	}
	requests, failed := summary.Metrics.Requests.Values, summary.Metrics.Failed.Values.Passes
	out := Outcome{Succeeded: requests.Count - failed, Failed: failed, Unsent: summary.Metrics.Unsent.Values.Count}
	if l := summary.Metrics.Latency.Values; l.P99 > 0 {
		out.Latency = Latency{seconds(l.P50 / 1e3), seconds(l.P90 / 1e3), seconds(l.P99 / 1e3), seconds(l.P999 / 1e3), seconds(l.Max / 1e3)}
	}
	if requests.Rate > 0 {
		out.Elapsed = seconds(float64(requests.Count) / requests.Rate)
	}
	return out, nil
}
