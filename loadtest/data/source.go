package data

import "example.com/brunt/loadtest"

// Source sends requests of t with the values of the rows: in request number i, a
// placeholder stands for the value of row i in the column of its name. It ends with the
// rows; after [Rows.Cycle] it has no end, so limit it with [loadtest.Take] or
// [loadtest.Until]. If t names a column that there is not, the run ends with a
// [*ColumnError] before its first request.
func (r *Rows) Source(t *loadtest.Template) loadtest.Source {
	src := t.Source(func(i int64, name string) (string, error) {
		row, err := r.Row(i)
		if err != nil {
			return "", err
		}
		return row.Get(name)
	})
	if r.cycle {
		return src
	}
	return loadtest.Take(int64(r.Len()), src)
}
