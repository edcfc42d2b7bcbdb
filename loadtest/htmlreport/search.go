package htmlreport

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/brunt/loadtest/capacity"
	"example.com/brunt/loadtest/internal/text"
)

// search is what a page has of a search for a capacity.
type search struct {
	Verdict string // the capacity, "INVALID" or "none"
	Found   bool
	Words   string
	Names   []string // of the goals
	Goals   []goalRow
	Trials  []trialRow
}

type goalRow struct{ Name, Loss, Passes, Fails string }

type trialRow struct {
	Number, Rate, Length, Scheduled, Errors, Dropped, Missed, P50, P99, Verdict string
	Losses                                                                      []string // as the goals
	Bad, Counted                                                                bool
}

func newSearchPage(o Options, r *capacity.Result) *page {
	s := &search{Names: goalNames(r)}
	s.judge(r)
	for i, g := range r.Goals {
		s.Goals = append(s.Goals, goalRow{s.Names[i], text.Percent(g.LossRatio), rateOrDash(g.Lower), rateOrDash(g.Upper)})
	}
	var spent time.Duration
	for i, t := range r.Trials {
		s.Trials = append(s.Trials, newTrialRow(i+1, t, r))
		spent += t.Elapsed
	}
	found := tile{"capacity", "capacity", s.Verdict, ""}
	if !s.Found {
		found.Class = "bad"
	}
	p := &page{
		Title: cmp.Or(o.Title, "Capacity"), Subtitle: "no objectives", Search: s, Environment: o.Environment, Texts: []string{r.String()},
		Tiles: []tile{
			found,
			{"lower", "highest that passes", rateOrDash(r.Lower), ""},
			{"upper", "lowest that fails", rateOrDash(r.Upper), ""},
			{"apart", "between the two", apart(r), ""},
			{"trials", "trials", text.Count(int64(len(r.Trials))), ""},
			{"spent", "time of the trials", text.Duration(spent), ""},
		},
	}
	if len(s.Names) > 0 {
		p.Subtitle = "the highest rate with " + strings.Join(s.Names, ", ")
	}
	if o.Environment == nil {
		p.Environment = Environment()
	}
	if len(r.Trials) == 0 {
		p.Notes = []string{"The search has ended before its first trial."}
	} else {
		p.Charts = searchCharts(s.Names, r)
	}
	return p
}

// judge says how the search has ended.
func (s *search) judge(r *capacity.Result) {
	switch {
	case r.End == nil:
		s.Found, s.Verdict = true, perSecond(r.Capacity)
		s.Words = fmt.Sprintf("So much came through at %s, the highest rate that passes; %s is the lowest that fails.", rateOrDash(r.Lower), rateOrDash(r.Upper))
		return
	case errors.Is(r.End, capacity.ErrGenerator):
		s.Verdict = "INVALID"
	default:
		s.Verdict = "none"
	}
	s.Words = strings.TrimPrefix(r.End.Error(), "capacity: ")
}

// goalNames returns the names of the goals, or their numbers.
func goalNames(r *capacity.Result) (names []string) {
	for i, g := range r.Goals {
		names = append(names, cmp.Or(g.Name, fmt.Sprintf("objective %d", i+1)))
	}
	return names
}

func newTrialRow(number int, t capacity.Trial, r *capacity.Result) trialRow {
	row := trialRow{
		Number: text.Count(int64(number)), Rate: perSecond(t.Rate), Length: text.Duration(t.Duration),
		Scheduled: text.Count(t.Scheduled), Errors: text.Count(t.Errors), Dropped: text.Count(t.Dropped), Missed: text.Count(t.Missed),
		P50: orDash(t.P50), P99: orDash(t.P99), Verdict: "good", Counted: t.Kind == capacity.TrialCounted,
	}
	for _, loss := range t.Losses {
		row.Losses = append(row.Losses, text.Percent(loss))
	}
	if row.Bad = !r.Good(t); row.Bad {
		row.Verdict = "bad"
	}
	if !row.Counted {
		row.Verdict = string(t.Kind) + ", " + row.Verdict
	}
	if t.Note != "" {
		row.Verdict += ": " + t.Note
	}
	return row
}

func rateOrDash(rate float64) string {
	if rate > 0 {
		return perSecond(rate)
	}
	return "–"
}

func orDash(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return text.Duration(d)
}

// apart is how far the bounds are from each other, as a part of the upper.
func apart(r *capacity.Result) string {
	if !(r.Lower > 0 && r.Upper > 0) {
		return "–"
	}
	return text.Percent(1 - r.Lower/r.Upper)
}
