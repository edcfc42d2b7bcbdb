package resilience

// pipelineQueue is a ring that grows by doubling up to a limit and never
// shrinks. Its owner's lock guards it.
type pipelineQueue[T any] struct {
	ring []T
	head int
	size int
}

// push appends an item; the caller has made sure that size < limit.
func (q *pipelineQueue[T]) push(item T, limit int) {
	if size := q.size; size == len(q.ring) {
		length := min(max(64, 2*size), limit)
		q.ring = q.pop(make([]T, 0, length), size)[:length]
		q.head, q.size = 0, size
	}
	at := q.head + q.size
	if at >= len(q.ring) {
		at -= len(q.ring)
	}
	q.ring[at] = item
	q.size++
}

// pop moves the n oldest items to the end of dst.
func (q *pipelineQueue[T]) pop(dst []T, n int) []T {
	first := q.ring[q.head:min(q.head+n, len(q.ring))]
	dst = append(dst, first...)
	dst = append(dst, q.ring[:n-len(first)]...)
	q.drop(n)
	return dst
}

// drop forgets the n oldest items, and lets the collector have them.
func (q *pipelineQueue[T]) drop(n int) {
	end := min(q.head+n, len(q.ring))
	clear(q.ring[q.head:end])
	wrapped := n - (end - q.head)
	clear(q.ring[:wrapped])
	q.head += n
	if q.head >= len(q.ring) {
		q.head = wrapped
	}
	q.size -= n
}

// pipelineWaiter is a producer that waits for room with its item.
type pipelineWaiter[T any] struct {
	item    T
	verdict chan error // holds one, sent on leaving the list: nil when the item is in
}

// pipelineWaiters lists waiting producers in order of arrival, and keeps used
// nodes for the next. Its owner's lock guards it.
type pipelineWaiters[T any] struct {
	waitList[pipelineWaiter[T]]
	free *waitNode[pipelineWaiter[T]]
}

func (l *pipelineWaiters[T]) add(item T) *waitNode[pipelineWaiter[T]] {
	w := l.free
	if w != nil {
		l.free, w.next = w.next, nil
	} else {
		w = &waitNode[pipelineWaiter[T]]{value: pipelineWaiter[T]{verdict: make(chan error, 1)}}
	}
	w.value.item = item
	l.push(w)
	return w
}

// settle takes a waiter out and tells it the verdict.
func (l *pipelineWaiters[T]) settle(w *waitNode[pipelineWaiter[T]], verdict error) {
	l.remove(w)
	w.value.verdict <- verdict
}

// recycle keeps a waiter that is out of the list and has read its verdict.
func (l *pipelineWaiters[T]) recycle(w *waitNode[pipelineWaiter[T]]) {
	var none T
	w.value.item = none
	w.next = l.free
	l.free = w
}

// pipelineFlush is a caller of Flush.
type pipelineFlush struct {
	upTo    uint64     // number of the first item it does not wait for
	dropped bool       // one of its items was dropped by Stop
	result  chan error // holds one
}
