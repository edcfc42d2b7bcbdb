package loadtest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// indexFeed hands out request numbers; its picker says which request each is. So
// claims need no lock.
type indexFeed struct {
	picker
	total int64    // of the numbers, which end before it; -1: no limit
	of    part     // what it hands out of them
	_     [64]byte // next is written by every worker: keep it off the line they read
	next  atomic.Int64
	_     [64]byte

	hasBack atomic.Bool // len(back) > 0
	ended   atomic.Bool // err is set
	mu      sync.Mutex
	back    []item // given back
	err     error
}

// picker says which request a number is. It is safe for concurrent use.
type picker interface {
	// pick fills dst with the requests from number first on, and returns how many
	// there are before one that is invalid.
	pick(dst []item, first int64) (int, error)
}

func (f *indexFeed) claim(dst []item, share int) int {
	if f.ended.Load() {
		return 0
	}
	if f.hasBack.Load() {
		if n := f.reclaim(dst, share); n > 0 {
			return n
		}
	}
	first, want := f.reserve(int64(len(dst)), int64(share))
	if f.of.whole() {
		return f.pickFrom(first, dst[:want])
	}
	for i := range want {
		if f.pickFrom(f.of.number(first+i), dst[i:i+1]) == 0 {
			return int(i)
		}
	}
	return int(want)
}

func (f *indexFeed) want(int64) {}

func (f *indexFeed) at(i int64, dst []item) int {
	if f.ended.Load() || f.total >= 0 && i >= f.total {
		return 0
	}
	return f.pickFrom(i, dst)
}

func (f *indexFeed) pickFrom(first int64, dst []item) int {
	n, err := f.pick(dst, first)
	for i := range dst[:n] {
		dst[i].number = first + int64(i)
	}
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.err == nil {
			f.err = err
		}
		f.ended.Store(true)
	}
	return n
}

// reserve takes at most most of the feed's requests, and returns the first and how many.
// Near the end the claims shrink (guided self-scheduling), so that no worker sits on a
// batch while the others have nothing left.
func (f *indexFeed) reserve(most, share int64) (first, n int64) {
	if f.total < 0 {
		return f.next.Add(most) - most, most
	}
	size := f.size()
	for {
		first = f.next.Load()
		left := size - first
		if left <= 0 {
			return first, 0
		}
		n = min(most, max(1, left/(2*share)))
		if f.next.CompareAndSwap(first, first+n) {
			return first, n
		}
	}
}

func (f *indexFeed) size() int64            { return f.of.size(f.total) }
func (f *indexFeed) part() part             { return f.of }
func (f *indexFeed) planned() time.Duration { return 0 }
func (f *indexFeed) close()                 {}

func (f *indexFeed) unclaim(rest []item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.back = append(f.back, rest...)
	f.hasBack.Store(true)
}

func (f *indexFeed) reclaim(dst []item, share int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(dst), len(f.back), max(1, len(f.back)/(2*share)))
	copy(dst, f.back[len(f.back)-n:])
	f.back = f.back[:len(f.back)-n]
	f.hasBack.Store(len(f.back) > 0)
	return n
}

func (f *indexFeed) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// cycle goes round a list.
type cycle []item

// newCycle returns a feed of total requests, cycling through reqs.
func newCycle(reqs []*Request, total int64, names *endpoints, validate func(*Request) error) (*indexFeed, error) {
	if total == 0 {
		return nil, ErrEmptySource
	}
	if len(reqs) == 0 {
		reqs = []*Request{{}}
	}
	items, err := newItems(reqs, names, validate)
	return &indexFeed{total: total, picker: cycle(items)}, err
}

// newItems validates requests; its error has every fault.
func newItems(reqs []*Request, names *endpoints, validate func(*Request) error) ([]item, error) {
	var faults []error
	items := make([]item, len(reqs))
	for i, r := range reqs {
		if err := validate(r); err != nil {
			faults = append(faults, fmt.Errorf("request %d: %w", i, err))
			continue
		}
		items[i] = item{req: r, endpoint: names.of(r)}
	}
	return items, errors.Join(faults...)
}

func (c cycle) pick(dst []item, first int64) (int, error) {
	if len(c) == 1 {
		for i := range dst {
			dst[i] = c[0]
		}
		return len(dst), nil
	}
	k := int(first % int64(len(c)))
	for i := range dst {
		dst[i] = c[k]
		if k++; k == len(c) {
			k = 0
		}
	}
	return len(dst), nil
}

// mix spreads the numbers over parts by the sequence of multiples of the golden
// ratio, modulo 1: of all such sequences it is the evenest (Knuth, The Art of
// Computer Programming, vol. 3, §6.4, theorem S), so that each part has its share
// at any time.
type mix struct {
	items  []item
	limits []uint64 // a part has the fractions up to its limit and above the one before, times 2⁶⁴
}

// goldenRatio is the golden ratio less 1, times 2⁶⁴.
const goldenRatio = 0x9e3779b97f4a7c15

func newMix(parts []Weighted, names *endpoints, validate func(*Request) error) (*mix, error) {
	if len(parts) == 0 {
		return nil, ErrEmptySource
	}
	var sum, largest float64 // weights in units of the largest, whose sum is finite
	var faults []error
	reqs := make([]*Request, len(parts))
	for i, p := range parts {
		if !(p.Weight > 0) || math.IsInf(p.Weight, 0) {
			faults = append(faults, fmt.Errorf("loadtest: Mix: part %d has the weight %v: must be above 0 and finite", i, p.Weight))
		}
		req, err := p.request()
		if err != nil {
			faults = append(faults, fmt.Errorf("loadtest: Mix: part %d %w", i, err))
		}
		reqs[i] = req
		largest = max(largest, p.Weight)
	}
	m := &mix{limits: make([]uint64, len(parts))}
	var err error
	m.items, err = newItems(reqs, names, validate)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	for _, p := range parts {
		sum += p.Weight / largest
	}
	var below float64
	for i, p := range parts {
		below += p.Weight / largest
		// A float64 holds 53 bits of the fraction.
		m.limits[i] = uint64(min(below/sum, 1-0x1p-53) * 0x1p64)
	}
	m.limits[len(parts)-1] = math.MaxUint64
	return m, nil
}

func (m *mix) pick(dst []item, first int64) (int, error) {
	at := uint64(first) * goldenRatio
	for i := range dst {
		k := 0
		for at > m.limits[k] {
			k++
		}
		dst[i] = m.items[k]
		at += goldenRatio
	}
	return len(dst), nil
}

// pickFunc asks a function of the user's.
type pickFunc struct {
	fn    func(int64) *Request
	known knownRequests
}

func (p *pickFunc) pick(dst []item, first int64) (int, error) {
	for i := range dst {
		it, err := p.known.item(p.fn(first + int64(i)))
		if err != nil {
			return i, fmt.Errorf("request %d: %w", first+int64(i), err)
		}
		dst[i] = it
	}
	return len(dst), nil
}

// knownRequests validates requests and numbers their names, once for each of the
// first maxKeptRequests. It is safe for concurrent use.
type knownRequests struct {
	names    *endpoints
	validate func(*Request) error

	items sync.Map // of *Request: item
	size  atomic.Int64
}

func (k *knownRequests) item(r *Request) (item, error) {
	if it, ok := k.items.Load(r); ok {
		return it.(item), nil
	}
	if err := k.validate(r); err != nil {
		return item{}, err
	}
	it := item{req: r, endpoint: k.names.of(r)}
	if k.size.Add(1) <= maxKeptRequests {
		k.items.Store(r, it)
	}
	return it, nil
}
