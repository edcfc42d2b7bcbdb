package data

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func users(tb testing.TB) *Rows {
	tb.Helper()
	rows, err := ReadCSV(strings.NewReader("name,password\nann,a\nbob,b\neve,e\n"))
	require.NoError(tb, err)
	return rows
}

func TestEachRowIsUsedOnceOrInACycle(t *testing.T) {
	once := users(t)
	cycle := once.Cycle()
	var got []string
	for i := range int64(7) {
		row, err := cycle.Row(i)
		require.NoError(t, err)
		name, err := row.Get("name")
		require.NoError(t, err)
		got = append(got, name)

		single, err := once.Row(i)
		if i < 3 {
			require.NoError(t, err)
			require.Equal(t, row.values, single.values)
			continue
		}
		require.ErrorIs(t, err, ErrNoMoreRows)
		_, err = single.Get("name")
		require.ErrorIs(t, err, ErrNoColumn)
	}
	require.Equal(t, "ann bob eve ann bob eve ann", strings.Join(got, " "))
	_, err := cycle.Row(1<<63 - 1)
	require.NoError(t, err)
	require.Panics(t, func() { _, _ = once.Row(-1) })
	require.Equal(t, 3, cycle.Len())
}

func TestMissingColumnsAreNamedWithThoseThatThereAre(t *testing.T) {
	row, err := users(t).Row(0)
	require.NoError(t, err)
	_, err = row.Get("user")
	require.EqualError(t, err, `data: no column "user": there are ["name" "password"]`)
	require.ErrorIs(t, err, ErrNoColumn)
}

func TestRowsAreImmutable(t *testing.T) {
	rows := users(t)
	rows.Columns()[0] = "x"
	require.Equal(t, []string{"name", "password"}, rows.Columns())
}

func TestValuesAreGotWithoutAllocation(t *testing.T) {
	rows := users(t).Cycle()
	var i int64
	require.Zero(t, testing.AllocsPerRun(100, func() {
		row, err := rows.Row(i)
		if v, errGet := row.Get("password"); err != nil || errGet != nil || v == "" {
			t.Error(err, errGet)
		}
		i++
	}))
}

func TestRowsAreSafeForConcurrentUse(t *testing.T) {
	rows := users(t).Cycle()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // ends after its rows
			for i := range int64(100) {
				row, err := rows.Row(i)
				if v, errGet := row.Get("password"); err != nil || errGet != nil || v != string("abe"[i%3]) {
					t.Error(v, err, errGet)
				}
				if _, err := row.Get(fmt.Sprint(i)); err == nil {
					t.Error("a column that there is not")
				}
			}
		})
	}
	wg.Wait()
}
