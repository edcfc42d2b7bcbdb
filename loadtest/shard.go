package loadtest

import (
	"fmt"
	"math"
	"os"

	"example.com/brunt/internal/scheduler"
)

// Shard is which of Count processes this is, that make one run together: see
// [Source.Shard], and package shards, which does the rest.
type Shard struct {
	Index int // from 0
	Count int
}

// Validate reports whether 0 ≤ Index < Count; the error matches [ErrConfig].
func (s Shard) Validate() error {
	if s.Index < 0 || s.Index >= s.Count {
		return fault("shard %d of %d: the index must be from 0 to one less than the count", s.Index, s.Count)
	}
	return nil
}

// String returns the shard as in "0/4".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// ShardFromEnv returns which shard this process is by its environment, and 0/1 if nothing
// says so. The scheduler that started it does:
//
//	Open MPI     OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE
//	PMIx         PMIX_RANK
//	Slurm array  SLURM_ARRAY_TASK_ID, and its _MIN, _MAX, _STEP and _COUNT
//	Slurm tasks  SLURM_PROCID and SLURM_STEP_NUM_TASKS, which srun sets
//	AWS Batch    AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE
//	Nomad        NOMAD_ALLOC_INDEX
//	Kubernetes   JOB_COMPLETION_INDEX, of an Indexed Job
//
// Of several the first in this list is believed. Where it does not tell the count,
// BRUNT_SHARDS must. BRUNT_SHARD=0/4 says it without a scheduler. What contradicts each
// other is an error that matches [ErrConfig], and so is a Slurm job of several tasks whose
// batch script runs without srun, once.
func ShardFromEnv() (Shard, error) {
	p, ok, err := scheduler.Find(os.LookupEnv)
	switch {
	case err != nil:
		return Shard{}, fault("%w", err)
	case !ok:
		return Shard{0, 1}, nil
	}
	return Shard{p.Index, p.Count}, nil
}

// Shard returns shard i of n of s: the requests with the numbers i, i+n, i+2n and so on, of
// a [Seq] counted as they are yielded. They keep their numbers, and so do users, so that
// with the same s in n processes each request is sent once, with its own data and its own
// random numbers. A limit by [Take], [Times] or a schedule before it is one of the whole;
// durations and concurrency are each shard's own.
//
// An [ArrivalEngine] sends only those arrivals of its schedule that have these numbers.
//
// Run fails with an error unless 0 ≤ i < n.
func (s Source) Shard(i, n int) Source {
	if s.open == nil {
		return Source{}
	}
	return Source{open: func(names *endpoints, validate func(*Request) error) (feed, error) {
		if err := (Shard{i, n}).Validate(); err != nil {
			return nil, err
		}
		f, err := s.open(names, validate)
		if err != nil {
			return nil, err
		}
		f = shardOf(f, part{int64(i), int64(n)})
		if f.size() == 0 {
			f.close()
			return nil, fmt.Errorf("%w: the source has no request for shard %d of %d", ErrEmptySource, i, n)
		}
		return f, nil
	}}
}

// shardOf returns the part p of what f hands out.
func shardOf(f feed, p part) feed {
	switch f := f.(type) {
	case *indexFeed:
		f.of = f.of.part(p)
		return f
	case *recordedFeed:
		f.of = f.of.part(p)
		return f
	case untilFeed:
		return untilFeed{shardOf(f.feed, p), f.limit}
	}
	return &shardFeed{f, f.part().part(p)}
}

// shardFeed is a part of a feed that hands out one request a claim.
type shardFeed struct {
	feed
	of part
}

func (f *shardFeed) claim(dst []item, share int) int {
	for f.feed.claim(dst[:1], share) == 1 {
		if f.of.has(dst[0].number) {
			return 1
		}
	}
	return 0
}

func (f *shardFeed) at(_ int64, dst []item) int { return f.claim(dst, 1) }
func (f *shardFeed) size() int64                { return f.of.size(f.feed.size()) }
func (f *shardFeed) part() part                 { return f.of }

// part is every n-th number from i on; the zero part is all of them.
type part struct{ i, n int64 }

func (p part) whole() bool { return p.n <= 1 }

// number returns number j of the part.
func (p part) number(j int64) int64 {
	if p.whole() {
		return j
	}
	return p.i + j*p.n
}

func (p part) has(number int64) bool {
	return p.whole() || number >= p.i && (number-p.i)%p.n == 0
}

// size returns how many numbers below total the part has; -1 for a total that is not known.
func (p part) size(total int64) int64 {
	if p.whole() || total < 0 {
		return total
	}
	return max(0, (total-p.i+p.n-1)/p.n)
}

// limit returns the lower of total and the total below which the part has n numbers.
func (p part) limit(total, n int64) int64 {
	if !p.whole() && n > (math.MaxInt64-p.i)/p.n {
		return total // there are never so many
	}
	if end := p.number(n-1) + 1; total < 0 || end < total {
		return end
	}
	return total
}

// from returns the first number of the part that is not below number.
func (p part) from(number int64) int64 { return p.number(p.size(number)) }

// part returns the part of p that has every of.n-th of its numbers from of.i on.
func (p part) part(of part) part {
	if p.whole() {
		return of
	}
	return part{p.number(of.i), p.n * of.n}
}
