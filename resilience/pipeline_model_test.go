package resilience

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// pipelineModel is a naive pipeline: slices, a clock that is a number, and the
// rules of the documentation, one by one.
type pipelineModel struct {
	queueSize, batchSize int
	timeout              time.Duration
	policy               DropPolicy
	cost                 func(batch int) time.Duration // how long OnBatch takes

	now       time.Duration
	queue     []int
	waiting   []int
	headSince time.Duration
	busy      bool
	busyUntil time.Duration
	left      int
	flushTo   int

	batches []pipelineBatch
	metrics PipelineMetrics
}

type pipelineBatch struct {
	At    time.Duration
	Items []int
}

func (m *pipelineModel) advance(to time.Duration) {
	for {
		var at time.Duration
		switch {
		case m.busy:
			at = m.busyUntil
		case len(m.queue) > 0:
			at = m.headSince + m.timeout
		default:
			at = to + 1
		}
		if at > to {
			m.now = to
			return
		}
		m.now = max(m.now, at)
		if m.busy {
			m.busy = false
			m.work()
		} else {
			m.cut(len(m.queue))
		}
	}
}

// work is what the worker does when it looks at the queue.
func (m *pipelineModel) work() {
	switch {
	case m.busy || len(m.queue) == 0:
	case len(m.queue) >= m.batchSize:
		m.cut(m.batchSize)
	case m.flushTo > m.left || m.now >= m.headSince+m.timeout:
		m.cut(len(m.queue))
	}
}

func (m *pipelineModel) cut(n int) {
	m.batches = append(m.batches, pipelineBatch{m.now, slices.Clone(m.queue[:n])})
	m.queue = slices.Clone(m.queue[n:])
	m.left += n
	for len(m.queue) < m.queueSize && len(m.waiting) > 0 {
		m.accept(m.waiting[0])
		m.waiting = m.waiting[1:]
	}
	m.headSince = m.now
	m.busy = true
	m.busyUntil = m.now + m.cost(len(m.batches)-1)
}

func (m *pipelineModel) accept(item int) {
	if len(m.queue) == 0 {
		m.headSince = m.now
	}
	m.queue = append(m.queue, item)
	m.metrics.Put++
	m.metrics.PeakQueue = max(m.metrics.PeakQueue, len(m.queue))
}

func (m *pipelineModel) put(item int) {
	if len(m.queue) == m.queueSize {
		switch m.policy {
		case DropNewest:
			m.metrics.Put++
			m.metrics.Dropped++
			return
		case DropOldest:
			m.metrics.Dropped++
			m.queue = slices.Clone(m.queue[1:])
			m.left++
		default:
			m.waiting = append(m.waiting, item)
			return
		}
	}
	m.accept(item)
	m.work()
}

func (m *pipelineModel) flush() {
	m.flushTo = m.left + len(m.queue)
	m.work()
}

func (m *pipelineModel) stop(drain bool) {
	m.waiting = nil
	if !drain {
		m.metrics.Dropped += uint64(len(m.queue))
		m.queue = nil
	}
	for {
		if m.busy {
			m.now, m.busy = m.busyUntil, false
		}
		if len(m.queue) == 0 {
			return
		}
		m.cut(min(len(m.queue), m.batchSize))
	}
}

// pipelineFollowsModel plays a script on a pipeline and on the model, and
// compares every batch: its moment, its items, its order.
func pipelineFollowsModel(t *testing.T, script []byte) {
	t.Helper()
	if len(script) < 6 {
		return
	}
	head, ops := script[:6], script[6:]
	errOdd := errors.New("odd batch")
	// Odd units keep the worker's instants apart from the script's.
	cost := func(batch int) time.Duration {
		return time.Duration((batch*int(head[3]))%7)*(time.Millisecond+time.Microsecond) + 1
	}
	model := &pipelineModel{
		queueSize: 1 + int(head[0]%12),
		timeout:   time.Duration(1+head[2]%9)*time.Millisecond + 7,
		policy:    DropPolicy(head[4] % 3),
		cost:      cost,
	}
	model.batchSize = 1 + int(head[1])%model.queueSize
	drain := head[5]%2 == 0

	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var got []pipelineBatch
		var failed, reported uint64
		p, err := NewPipeline(PipelineConfig[int]{
			MaxQueueSize: model.queueSize, BatchSize: model.batchSize, BatchTimeout: model.timeout, DropOnFull: model.policy,
			OnBatch: func(_ context.Context, batch []int) error {
				index := len(got)
				got = append(got, pipelineBatch{time.Since(start), slices.Clone(batch)})
				time.Sleep(cost(index))
				switch index % 4 {
				case 1:
					failed += uint64(len(batch))
					return errOdd
				case 3:
					failed += uint64(len(batch))
					panic("odd batch")
				}
				return nil
			},
			OnError: func(err error, batch []int) {
				var panicked *PanicError
				if !errors.Is(err, errOdd) && !errors.As(err, &panicked) {
					t.Errorf("OnError was told %v", err)
				}
				reported += uint64(len(batch))
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		for item, op := range ops {
			switch {
			case op < 200: // puts, most of them close together
				go func() { _ = p.Put(context.Background(), item) }() // ends when there is room, or with Stop
				synctest.Wait()
				model.put(item)
			case op < 210:
				go func() { _ = p.Flush(context.Background()) }() // ends with the flush, or with Stop
				synctest.Wait()
				model.flush()
			}
			if op%3 == 0 || op >= 210 {
				time.Sleep(time.Duration(op%8) * time.Millisecond)
				synctest.Wait()
				model.advance(time.Since(start))
			}
		}
		final, err := p.Stop(context.Background(), drain)
		if err != nil {
			t.Fatalf("Stop: %v", err)
		}
		model.stop(drain)
		if !reflect.DeepEqual(got, model.batches) {
			t.Fatalf("queue %d batch %d timeout %v policy %d drain %v:\n got %v\nwant %v",
				model.queueSize, model.batchSize, model.timeout, model.policy, drain, got, model.batches)
		}
		want := model.metrics
		want.Batches, want.Failed = uint64(len(got)), failed
		want.Processed = want.Put - want.Dropped - failed
		final.BlockedTime = 0
		if final != want {
			t.Fatalf("metrics:\n got %+v\nwant %+v", final, want)
		}
		if reported != failed {
			t.Fatalf("OnError saw %d items, %d failed", reported, failed)
		}
	})
}

func TestPipelineFollowsModel(t *testing.T) {
	scripts := 400
	if testing.Short() {
		scripts = 50
	}
	for seed := range scripts {
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		script := make([]byte, 6+random.IntN(120))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		pipelineFollowsModel(t, script)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzPipelineFollowsModel(f *testing.F) {
	f.Add([]byte{3, 1, 2, 5, 0, 0, 0, 0, 0, 0, 205, 250, 0})
	f.Add([]byte{11, 3, 8, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 255, 1})
	f.Add([]byte{1, 0, 0, 6, 1, 0, 1, 1, 1, 216, 1, 3, 1})
	f.Fuzz(pipelineFollowsModel)
}
