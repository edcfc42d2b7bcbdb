package resiliencetest

import (
	"io"
	"strings"
	"time"

	"example.com/brunt/internal/bubbles"
)

// leave closes what is idle and then the server, and returns how many connections were open
// in between, and who started the goroutines that are there in the end.
func (w *world) leave() (open int, left []string) {
	w.client.CloseIdleConnections()
	if closer, ok := w.client.Transport.(io.Closer); ok {
		_ = closer.Close()
	}
	w.base.CloseIdleConnections()
	time.Sleep(time.Second)
	w.base.CloseIdleConnections() // those that were busy a moment ago
	time.Sleep(time.Second)
	open = int(w.open.Load())
	w.tb.cleanUp()
	for _, wait := range []time.Duration{time.Second, 9 * time.Second} {
		time.Sleep(wait)
		if left = started(); left == nil {
			return open, nil
		}
	}
	// Whoever only sleeps may end: once the bubble has ended its clock stands still, and they
	// would stay in the process.
	time.Sleep(2 * time.Hour)
	return open, left
}

// started returns who started each goroutine of the bubble that is neither its machinery nor
// a check's.
func started() (by []string) {
	for _, g := range bubbles.Others(bubbles.Of(bubbles.ID())) {
		if _, creator := g.Where(); !strings.Contains(creator, ".(*checker).spawn at ") {
			by = append(by, creator)
		}
	}
	return by
}
