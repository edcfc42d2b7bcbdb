package data

import (
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrNoMoreRows is returned where each row is used once and all have been.
	ErrNoMoreRows = errors.New("data: no more rows")
	// ErrNoColumn matches errors about a column that there is not.
	ErrNoColumn = errors.New("data: no such column")
)

// ColumnError names a column that there is not. It matches [ErrNoColumn].
type ColumnError struct {
	Name    string
	Columns []string // that there are
}

func (e *ColumnError) Error() string {
	return fmt.Sprintf("data: no column %q: there are %q", e.Name, e.Columns)
}

// Is matches ErrNoColumn.
func (e *ColumnError) Is(target error) bool { return target == ErrNoColumn }

// Rows is a table with named columns and at least one row. It is immutable, and safe for
// concurrent use by multiple goroutines.
type Rows struct {
	columns []string
	at      map[string]int
	values  []string // row by row
	cycle   bool
}

// newRows returns a table without rows. Its error has every fault of the columns.
func newRows(columns []string) (*Rows, error) {
	r := &Rows{columns: slices.Clone(columns), at: make(map[string]int, len(columns))}
	var faults []error
	for i, name := range r.columns {
		first, twice := r.at[name]
		switch {
		case name == "":
			faults = append(faults, fmt.Errorf("column %d has no name", i+1))
		case twice:
			faults = append(faults, fmt.Errorf("columns %d and %d are both named %q", first+1, i+1, name))
		}
		r.at[name] = i
	}
	return r, errors.Join(faults...)
}

// Cycle returns the same rows, to be used again and again.
func (r *Rows) Cycle() *Rows {
	cycle := *r
	cycle.cycle = true
	return &cycle
}

// Len returns the number of rows.
func (r *Rows) Len() int { return len(r.values) / len(r.columns) }

// Columns returns the names of the columns, in their order.
func (r *Rows) Columns() []string { return slices.Clone(r.columns) }

// Row returns row i, from 0 on. From row [Rows.Len] on there are [ErrNoMoreRows], or it
// begins anew after [Rows.Cycle]. It panics if i is negative.
func (r *Rows) Row(i int64) (Row, error) {
	if i < 0 {
		panic(fmt.Sprintf("data: row %d", i))
	}
	if n := int64(r.Len()); i >= n {
		if !r.cycle {
			return Row{}, ErrNoMoreRows
		}
		i %= n
	}
	return Row{r, r.values[int(i)*len(r.columns):][:len(r.columns)]}, nil
}

// Row is a row of a table. Get one from [Rows.Row].
type Row struct {
	rows   *Rows
	values []string
}

// Get returns the value in the column name. If there is none, its error is a
// [*ColumnError]. It does not allocate.
func (r Row) Get(name string) (string, error) {
	if r.rows == nil {
		return "", &ColumnError{Name: name}
	}
	i, ok := r.rows.at[name]
	if !ok {
		return "", &ColumnError{name, r.rows.Columns()}
	}
	return r.values[i], nil
}
