package peers

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"example.com/brunt/peers/internal/markdown"
)

// View is what a report compares by.
type View struct {
	// References are the contestants to take ratios to: the first that took part.
	References []string
	// Quantity and Metric are what the ratios are of.
	Quantity string
	Metric   Metric
}

// Outside is the view of a run against a server in another process, InOne of one
// with the server inside.
var (
	Outside = View{[]string{Wrk, PlainRoundTrip}, perCPU, Measurement.PerCPUSecond}
	InOne   = View{[]string{PlainDo}, rate, Measurement.Rate}
)

// same are the contestants that come twice.
var same = [][2]string{{WrkAgain, Wrk}, {PlainAgain, PlainRoundTrip}}

// WriteNoise writes what two identical contestants differ by: a difference of
// others that is not larger says nothing.
func (r *Results) WriteNoise(w io.Writer) error {
	t := markdown.Table{
		Head: []string{"what is the same", "connections", "req/s", "min–max", "CPU/request", "min–max"}, Left: 1,
	}
	for _, pair := range same {
		for _, n := range r.plan.Connections {
			speed, ok := r.Ratio(pair[0], pair[1], n, Measurement.Rate)
			if !ok {
				continue
			}
			cpu, _ := r.Ratio(pair[0], pair[1], n, Measurement.CPUPerRequest)
			t.Rows = append(t.Rows, []string{
				pair[0] + " ÷ " + pair[1], fmt.Sprint(n), ratio(speed), extremes(speed), ratio(cpu), extremes(cpu),
			})
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprint(w, "Noise, what the same contestant differs by from itself:\n\n"); err != nil {
		return fmt.Errorf("peers: write the noise: %w", err)
	}
	if err := write(w, t); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return fmt.Errorf("peers: write the noise: %w", err)
	}
	return nil
}

// WriteTables writes a table for each number of connections, by rising CPU time,
// and after it why anybody is missing.
func (r *Results) WriteTables(w io.Writer, v View) error {
	for _, n := range r.plan.Connections {
		reference := v.reference(r, n)
		_, err := fmt.Fprintf(w, "%d connections; medians of %d rounds. × is the ratio of %s to %s in the same round.\n\n",
			n, r.plan.Rounds, v.Quantity, cmp.Or(reference, "nobody"))
		if err != nil {
			return fmt.Errorf("peers: write a table: %w", err)
		}
		if err := write(w, r.table(n, v, reference)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return fmt.Errorf("peers: write a table: %w", err)
		}
	}
	return r.writeOut(w)
}

func (v View) reference(r *Results, connections int) string {
	for _, name := range v.References {
		if _, ok := r.Of(name, connections, v.Metric); ok {
			return name
		}
	}
	return ""
}

func (r *Results) table(connections int, v View, reference string) markdown.Table {
	t := markdown.Table{Left: 1, Head: []string{
		"contestant", "req/s", "min–max", "CPU µs/request", "min–max", "×", "min–max",
		"allocs/request", "peak RSS MB", "errors", "client busy", "server busy",
	}}
	by := func(name string) float64 {
		s, _ := r.Of(name, connections, Measurement.CPUPerRequest)
		return s.Median
	}
	contestants := slices.Clone(r.plan.Contestants)
	slices.SortStableFunc(contestants, func(a, b Contestant) int { return cmp.Compare(by(a.Name), by(b.Name)) })
	var missing [][]string
	for _, c := range contestants {
		of := func(m Metric) Spread {
			s, _ := r.Of(c.Name, connections, m)
			return s
		}
		if err := r.out[cell{c.Name, connections}]; err != nil {
			row := slices.Repeat([]string{"–"}, len(t.Head))
			row[0], row[1] = c.Name, "failed"
			if errors.Is(err, ErrNotInstalled) {
				row[1] = ErrNotInstalled.Error()
			}
			missing = append(missing, row)
			continue
		}
		speed, cpu := of(Measurement.Rate), of(Measurement.CPUPerRequest)
		rel, ok := r.Ratio(c.Name, reference, connections, v.Metric)
		rss := of(Measurement.PeakRSS)
		t.Rows = append(t.Rows, []string{
			c.Name, fmt.Sprintf("%.0f", speed.Median), fmt.Sprintf("%.0f–%.0f", speed.Min, speed.Max),
			fmt.Sprintf("%.1f", cpu.Median), fmt.Sprintf("%.1f–%.1f", cpu.Min, cpu.Max),
			known(ok, ratio(rel)), known(ok, extremes(rel)),
			known(of(Measurement.AllocsPerRequest).Max > 0, fmt.Sprintf("%.1f", of(Measurement.AllocsPerRequest).Median)),
			known(rss.Median > 0, fmt.Sprintf("%.1f", rss.Median)), fmt.Sprintf("%.0f", total(of(Measurement.Errors))),
			percent(of(Measurement.ClientBusy)), known(of(Measurement.ServerBusy).Max > 0, percent(of(Measurement.ServerBusy))),
		})
	}
	t.Rows = append(t.Rows, missing...)
	return t
}

// writeOut says why contestants are missing.
func (r *Results) writeOut(w io.Writer) error {
	var said []string
	for _, n := range r.plan.Connections {
		for _, c := range r.plan.Contestants {
			err := r.out[cell{c.Name, n}]
			if err == nil {
				continue
			}
			text := fmt.Sprintf("- %s, %d connections: %v\n", c.Name, n, err)
			if errors.Is(err, ErrNotInstalled) {
				text = fmt.Sprintf("- %v\n", err)
			}
			if !slices.Contains(said, text) {
				said = append(said, text)
			}
		}
	}
	if len(said) == 0 {
		return nil
	}
	for _, text := range append(append([]string{"Missing:\n\n"}, said...), "\n") {
		if _, err := io.WriteString(w, text); err != nil {
			return fmt.Errorf("peers: write what is missing: %w", err)
		}
	}
	return nil
}

// WriteMemory writes what each connection costs in memory, if the run was at scale.
func (r *Results) WriteMemory(w io.Writer) error {
	for _, n := range r.plan.Connections {
		if n < Scale {
			continue
		}
		t := markdown.Table{Left: 1, Head: []string{
			"contestant", "open at once", fmt.Sprintf("heap and stacks at %d, MB", Base), fmt.Sprintf("at %d", n), "KiB a connection",
			fmt.Sprintf("peak RSS at %d, MB", Base), fmt.Sprintf("at %d", n), "KiB a connection",
		}}
		for _, c := range r.plan.Contestants {
			open, _ := r.Of(c.Name, n, Measurement.OpenConnections)
			row, grown := []string{c.Name, fmt.Sprintf("%.0f", open.Min)}, false
			for _, m := range []Metric{Measurement.MemoryKiB, Measurement.RSSKiB} {
				low, _ := r.Of(c.Name, Base, m)
				high, _ := r.Of(c.Name, n, m)
				growth, ok := r.Growth(c.Name, Base, n, m)
				grown = grown || ok
				row = append(row, known(ok, megabytes(low)), known(ok, megabytes(high)), known(ok, fmt.Sprintf("%.1f", growth.Median)))
			}
			if grown {
				t.Rows = append(t.Rows, row)
			}
		}
		if _, err := fmt.Fprintf(w, "Memory of the client's process, from %d to %d connections:\n\n", Base, n); err != nil {
			return fmt.Errorf("peers: write the memory: %w", err)
		}
		if err := write(w, t); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return fmt.Errorf("peers: write the memory: %w", err)
		}
	}
	return nil
}

