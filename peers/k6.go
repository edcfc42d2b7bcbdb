package peers

import (
	"encoding/json"
	"strconv"
)

// k6 is under the AGPL: it is used if it is there, and never fetched.
var k6 = Tool{
	Program: "k6",
	Stdin: `import http from "k6/http";
export const options = { discardResponseBodies: true };
export default function () { http.get(__ENV.TARGET); }
export function handleSummary(data) { return { stdout: JSON.stringify(data) }; }
`,
	Args: func(w Work) []string {
		return []string{
			"run", "--quiet", "--no-usage-report", "--vus", strconv.Itoa(w.Connections), "--duration", w.Duration.String(),
			"--env", "TARGET=" + w.URL, "-",
		}
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
	out := Outcome{Succeeded: requests.Count - failed, Failed: failed}
	if requests.Rate > 0 {
		out.Elapsed = seconds(float64(requests.Count) / requests.Rate)
	}
	return out, nil
}
