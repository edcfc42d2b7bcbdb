package hist

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABlockHasTheHistogramsCounts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		h, cells := New(), make(map[int]int64)
		for range rng.IntN(2000) {
			d := time.Duration(rng.Int64N(1 << (1 + rng.IntN(41))))
			h.Record(d)
			cells[cellOf(uint64(d))]++
		}
		b := NewBlock(h)
		require.Equal(t, h.Count(), b.N)
		require.Len(t, b.cells, len(cells))
		for i, c := range b.cells {
			require.Equal(t, cells[c.index], c.n)
			if i > 0 {
				require.Greater(t, c.index, b.cells[i-1].index)
			}
		}
		for _, q := range []float64{0.01, 0.5, 0.99} {
			if b.N > 0 {
				require.InDelta(t, float64(h.Quantile(q)), float64(b.Quantile(q)), 1+0.016*float64(h.Quantile(q)), "q=%v", q)
			}
		}
	}
	require.Equal(t, maxCell, cellOf(uint64(highest(numBuckets-1))))
}

func TestBlocksAreJoinedAsIfTheyHadBeenOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	whole := New()
	var blocks []Block
	for i := range 7 {
		h := New()
		for range rng.IntN(300) {
			d := time.Duration(rng.Int64N(int64(time.Second)))
			h.Record(d)
			whole.Record(d)
		}
		b := NewBlock(h)
		b.From, b.To = time.Duration(i), time.Duration(i+1)
		blocks = append(blocks, b)
	}
	before := blocks[0].cells[0]
	want := NewBlock(whole)
	want.To = 7
	require.Equal(t, want, JoinAll(blocks))
	require.Equal(t, before, blocks[0].cells[0], "what is joined does not change")
}

// ofSecond returns a block of one second with one request.
func ofSecond(from time.Duration) Block {
	h := New()
	h.Record(from)
	b := NewBlock(h)
	b.From, b.To = from, from+time.Second
	return b
}

func TestBlocksAreBounded(t *testing.T) {
	for _, tt := range []struct{ seconds, blocks int }{{0, 0}, {1, 1}, {32, 32}, {33, 17}, {34, 17}, {64, 32}, {65, 16}, {66, 17}, {3600, 28}} {
		s := NewBlocks(time.Second)
		for i := range tt.seconds {
			s.Add(ofSecond(time.Duration(i) * time.Second))
		}
		blocks := s.Close()
		require.Len(t, blocks, tt.blocks, "%d s", tt.seconds)
		var n int64
		var end time.Duration
		for _, b := range blocks {
			require.Equal(t, end, b.From)
			end, n = b.To, n+b.N
		}
		require.EqualValues(t, tt.seconds, n)
	}
}

func TestBlocksOfTwoRuns(t *testing.T) {
	seconds := func(offset time.Duration, n int) (out []Block) {
		for i := range n {
			out = append(out, ofSecond(offset+time.Duration(i)*time.Second))
		}
		return out
	}
	for _, tt := range []struct {
		reason         string
		a, b           []Block
		shiftA, shiftB time.Duration
		want           int
		end            time.Duration
	}{
		{"side by side", seconds(0, 10), seconds(0, 10), 0, 200 * time.Millisecond, 10, 10200 * time.Millisecond},
		{"one after the other", seconds(0, 10), seconds(0, 10), 0, 10 * time.Second, 20, 20 * time.Second},
		{"the other one before", seconds(0, 10), seconds(0, 10), 10 * time.Second, 0, 20, 20 * time.Second},
		{"too many", seconds(0, 30), seconds(0, 30), 0, time.Hour, 30, time.Hour + 30*time.Second},
		{"one without", seconds(0, 10), nil, time.Second, 0, 10, 11 * time.Second},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			got := MergeBlocks(tt.a, tt.shiftA, tt.b, tt.shiftB)
			require.Len(t, got, tt.want)
			require.EqualValues(t, len(tt.a)+len(tt.b), JoinAll(got).N)
			require.Equal(t, tt.end, got[len(got)-1].To)
			if len(tt.b) > 0 {
				require.Zero(t, tt.b[0].From, "the other result does not change")
			}
		})
	}
}

func FuzzBlockJSON(f *testing.F) {
	h, _ := independent.run(1, 1, 100, nil)
	data, err := json.Marshal(NewBlock(h))
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"from_seconds":1,"to_seconds":2,"cells":null}`))
	f.Add([]byte(`{"from_seconds":2,"to_seconds":1}`))
	f.Add([]byte(`{"cells":"AAE="}`))     // a cell at 0
	f.Add([]byte(`{"cells":"AAA="}`))     // an empty cell
	f.Add([]byte(`{"cells":"AQ=="}`))     // cut off
	f.Add([]byte(`{"cells":"/////w8B"}`)) // no such cell
	f.Add([]byte(`{"cells":"AQEAAQ=="}`)) // the same cell twice
	f.Fuzz(func(t *testing.T, data []byte) {
		var b, again Block
		if json.Unmarshal(data, &b) != nil {
			require.Zero(t, b)
			return
		}
		var n int64
		for i, c := range b.cells {
			require.Positive(t, c.n)
			require.LessOrEqual(t, c.index, maxCell)
			if i > 0 {
				require.Greater(t, c.index, b.cells[i-1].index)
			}
			n += c.n
		}
		require.Equal(t, n, b.N)
		out, err := json.Marshal(b)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &again))
		require.Equal(t, b.cells, again.cells)
	})
}
