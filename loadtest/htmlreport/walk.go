package htmlreport

import (
	"fmt"
	"math"
	"strings"

	"example.com/brunt/loadtest/capacity"
	"example.com/brunt/loadtest/internal/text"
)

// This file has the charts of a search for a capacity.

// marks tell trials apart, by color and by shape.
var marks = []struct {
	name, color, points string
}{{"good", "good", "full"}, {"bad", "bad", "open"}, {"invalid", "warn", "open"}, {"warm-up or control", "c7", "full"}}

// mark returns the index in marks of t.
func mark(r *capacity.Result, t capacity.Trial) int {
	switch {
	case t.Kind == capacity.TrialInvalid:
		return 2
	case t.Kind != capacity.TrialCounted:
		return 3
	case r.Good(t):
		return 0
	}
	return 1
}

// nudge keeps trials of one rate apart, as the script draws one for each x. Rates of a
// search that are not the same are farther from each other than thousands of it.
const nudge = 1e-8

// dots adds the trials to c. Those that say nothing of the service have no place in a chart
// by rate.
func dots(c *chart, r *capacity.Result, y func(capacity.Trial) value) {
	for k, m := range marks {
		s := series{Label: m.name, Color: m.color, Points: m.points}
		for i, t := range r.Trials {
			x := value(i + 1)
			if c.X == "rate" {
				x = value(t.Rate * (1 + nudge*float64(i)))
			}
			if v := y(t); mark(r, t) == k && !isGap(v) && (k < 3 || c.X == "trial") {
				s.X, s.Y = append(s.X, x), append(s.Y, v)
			}
		}
		if len(s.X) > 0 {
			c.Series = append(c.Series, s)
		}
	}
}

// level adds a horizontal line.
func level(c *chart, label, color string, y float64, from, to value) {
	c.Series = append(c.Series, series{Label: label, Color: color, Dash: true, X: []value{from, to}, Y: []value{value(y), value(y)}})
}

func searchCharts(names []string, r *capacity.Result) []chart {
	lo, hi := math.Inf(1), math.Inf(-1) // the rates of trials of the service
	for _, t := range r.Trials {
		if mark(r, t) < 3 {
			lo, hi = min(lo, t.Rate), max(hi, t.Rate)
		}
	}
	walk := walkChart(r)
	if lo > hi {
		return []chart{walk}
	}
	if walk.Log = hi >= logFrom*lo; walk.Log {
		lo, hi = lo/1.1, hi*1.1
	} else {
		margin := max((hi-lo)/15, lo/1000)
		lo, hi = lo-margin, hi+margin
		walk.Range = []value{value(lo), value(hi)}
		walk.Hint += "; what is far from the others lies beyond the edge"
	}
	out := []chart{walk}
	for i, g := range r.Goals {
		c := chart{ID: fmt.Sprintf("loss-%d", i), Title: "Lost by rate: " + text.Cut(names[i], nameWidth), X: "rate", Unit: "share", Least: 0.001}
		dots(&c, r, func(t capacity.Trial) value { return value(t.Losses[i]) })
		level(&c, "may be lost", "c0", g.LossRatio, value(lo), value(hi))
		for _, s := range c.Series {
			for _, y := range s.Y {
				if y > 0 {
					c.Least = min(c.Least, y/2)
				}
			}
		}
		_, most := limits(c.Series)
		c.Log = most >= logFrom*float64(max(c.Least, value(g.LossRatio)))
		out = append(out, c)
	}
	p99 := chart{ID: "p99", Title: "p99 by rate", X: "rate", Unit: "ns"}
	dots(&p99, r, func(t capacity.Trial) value {
		if t.P99 == 0 {
			return gap
		}
		return value(t.P99)
	})
	if len(p99.Series) > 0 {
		for i, g := range r.Goals {
			if g.Limit > 0 && math.Abs(g.LossRatio-0.01) < 1e-9 {
				level(&p99, text.Cut(names[i], nameWidth), "c0", float64(g.Limit), value(lo), value(hi))
			}
		}
		p99.Log = wide(p99.Series)
		out = append(out, p99)
	}
	for i := range out[1:] {
		c := &out[i+1]
		c.LogX, c.Hint = walk.Log, "of each trial of the service"
		switch {
		case r.Lower > 0 && r.Upper > 0:
			c.Shade, c.Hint = []band{{value(r.Lower), value(r.Upper), "c0"}}, c.Hint+"; shaded: between the bounds"
		case r.Lower > 0 || r.Upper > 0:
			bound := value(max(r.Lower, r.Upper))
			c.Shade, c.Hint = []band{{bound, bound, "c0"}}, c.Hint+"; shaded: the bound"
		}
		if c.Unit == "share" {
			c.Hint += "; on a log scale nothing lost is at the bottom"
		}
		c.Label = words(c)
	}
	return out
}

// walkChart draws the trials in their order.
func walkChart(r *capacity.Result) chart {
	c := chart{ID: "walk", Title: "The walk", X: "trial", Unit: "rate", Hint: "the rate of each trial, in order; those of the warm-up and the control are no evidence, nor are invalid ones"}
	path := series{Label: "rate", Color: "c7"}
	for i, t := range r.Trials {
		path.X, path.Y = append(path.X, value(i+1)), append(path.Y, value(t.Rate))
	}
	c.Series = append(c.Series, path)
	dots(&c, r, func(t capacity.Trial) value { return value(t.Rate) })
	from, to := value(0.5), value(len(r.Trials))+0.5
	if r.Lower > 0 {
		level(&c, "highest that passes", "good", r.Lower, from, to)
	}
	if r.Upper > 0 {
		level(&c, "lowest that fails", "bad", r.Upper, from, to)
	}
	c.Label = words(&c)
	return c
}

// words says what c shows.
func words(c *chart) string {
	var all []string
	for _, s := range c.Series {
		line := between(s, texts[c.Unit])
		switch {
		case s.Points != "":
			line = fmt.Sprintf("%d %s", len(s.X), line)
		case s.Dash:
			line = s.Label + ": " + texts[c.Unit](s.Y[0])
		}
		all = append(all, line)
	}
	return c.Title + ": " + strings.Join(all, "; ")
}
