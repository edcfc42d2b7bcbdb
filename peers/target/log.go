package target

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// A hitLog holds when each hit was answered. It is safe for concurrent use.
type hitLog struct {
	start time.Time
	mu    sync.Mutex
	at    []time.Duration // since start
}

func newHitLog() *hitLog { return &hitLog{start: time.Now(), at: make([]time.Duration, 0, 1<<20)} }

func (l *hitLog) note() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = append(l.at, time.Since(l.start))
}

// write writes the log to a file, for [ReadLog].
func (l *hitLog) write(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	buf := make([]byte, 0, 8*len(l.at))
	for _, at := range l.at {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(at))
	}
	if err := os.WriteFile(path, buf, 0o600); err != nil {
		return fmt.Errorf("target: write the log: %w", err)
	}
	return nil
}

// ReadLog reads when a server started by [SpawnLogged] answered each hit, from one
// instant on, in ascending order.
func ReadLog(path string) ([]time.Duration, error) {
	buf, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("target: read the log: %w", err)
	}
	var out []time.Duration
	for ; len(buf) >= 8; buf = buf[8:] {
		out = append(out, time.Duration(binary.LittleEndian.Uint64(buf)))
	}
	slices.Sort(out) // as it is, but for a server with several goroutines
	return out, nil
}
