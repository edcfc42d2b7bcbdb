package peers

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteNoise writes what two identical contestants differ by: a difference of
// others that is not larger says nothing.
func (r *Results) WriteNoise(w io.Writer) error {
	t := table{head: []string{"connections", "req/s", "min–max", "CPU/request", "min–max"}, left: 0}
	for _, concurrency := range r.plan.Concurrencies {
		rate, ok := r.Ratio(PlainAgain, PlainRoundTrip, concurrency, Measurement.Rate)
		if !ok {
			return nil
		}
		cpu, _ := r.Ratio(PlainAgain, PlainRoundTrip, concurrency, Measurement.CPUPerRequest)
		t.rows = append(t.rows, []string{fmt.Sprint(concurrency), ratio(rate), extremes(rate), ratio(cpu), extremes(cpu)})
	}
	if _, err := fmt.Fprintf(w, "Noise: %s ÷ %s, which are the same.\n\n", PlainAgain, PlainRoundTrip); err != nil {
		return fmt.Errorf("peers: write the noise: %w", err)
	}
	return t.write(w)
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
		if err := r.table(concurrency).write(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Results) table(concurrency int) table {
	t := table{left: 1, head: []string{
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
		t.rows = append(t.rows, row)
	}
	return t
}

// WriteVerdicts holds the bounds against the results.
func (r *Results) WriteVerdicts(w io.Writer, bounds []Bound) (met bool, err error) {
	met = true
	t := table{head: []string{"bound", "ratio", "95 % interval", "rounds that keep it", "verdict"}, left: 1}
	for _, b := range bounds {
		v := r.Judge(b)
		met = met && v.Met
		t.rows = append(t.rows, []string{
			b.String(), known(v.Known, ratio(v.Ratio)), known(v.Known, interval(v.Ratio)),
			known(v.Known, fmt.Sprintf("%d of %d", v.Rounds, len(v.Ratio.Values))), v.Word(),
		})
	}
	return met, t.write(w)
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

// table is Markdown that can be read as it stands: its columns are padded.
type table struct {
	head []string
	rows [][]string
	left int // how many columns are aligned to the left
}

func (t table) write(w io.Writer) error {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	line := func(row []string) {
		b.WriteByte('|')
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < t.left {
				b.WriteString(" " + cell + pad + " |")
			} else {
				b.WriteString(" " + pad + cell + " |")
			}
		}
		b.WriteByte('\n')
	}
	line(t.head)
	b.WriteByte('|')
	for i, width := range widths {
		if i < t.left {
			b.WriteString(strings.Repeat("-", width+2) + "|")
		} else {
			b.WriteString(strings.Repeat("-", width+1) + ":|")
		}
	}
	b.WriteByte('\n')
	for _, row := range t.rows {
		line(row)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("peers: write a table: %w", err)
	}
	return nil
}
