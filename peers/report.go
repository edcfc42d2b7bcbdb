package peers

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"example.com/brunt/peers/internal/markdown"
)

// WriteNoise writes what two identical contestants differ by: a difference of
// others that is not larger says nothing.
func (r *Results) WriteNoise(w io.Writer) error {
	t := markdown.Table{Head: []string{"connections", "req/s", "min–max", "CPU/request", "min–max"}}
	for _, concurrency := range r.plan.Concurrencies {
		rate, ok := r.Ratio(PlainAgain, PlainRoundTrip, concurrency, Measurement.Rate)
		if !ok {
			return nil
		}
		cpu, _ := r.Ratio(PlainAgain, PlainRoundTrip, concurrency, Measurement.CPUPerRequest)
		t.Rows = append(t.Rows, []string{fmt.Sprint(concurrency), ratio(rate), extremes(rate), ratio(cpu), extremes(cpu)})
	}
	if _, err := fmt.Fprintf(w, "Noise: %s ÷ %s, which are the same.\n\n", PlainAgain, PlainRoundTrip); err != nil {
		return fmt.Errorf("peers: write the noise: %w", err)
	}
	return write(w, t)
}

// WriteTables writes a table for each concurrency, by rising CPU time.
func (r *Results) WriteTables(w io.Writer) error {
	for i, concurrency := range r.plan.Concurrencies {
		gap := "\n"
		if i == 0 {
			gap = ""
		}
		_, err := fmt.Fprintf(w, "%s%d connections, %d requests a round; medians of %d rounds. × is the ratio to %s in the same round.\n\n",
			gap, concurrency, r.plan.Requests, r.plan.Rounds, PlainRoundTrip)
		if err != nil {
			return fmt.Errorf("peers: write a table: %w", err)
		}
		if err := write(w, r.table(concurrency)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Results) table(concurrency int) markdown.Table {
	t := markdown.Table{Left: 1, Head: []string{
		"contestant", "req/s", "× req/s", "min–max", "CPU µs/request", "× CPU", "min–max", "allocs/request", "client busy", "server busy",
	}}
	by := func(name string) float64 {
		s, _ := r.Of(name, concurrency, Measurement.CPUPerRequest)
		return s.Median
	}
	contestants := slices.Clone(r.plan.Contestants)
	slices.SortStableFunc(contestants, func(a, b Contestant) int { return cmp.Compare(by(a.Name), by(b.Name)) })
	for _, c := range contestants {
		rate, _ := r.Of(c.Name, concurrency, Measurement.Rate)
		cpu, _ := r.Of(c.Name, concurrency, Measurement.CPUPerRequest)
		allocs, _ := r.Of(c.Name, concurrency, Measurement.AllocsPerRequest)
		client, _ := r.Of(c.Name, concurrency, Measurement.ClientBusy)
		server, _ := r.Of(c.Name, concurrency, Measurement.ServerBusy)
		row := []string{c.Name, fmt.Sprintf("%.0f", rate.Median)}
		rel, ok := r.Ratio(c.Name, PlainRoundTrip, concurrency, Measurement.Rate)
		row = append(row, known(ok, ratio(rel)), known(ok, extremes(rel)), fmt.Sprintf("%.1f", cpu.Median))
		rel, ok = r.Ratio(c.Name, PlainRoundTrip, concurrency, Measurement.CPUPerRequest)
		row = append(row, known(ok, ratio(rel)), known(ok, extremes(rel)),
			fmt.Sprintf("%.1f", allocs.Median), percent(client), percent(server))
		t.Rows = append(t.Rows, row)
	}
	return t
}

// WriteVerdicts holds the bounds against the results.
func (r *Results) WriteVerdicts(w io.Writer, bounds []Bound) (met bool, err error) {
	met = true
	t := markdown.Table{Head: []string{"bound", "ratio", "95 % interval", "rounds that keep it", "verdict"}, Left: 1}
	for _, b := range bounds {
		v := r.Judge(b)
		met = met && v.Met
		t.Rows = append(t.Rows, []string{
			b.String(), known(v.Known, ratio(v.Ratio)), known(v.Known, interval(v.Ratio)),
			known(v.Known, fmt.Sprintf("%d of %d", v.Rounds, len(v.Ratio.Values))), v.Word(),
		})
	}
	return met, write(w, t)
}

func write(w io.Writer, t markdown.Table) error {
	if err := t.Write(w); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

func known(ok bool, text string) string {
	if !ok {
		return "–"
	}
	return text
}

func percent(s Spread) string { return fmt.Sprintf("%.0f %%", 100*s.Median) }

func ratio(s Spread) string { return fmt.Sprintf("%.3f", s.Median) }

func interval(s Spread) string { return fmt.Sprintf("%.3f–%.3f", s.Lo, s.Hi) }

func extremes(s Spread) string { return fmt.Sprintf("%.3f–%.3f", s.Min, s.Max) }
