// Package markdown writes tables.
package markdown

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is a table that can be read as it stands: its columns are padded.
type Table struct {
	Head []string
	Rows [][]string
	Left int // how many columns are aligned to the left; the others to the right
}

// Write writes the table to w.
func (t Table) Write(w io.Writer) error {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	line := func(row []string) {
		b.WriteByte('|')
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < t.Left {
				b.WriteString(" " + cell + pad + " |")
			} else {
				b.WriteString(" " + pad + cell + " |")
			}
		}
		b.WriteByte('\n')
	}
	line(t.Head)
	b.WriteByte('|')
	for i, width := range widths {
		if i < t.Left {
			b.WriteString(strings.Repeat("-", width+2) + "|")
		} else {
			b.WriteString(strings.Repeat("-", width+1) + ":|")
		}
	}
	b.WriteByte('\n')
	for _, row := range t.Rows {
		line(row)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write a table: %w", err)
	}
	return nil
}
