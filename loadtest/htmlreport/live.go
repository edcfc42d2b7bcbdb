package htmlreport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// Live is a run that goes on, as far as its progress tells. Package live makes and serves
// it; its charts over time are those of the report.
type Live struct {
	// Title heads the page. State, such as "running", is the line below.
	Title, State string
	// Result is what is known of the run: its Engine, StartedAt, Elapsed, Counts,
	// Intervals, Excluded and Warnings. It must not be nil.
	Result *loadtest.EngineResult
	// Last are the intervals that ended just now, one of each process that sends; none
	// once the run has ended.
	Last []loadtest.Interval
	// Until, if not 0, is where the charts end: what comes later not every process has told.
	Until time.Duration
}

// Page returns a page that shows l, and then each event that the server sends it from the
// path events beside its own.
func (l Live) Page() ([]byte, error) {
	var b bytes.Buffer
	if err := render(&b, l.page()); err != nil {
		return nil, fmt.Errorf("htmlreport: %w", err)
	}
	return b.Bytes(), nil
}

// Event returns the data of an event that has a page of [Live.Page] show l: one line of
// JSON.
func (l Live) Event() ([]byte, error) {
	p := l.page()
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, "main", p); err != nil {
		return nil, fmt.Errorf("htmlreport: %w", err)
	}
	return json.Marshal(struct {
		Main   string  `json:"main"`
		Charts []chart `json:"charts"`
	}{b.String(), p.Charts})
}

func (l Live) page() *page {
	r := l.Result
	p := &page{Live: true, Title: l.Title, Subtitle: l.State, Runs: []string{""}, Open: openLoop(r), Tiles: append(l.tiles(), userTiles(r)...)}
	if r.Engine != "" {
		p.Subtitle += ", " + r.Engine
	}
	if at := started(r); at != "–" {
		p.Subtitle += ", started " + at
	}
	for _, w := range r.Warnings {
		p.Warnings = append(p.Warnings, warning{Kind: string(w.Kind), Text: w.Text})
	}
	if len(r.Intervals)+len(r.Excluded) == 0 {
		p.Notes = []string{"There are no charts before the first interval has ended, a second after the run began."}
		return p
	}
	p.Charts = timeCharts(p.Runs, []*loadtest.EngineResult{r})
	for _, c := range p.Charts {
		for i := range c.Series {
			c.Series[i].cut(l.Until)
		}
	}
	return p
}

// cut removes what comes at until or later.
func (s *series) cut(until time.Duration) {
	if n := slices.IndexFunc(s.X, func(x value) bool { return x >= seconds(until) }); until > 0 && n >= 0 && s.X[len(s.X)-1] > seconds(until) {
		s.X, s.Y = s.X[:n], s.Y[:n]
	}
}

func (l Live) tiles() []tile {
	r := l.Result
	tiles := []tile{{"requests", "requests", text.Count(r.Requests), ""}, failedTile("error_rate", "failed", r.ErrorCount, r.Requests)}
	if openLoop(r) {
		tiles = append(tiles, lost(r))
	}
	if len(l.Last) == 0 {
		return append([]tile{{"rps", "throughput", perSecond(text.PerSecond(r.Requests, r.Elapsed)), ""}}, tiles...)
	}
	var rps, weighted float64
	var p99, lag time.Duration
	inFlight := 0
	for _, iv := range l.Last {
		rps, weighted = rps+iv.RPS(), weighted+iv.RPS()*float64(iv.P50)
		p99, lag, inFlight = max(p99, iv.P99), max(lag, iv.Lag), inFlight+iv.InFlight
	}
	now := []tile{{"rps", "throughput now", perSecond(rps), ""}, {"p50", "median now", "–", ""}, {"p99", "99 % now within", "–", ""}, {"inflight", "in flight", text.Count(int64(inFlight)), ""}}
	if rps > 0 {
		now[1].Value, now[2].Value = text.Duration(time.Duration(weighted/rps)), text.Duration(p99)
	}
	if openLoop(r) {
		now = append(now, tile{"lag", "99 % of lags now within", text.Duration(lag), ""})
	}
	return append(now, tiles...)
}
