package resilience

// waitList is a first-in first-out list with removal from the middle. Its owner's
// lock guards it. Nodes belong to their users, who may put them in again.
type waitList[T any] struct {
	first, last *waitNode[T]
	len         int
}

type waitNode[T any] struct {
	value      T
	queued     bool // it is in the list
	prev, next *waitNode[T]
}

func (l *waitList[T]) push(n *waitNode[T]) {
	n.prev, n.queued = l.last, true
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.len++
}

func (l *waitList[T]) remove(n *waitNode[T]) {
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next, n.queued = nil, nil, false
	l.len--
}
