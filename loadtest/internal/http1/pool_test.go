package http1

import (
	"maps"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{expiry: time.Minute}
		var mu sync.Mutex
		closings := map[string]time.Duration{}
		closed := func() map[string]time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(closings)
		}
		start := time.Now()
		idle := func(name, key string) *conn {
			c := &noted{close: func() { mu.Lock(); defer mu.Unlock(); closings[name] = time.Since(start) }}
			return &conn{Conn: c, tcp: c, key: key}
		}
		require.Nil(t, p.get("h"))
		a, b, c := idle("a", "h"), idle("b", "h"), idle("c", "g")
		p.put(a)
		time.Sleep(10 * time.Second)
		p.put(b)
		p.put(c)
		require.Same(t, b, p.get("h"), "the one used last is the likeliest to be open")
		time.Sleep(40 * time.Second)
		p.put(b)
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		require.Empty(t, closed())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, map[string]time.Duration{"a": time.Minute, "c": 70 * time.Second, "b": 110 * time.Second}, closed())
		require.Empty(t, p.idle)

		d := idle("d", "h")
		p.put(d)
		d.expiry.Stop() // as if it had fired, and its goroutine were late
		require.Nil(t, p.get("h"), "too old to be used")
		p.close()
		require.Contains(t, closed(), "d")
		p.put(idle("e", "h"))
		require.Contains(t, closed(), "e", "a closed pool keeps nothing")
	})
}

// noted tells when it is first closed.
type noted struct {
	net.Conn
	close func()
}

func (n *noted) Close() error {
	if n.close != nil {
		n.close()
		n.close = nil
	}
	return nil
}
