package resiliencetest

import (
	"io"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// leave closes what is idle and then the server, and returns how many connections were open
// in between, and what goroutines are there in the end that were not before.
func (w *world) leave(before map[string]string) (open int, left []string) {
	w.client.CloseIdleConnections()
	if closer, ok := w.tested.(io.Closer); ok {
		_ = closer.Close()
	}
	w.base.CloseIdleConnections()
	time.Sleep(time.Second)
	w.base.CloseIdleConnections() // those that were busy a moment ago
	time.Sleep(time.Second)
	w.mu.Lock()
	for _, c := range w.conns {
		if c.open() {
			open++
		}
	}
	w.mu.Unlock()
	w.tb.cleanUp()
	for range 10 {
		time.Sleep(time.Second)
		left = nil
		for id, stack := range bubbleGoroutines() {
			if _, was := before[id]; !was {
				left = append(left, stack)
			}
		}
		if left == nil {
			break
		}
	}
	return open, left
}

var goroutineHeader = regexp.MustCompile(`^goroutine (\d+) .*synctest bubble (\d+)`)

// bubbleGoroutines returns the goroutines of the caller's bubble by their ids, each as the
// line that says who started it.
func bubbleGoroutines() map[string]string {
	buf := make([]byte, 64<<10)
	own := goroutineHeader.FindSubmatch(buf[:runtime.Stack(buf, false)])
	if own == nil {
		return nil
	}
	bubble := string(own[2])
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 64<<20 {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	out := map[string]string{}
	for g := range strings.SplitSeq(string(buf[:n]), "\n\n") {
		head := goroutineHeader.FindStringSubmatch(g)
		if head == nil || head[2] != bubble {
			continue
		}
		_, creator, _ := strings.Cut(g, "created by ")
		creator, _, _ = strings.Cut(creator, " in goroutine")
		out[head[1]] = creator
	}
	return out
}
