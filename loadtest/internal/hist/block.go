package hist

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// cellBits makes 64 cells in an octave: a cell is at most 1.6 % of its values wide.
	cellBits = 6
	// maxCell is the cell of the last bucket of a histogram.
	maxCell = 36<<cellBits + 1<<cellBits - 1
	// MaxBlocks is how many blocks are kept. A variance gains next to nothing from more
	// (Schmeiser 1982: 10 to 30 batches), and loses where blocks become so short that
	// neighbors are alike.
	MaxBlocks = 32
)

// Block is the distribution of the latencies in a stretch of time, coarser than a
// Histogram: some kilobytes, be it of a second or an hour. Several show how much the
// quantiles vary, which the histogram of them all does not. It is not changed once made.
type Block struct {
	From, To time.Duration // since some instant that all blocks share
	N        int64         // how many latencies
	cells    []cell        // by index, none empty
}

var blockParts = Parts[Block]{
	Bounds: func(b Block) (from, to time.Duration) { return b.From, b.To },
	Join:   Block.and,
	Later: func(b Block, by time.Duration) Block {
		b.From, b.To = b.From+by, b.To+by
		return b
	},
}

// NewBlocks returns a series of at most MaxBlocks, of which the first are every long.
func NewBlocks(every time.Duration) Series[Block] {
	return Series[Block]{Parts: blockParts, Most: MaxBlocks, Every: every}
}

// MergeBlocks returns at most MaxBlocks with what is in a, later by shiftA, and in b, later
// by shiftB. Neither is changed.
func MergeBlocks(a []Block, shiftA time.Duration, b []Block, shiftB time.Duration) []Block {
	return blockParts.AtMost(MaxBlocks, joinOverlapping(blockParts.Interleave(a, shiftA, b, shiftB)))
}

// joinOverlapping joins those of blocks, in the order of time, which are mostly of the same
// time: what happened then happened to both.
func joinOverlapping(blocks []Block) (out []Block) {
	for _, x := range blocks {
		if n := len(out); n > 0 && x.From < out[n-1].From+(out[n-1].To-out[n-1].From)/2 {
			out[n-1] = out[n-1].and(x)
		} else {
			out = append(out, x)
		}
	}
	return out
}

type cell struct {
	index int
	n     int64
}

// cellOf returns the index of the cell of a value.
func cellOf(v uint64) int { return logLinear(v, cellBits) }

// NewBlock returns the distribution of h, which it does not keep.
func NewBlock(h *Histogram) Block {
	b := Block{N: h.Count()}
	for bucket, n := range h.buckets {
		index := cellOf(uint64(highest(bucket)))
		if last := len(b.cells) - 1; last >= 0 && b.cells[last].index == index {
			b.cells[last].n += n
		} else {
			b.cells = append(b.cells, cell{index, n})
		}
	}
	return b
}

// and joins b with next, which starts later or overlaps it. Neither is changed.
func (b Block) and(next Block) Block {
	out := Block{From: min(b.From, next.From), To: max(b.To, next.To), N: b.N + next.N}
	for x, y := b.cells, next.cells; len(x)+len(y) > 0; {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].index < y[0].index:
			out.cells, x = append(out.cells, x[0]), x[1:]
		case len(x) == 0 || y[0].index < x[0].index:
			out.cells, y = append(out.cells, y[0]), y[1:]
		default:
			out.cells = append(out.cells, cell{x[0].index, x[0].n + y[0].n})
			x, y = x[1:], y[1:]
		}
	}
	return out
}

// Busy returns the blocks that are not empty.
func Busy(blocks []Block) []Block {
	return slices.DeleteFunc(slices.Clone(blocks), func(b Block) bool { return b.N == 0 })
}

// JoinAll joins blocks, of which there is one or more.
func JoinAll(blocks []Block) Block {
	sum := blocks[0]
	for _, b := range blocks[1:] {
		sum = sum.and(b)
	}
	return sum
}

// at returns the cell of the value at rank q·n, and the share of the cell's values that
// lie below that rank. b must not be empty.
func (b Block) at(q float64) (index int, share float64) {
	rank := q * float64(b.N)
	for _, c := range b.cells {
		if float64(c.n) >= rank {
			return c.index, rank / float64(c.n)
		}
		rank -= float64(c.n)
	}
	return b.cells[len(b.cells)-1].index, 1
}

// upTo returns how many values lie below the cell with that index, and how many in it.
func (b Block) upTo(index int) (below, in int64) {
	for _, c := range b.cells {
		switch {
		case c.index < index:
			below += c.n
		case c.index == index:
			return below, c.n
		}
	}
	return below, 0
}

// Quantile returns the value at rank q·n to within a cell, or 1 ns at the least. b must
// not be empty.
func (b Block) Quantile(q float64) time.Duration {
	index, share := b.at(q)
	low, width := logLinearRange(index, cellBits)
	return time.Duration(max(float64(low)+share*float64(width), 1))
}

type blockJSON struct {
	From  float64 `json:"from_seconds"`
	To    float64 `json:"to_seconds"`
	Cells []byte  `json:"cells"` // for each, as uvarints: how far its index is from the one before, and its count
}

// MarshalJSON writes offsets in seconds, and the cells in base64.
func (b Block) MarshalJSON() ([]byte, error) {
	j := blockJSON{From: b.From.Seconds(), To: b.To.Seconds()}
	last := 0
	for _, c := range b.cells {
		j.Cells = binary.AppendUvarint(j.Cells, uint64(c.index-last))
		j.Cells = binary.AppendUvarint(j.Cells, uint64(c.n))
		last = c.index
	}
	return json.Marshal(j)
}

var errBlock = errors.New("loadtest: decoding a block of latencies: malformed cells")

// UnmarshalJSON reads what MarshalJSON wrote, without loss for times of up to a month.
func (b *Block) UnmarshalJSON(data []byte) error {
	var j blockJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	const most = math.MaxInt64 / 1e9 // seconds
	if j.From < 0 || j.To < j.From || j.To > most {
		return fmt.Errorf("loadtest: decoding a block of latencies: from %v s to %v s: out of range", j.From, j.To)
	}
	offset := func(seconds float64) time.Duration { return time.Duration(math.Round(seconds * 1e9)) }
	got := Block{From: offset(j.From), To: offset(j.To)}
	next := func() (uint64, bool) {
		v, size := binary.Uvarint(j.Cells)
		j.Cells = j.Cells[max(size, 0):]
		return v, size > 0
	}
	for index := uint64(0); len(j.Cells) > 0; {
		step, ok1 := next()
		n, ok2 := next()
		if !ok1 || !ok2 || step > maxCell || n == 0 || n > math.MaxInt64-uint64(got.N) || len(got.cells) > 0 && step == 0 {
			return errBlock
		}
		if index += step; index > maxCell {
			return errBlock
		}
		got.cells = append(got.cells, cell{int(index), int64(n)})
		got.N += int64(n)
	}
	*b = got
	return nil
}
