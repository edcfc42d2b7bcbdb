package hist

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// piece is a part that knows of which pieces it was made.
type piece struct {
	from, to time.Duration
	of       []int
}

var pieces = Parts[piece]{
	Bounds: func(p piece) (from, to time.Duration) { return p.from, p.to },
	Join: func(a, b piece) piece {
		return piece{min(a.from, b.from), max(a.to, b.to), append(a.of[:len(a.of):len(a.of)], b.of...)}
	},
	Later: func(p piece, by time.Duration) piece { return piece{p.from + by, p.to + by, p.of} },
}

func secondAt(i int) piece {
	from := time.Duration(i) * time.Second
	return piece{from, from + time.Second, []int{i}}
}

func TestSeriesIsBounded(t *testing.T) {
	const most = 36
	for _, n := range []int{1, 2, most, most + 1, most + 2, 2 * most, 2*most + 1, 2000} {
		s := Series[piece]{Parts: pieces, Most: most, Every: time.Second}
		for i := range n {
			require.Equal(t, time.Duration(i)*time.Second, s.End())
			s.Add(secondAt(i))
			require.LessOrEqual(t, len(s.Rows), most)
		}
		width, next := max(s.width, 1), 0
		for i, row := range s.Rows {
			if i+1 < len(s.Rows) {
				require.Len(t, row.of, width)
			}
			require.LessOrEqual(t, len(row.of), width, "the last is not all that follows")
			require.Equal(t, time.Duration(len(row.of))*time.Second, row.to-row.from)
			for _, k := range row.of {
				require.Equal(t, next, k, "each piece once, in their order")
				next++
			}
		}
		require.Equal(t, n, next)
		require.Greater(t, len(s.Rows), min(n, most)/2-1)
	}
}

// How short a last row is, is measured by the others, however many have been joined.
func TestASliverIsMeasuredByItsNeighbors(t *testing.T) {
	for end, rows := range map[time.Duration]int{999 * time.Millisecond: 1, time.Second: 2, 1001 * time.Millisecond: 2} {
		s := Series[piece]{Parts: pieces, Every: time.Second, Rows: []piece{{to: 2 * time.Second}, {from: 2 * time.Second, to: 2*time.Second + end}}, width: 2}
		require.Len(t, s.Close(), rows, "%v", end)
		require.Equal(t, 2*time.Second+end, s.End())
	}
	alone := Series[piece]{Parts: pieces, Every: time.Second, Rows: []piece{{to: 1}}}
	require.Len(t, alone.Close(), 1, "there is none to join it to")
}

// A row is of the latest so many parts only if all it was made of is.
func TestLatestRows(t *testing.T) {
	for _, tt := range []struct{ width, parts, rows int }{{0, 3, 3}, {1, 3, 3}, {2, 4, 2}, {2, 5, 2}, {4, 3, 0}, {1, 9, 6}} {
		s := Series[piece]{Rows: make([]piece, 6), width: tt.width}
		got := s.Latest(tt.parts)
		require.Len(t, got, tt.rows, "%+v", tt)
		if tt.rows > 0 {
			require.Same(t, &s.Rows[5], &got[tt.rows-1])
		}
	}
}

// Neighbors are joined only where there are too many, and an odd one stays as it is.
func TestAtMostJoinsNeighbors(t *testing.T) {
	rows := func(n int) (out []piece) {
		for i := range n {
			out = append(out, secondAt(i))
		}
		return out
	}
	require.Equal(t, rows(4), pieces.AtMost(4, rows(4)))
	got := pieces.AtMost(4, rows(5))
	require.Len(t, got, 3)
	require.Equal(t, []int{2, 3}, got[1].of)
	require.Equal(t, secondAt(4), got[2])
}

func TestInterleave(t *testing.T) {
	a, b := []piece{secondAt(0), secondAt(1)}, []piece{secondAt(0), secondAt(1), secondAt(2)}
	var from []time.Duration
	for _, p := range pieces.Interleave(a, 500*time.Millisecond, b, 0) {
		from = append(from, p.from)
	}
	require.Equal(t, []time.Duration{0, 5e8, 1e9, 15e8, 2e9}, from)
	require.Equal(t, secondAt(0), a[0], "what is interleaved does not change")
}
