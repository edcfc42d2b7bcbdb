package loadtest

// Counts says what became of requests.
type Counts struct {
	// Requests were sent: SuccessCount + ErrorCount + OtherCount.
	Requests int64 `json:"requests"`
	// SuccessCount had a 2xx response, or one that Request.Expect names (a function:
	// no error), that passed its Check.
	SuccessCount int64 `json:"success_count"`
	// ErrorCount had a 4xx or 5xx response, or one that Request.Expect does not
	// name, none, or one that failed its Check.
	ErrorCount int64 `json:"error_count"`
	// OtherCount had a 1xx or 3xx response to a request without an Expect: neither a
	// success nor an error.
	OtherCount int64 `json:"other_count"`
	// RejectedCount requests were refused by the engine's own Breaker and never
	// sent: they are in none of the counts above, nor in the latencies.
	RejectedCount int64 `json:"rejected_count"`
	// Retries counts attempts beyond the first of each request.
	Retries int64 `json:"retries"`
	// BytesRead counts the bytes of response bodies.
	BytesRead int64 `json:"bytes_read"`
}

func (c *Counts) add(o Counts) {
	c.Requests += o.Requests
	c.SuccessCount += o.SuccessCount
	c.ErrorCount += o.ErrorCount
	c.OtherCount += o.OtherCount
	c.RejectedCount += o.RejectedCount
	c.Retries += o.Retries
	c.BytesRead += o.BytesRead
}

// Attempts returns how often something was sent: Requests + Retries.
func (c Counts) Attempts() int64 { return c.Requests + c.Retries }

// ErrorRate returns ErrorCount ÷ Requests, from 0 to 1; 0 if nothing was sent.
func (c Counts) ErrorRate() float64 {
	if c.Requests == 0 {
		return 0
	}
	return float64(c.ErrorCount) / float64(c.Requests)
}

// RejectedRate returns the share of the requests that were due which the engine's
// own Breaker refused, from 0 to 1; 0 if none was due.
func (c Counts) RejectedRate() float64 {
	if c.RejectedCount == 0 {
		return 0
	}
	return float64(c.RejectedCount) / float64(c.Requests+c.RejectedCount)
}
