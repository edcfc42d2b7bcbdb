// Package benchreport renders a comparison: as benchstat's own table, as Markdown
// for a pull request, and as JSON. It decides nothing.
package benchreport

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchproc"
	"golang.org/x/perf/benchunit"

	"example.com/brunt/internal/benchgate"
)

// Table writes the set as benchstat with its default flags writes the two files
// that the set came from: byte by byte the same, which a test holds. benchstat's
// own table is an internal package.
func Table(w io.Writer, set *benchgate.Set, alpha float64, ignore []string) error {
	t, err := newTabulator(set, alpha, ignore)
	if err != nil {
		return err
	}
	return t.write(w)
}

type cell struct {
	values     []float64
	summary    benchmath.Summary
	sample     *benchmath.Sample
	comparison benchmath.Comparison
	base       *cell
}

type cellKey struct{ table, row, col benchproc.Key }

type tabulator struct {
	set        *benchgate.Set
	thresholds benchmath.Thresholds
	unit       *benchproc.Field
	cells      map[cellKey]*cell
	tables     []benchproc.Key
	rows, cols map[benchproc.Key][]benchproc.Key
}

func newTabulator(set *benchgate.Set, alpha float64, ignore []string) (*tabulator, error) {
	t := &tabulator{
		set: set, thresholds: benchmath.Thresholds{CompareAlpha: alpha},
		cells: make(map[cellKey]*cell), rows: make(map[benchproc.Key][]benchproc.Key), cols: make(map[benchproc.Key][]benchproc.Key),
	}
	all, err := benchproc.NewFilter("*")
	if err != nil {
		return nil, err
	}
	var parser benchproc.ProjectionParser
	table, unit, err := parser.ParseWithUnit(".config", all)
	if err != nil {
		return nil, err
	}
	row, err := parser.Parse(".fullname", all)
	if err != nil {
		return nil, err
	}
	col, err := parser.Parse(".file", all)
	if err != nil {
		return nil, err
	}
	for _, key := range append([]string{"commit"}, ignore...) {
		if _, err := parser.Parse(key, all); err != nil {
			return nil, err
		}
	}
	t.unit = unit
	for _, results := range set.Results {
		for _, r := range results {
			rk, ck := row.Project(r), col.Project(r)
			for i, tk := range table.ProjectValues(r) {
				t.add(cellKey{tk, rk, ck}, r.Values[i].Value)
			}
		}
	}
	benchproc.SortKeys(t.tables)
	for _, k := range t.tables {
		benchproc.SortKeys(t.rows[k])
		benchproc.SortKeys(t.cols[k])
		t.summarize(k)
	}
	return t, nil
}

func (t *tabulator) add(k cellKey, value float64) {
	c := t.cells[k]
	if c == nil {
		c = new(cell)
		t.cells[k] = c
		t.tables = addKey(t.tables, k.table)
		t.rows[k.table] = addKey(t.rows[k.table], k.row)
		t.cols[k.table] = addKey(t.cols[k.table], k.col)
	}
	c.values = append(c.values, value)
}

func addKey(keys []benchproc.Key, k benchproc.Key) []benchproc.Key {
	if slices.Contains(keys, k) {
		return keys
	}
	return append(keys, k)
}

func (t *tabulator) summarize(table benchproc.Key) {
	assume := t.set.Units().GetAssumption(table.Get(t.unit))
	for i, col := range t.cols[table] {
		for _, row := range t.rows[table] {
			c := t.cells[cellKey{table, row, col}]
			if c == nil {
				continue
			}
			c.sample = benchmath.NewSample(c.values, &t.thresholds)
			c.summary = assume.Summary(c.sample, 0.95)
			if i > 0 {
				if c.base = t.cells[cellKey{table, row, t.cols[table][0]}]; c.base != nil {
					c.comparison = assume.Compare(c.base.sample, c.sample)
				}
			}
		}
	}
}

func (t *tabulator) write(w io.Writer) error {
	var before benchproc.Key
	for i, table := range t.tables {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for _, f := range table.Projection().FlattenedFields() {
			if f.Name == ".unit" {
				continue
			}
			if val := table.Get(f); before.IsZero() || val != before.Get(f) {
				fmt.Fprintf(w, "%s: %s\n", f.Name, val)
			}
		}
		before = table
		if err := t.writeTable(w, table); err != nil {
			return err
		}
	}
	return nil
}