// WriteVerdicts holds the bounds against the results.
func (r *Results) WriteVerdicts(w io.Writer, bounds []Bound) (met bool, err error) {
	met = true
	t := markdown.Table{Head: []string{"bound", "measured", "95 % interval", "rounds that keep it", "verdict"}, Left: 1}
	for _, b := range bounds {
		v := r.Judge(b)
		met = met && v.Met
		t.Rows = append(t.Rows, []string{
			b.String(), known(v.Known, ratio(v.Measured)), known(v.Known, interval(v.Measured)),
			known(v.Known, fmt.Sprintf("%d of %d", v.Rounds, len(v.Measured.Values))), v.Word(),
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

func total(s Spread) (sum float64) {
	for _, x := range s.Values {
		sum += x
	}
	return sum
}

func megabytes(kib Spread) string { return fmt.Sprintf("%.1f", kib.Median*1024/1e6) }

func percent(s Spread) string { return fmt.Sprintf("%.0f %%", 100*s.Median) }

func ratio(s Spread) string { return fmt.Sprintf("%.3f", s.Median) }

func interval(s Spread) string { return fmt.Sprintf("%.3f–%.3f", s.Lo, s.Hi) }

func extremes(s Spread) string { return fmt.Sprintf("%.3f–%.3f", s.Min, s.Max) }
