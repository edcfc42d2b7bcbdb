package loadtest

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGateAdmitsOneAtATimeAndForgetsNobody(t *testing.T) {
	g := newGate()
	var wg sync.WaitGroup
	inside, n := 0, 0
	for i := range 16 {
		wg.Go(func() { // ends after its turns
			for k := range 2000 {
				g.Lock()
				inside++
				if inside != 1 {
					t.Error("two inside")
				}
				n++
				if (i+k)%7 == 0 {
					runtime.Gosched()
				}
				inside--
				g.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 32_000, n)
	require.Zero(t, g.waiters.Load())
}

func TestGateLetsVirtualTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { // ends after its turn
				g.Lock()
				defer g.Unlock()
				time.Sleep(time.Second)
			})
		}
		wg.Wait()
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}
