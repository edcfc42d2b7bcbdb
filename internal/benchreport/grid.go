package benchreport

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type alignment int

const (
	left alignment = iota
	center
	right
)

// grid lays text out in columns by the rules of benchstat's tables: a cell may
// span columns, which grow to hold it evenly, but for those that are fixed.
type grid struct {
	cells []gridCell
	row   int
	fix   map[int]bool
}

type gridCell struct {
	row, col, span int
	text, margin   string // the margin is to the left of the text
	align          alignment
}

func (g *grid) line() { g.row++ }

func (g *grid) fixed(col int) {
	if g.fix == nil {
		g.fix = make(map[int]bool)
	}
	g.fix[col] = true
}

func (g *grid) put(col, span int, text string, align alignment, margin string) {
	g.cells = append(g.cells, gridCell{g.row, col, span, text, margin, align})
}

func (g *grid) cell(col int, text string, align alignment) {
	margin := " "
	if col == 0 || text == "" {
		margin = ""
	}
	g.put(col, 1, text, align, margin)
}

// widths returns the width of each column with its margin, and the margins.
func (g *grid) widths() (widths, margins []int) {
	n := 0
	for _, c := range g.cells {
		n = max(n, c.col+c.span)
	}
	widths, margins = make([]int, n), make([]int, n)
	for _, c := range g.cells {
		margins[c.col] = max(margins[c.col], utf8.RuneCountInString(c.margin))
	}
	bySpan := slices.Clone(g.cells)
	slices.SortStableFunc(bySpan, func(a, b gridCell) int { return cmp.Compare(a.span, b.span) })
	for _, c := range bySpan {
		need := utf8.RuneCountInString(c.text) + margins[c.col]
		if c.span == 1 {
			widths[c.col] = max(widths[c.col], need)
			continue
		}
		total := 0
		for _, w := range widths[c.col : c.col+c.span] {
			total += w
		}
		if total < need {
			g.widen(widths, c, need)
		}
	}
	return widths, margins
}

// widen spreads what a cell needs over those of its columns that may grow, the
// widest first: a column that is wide already leaves less for the others to take.
func (g *grid) widen(widths []int, c gridCell, need int) {
	var growing []int
	for col := c.col; col < c.col+c.span; col++ {
		if g.fix[col] {
			need -= widths[col]
		} else {
			growing = append(growing, col)
		}
	}
	slices.SortStableFunc(growing, func(a, b int) int { return cmp.Compare(widths[b], widths[a]) })
	for i, col := range growing {
		left := len(growing) - i
		widths[col] = max(widths[col], (need+left-1)/left)
		need -= widths[col]
	}
}

func (g *grid) write(w io.Writer) error {
	out := bufio.NewWriter(w)
	widths, margins := g.widths()
	offset := make([]int, len(widths)+1)
	for i, width := range widths {
		offset[i+1] = offset[i] + width
	}
	slices.SortStableFunc(g.cells, func(a, b gridCell) int {
		return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.col, b.col))
	})
	row, at := 0, 0
	for _, c := range g.cells {
		if strings.TrimSpace(c.text) == "" && strings.TrimSpace(c.margin) == "" {
			continue // no spaces at the end of a line
		}
		for ; row < c.row; row++ {
			fmt.Fprintln(out)
			at = 0
		}
		fmt.Fprintf(out, "%*s%*s", offset[c.col]-at, "", margins[c.col], c.margin)
		at = offset[c.col] + margins[c.col]
		room := offset[c.col+c.span] - at
		text := c.text
		switch c.align {
		case center:
			text = strings.Repeat(" ", max(0, room-utf8.RuneCountInString(text))/2) + text
		case right:
			text = strings.Repeat(" ", max(0, room-utf8.RuneCountInString(text))) + text
		}
		fmt.Fprint(out, text)
		at += utf8.RuneCountInString(text)
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// footnotes numbers the warnings below a table.
type footnotes struct{ texts []string }

func (f *footnotes) mark(warnings []error) string {
	var marks []string
	for _, w := range warnings {
		i := slices.Index(f.texts, w.Error())
		if i < 0 {
			i = len(f.texts)
			f.texts = append(f.texts, w.Error())
		}
		marks = append(marks, superscript(i+1))
	}
	return strings.Join(marks, " ")
}

func (f *footnotes) write(w io.Writer) error {
	for i, text := range f.texts {
		if _, err := fmt.Fprintf(w, "%s %s\n", superscript(i+1), text); err != nil {
			return err
		}
	}
	return nil
}

func superscript(n int) string {
	return strings.Map(func(r rune) rune { return []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[r-'0'] }, strconv.Itoa(n))
}