// The columns: the name; for each side its value, its range and its footnotes;
// for the second side then the delta, the p and their footnotes.
func start(col int) int {
	if col == 0 {
		return 1
	}
	return 4 + (col-1)*6
}

func (t *tabulator) writeTable(w io.Writer, table benchproc.Key) error {
	var g grid
	var notes footnotes
	unit, rows, cols := table.Get(t.unit), t.rows[table], t.cols[table]
	edge := start(len(cols) + 1)
	rule := func() { g.put(edge, 1, "", left, " │") }
	for i, col := range cols {
		g.put(start(i), start(i+1)-start(i), col.StringValues(), center, " │ ")
	}
	rule()
	g.line()
	for i := range cols {
		g.put(start(i), 3, unit, center, " │ ")
		end := start(i) + 3
		if i > 0 {
			g.put(end, 3, "vs base", left, "  ")
			end += 3
		}
		for c := start(i) + 1; c < end; c++ {
			g.fixed(c)
		}
	}
	rule()
	class := benchunit.ClassOf(unit)
	for _, row := range rows {
		g.line()
		g.cell(0, row.StringValues(), left)
		var centers []float64
		for _, col := range cols {
			if c := t.cells[cellKey{table, row, col}]; c != nil {
				centers = append(centers, c.summary.Center)
			}
		}
		scale := benchunit.CommonScale(centers, class)
		for i, col := range cols {
			c := t.cells[cellKey{table, row, col}]
			if c == nil {
				continue
			}
			at := start(i)
			g.cell(at, scale.Format(c.summary.Center), right)
			g.put(at+1, 1, c.summary.PctRangeString(), right, " ± ")
			g.cell(at+2, notes.mark(c.summary.Warnings), left)
			if c.base != nil {
				g.cell(at+3, c.comparison.FormatDelta(c.base.summary.Center, c.summary.Center), right)
				g.cell(at+4, "("+c.comparison.String()+")", left)
				g.cell(at+5, notes.mark(c.comparison.Warnings), left)
			}
		}
	}
	if len(rows) > 1 {
		g.line()
		g.cell(0, "geomean", left)
		for i := range cols {
			t.geomean(&g, &notes, table, i, class)
		}
	}
	if err := g.write(w); err != nil {
		return err
	}
	return notes.write(w)
}

// geomean writes the summary line of one column: over ratios, not of centers, so
// that sets which differ are compared where they agree.
func (t *tabulator) geomean(g *grid, notes *footnotes, table benchproc.Key, i int, class benchunit.Class) {
	var centers, ratios []float64
	var warnings []error
	computable, baselines := true, 0
	for _, row := range t.rows[table] {
		if t.cells[cellKey{table, row, t.cols[table][0]}] != nil {
			baselines++
		}
		c := t.cells[cellKey{table, row, t.cols[table][i]}]
		if c == nil {
			continue
		}
		centers = append(centers, c.summary.Center)
		if c.base == nil {
			continue
		}
		switch a, b := c.summary.Center, c.base.summary.Center; {
		case a == b:
			ratios = append(ratios, 1)
		case b == 0:
			computable = false
			ratios = append(ratios, 0)
		default:
			ratios = append(ratios, a/b)
		}
	}
	if i > 0 && baselines != len(ratios) {
		warnings = append(warnings, errors.New("benchmark set differs from baseline; geomeans may not be comparable"))
	}
	if mean := stats.GeoMean(centers); mean == mean { //nolint:gocritic // not NaN
		g.cell(start(i), benchunit.Scale(mean, class), right)
	} else {
		warnings = append(warnings, errors.New("summaries must be >0 to compute geomean"))
	}
	if i > 0 {
		mean, known := 0.0, false
		if computable {
			if mean = stats.GeoMean(ratios); mean == mean { //nolint:gocritic // not NaN
				known = true
			} else {
				warnings = append(warnings, errors.New("ratios must be >0 to compute geomean"))
			}
		}
		if known {
			g.cell(start(i)+3, fmt.Sprintf("%+.2f%%", (mean-1)*100), right)
		} else {
			g.cell(start(i)+3, "?", left)
		}
	}
	g.cell(start(i+1)-1, notes.mark(warnings), left)
}
