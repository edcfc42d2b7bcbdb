package transport

import (
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/http1"
)

// What a request waited for connections is the sum of its waits, without the dials.
func TestWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trace Trace
		opened := 0
		hooks := trace.Hooks(func() { opened++ })
		wait := func(end func()) {
			hooks.GetConn("h:1")
			require.Equal(t, http1.PhasePool, trace.Phase())
			time.Sleep(time.Second)
			end()
			time.Sleep(time.Minute)
		}
		trace.Begin()
		wait(func() { hooks.DNSStart(httptrace.DNSStartInfo{}) })
		require.Equal(t, http1.PhaseDNS, trace.Phase())
		wait(func() { hooks.ConnectStart("tcp", "h:1") })
		hooks.TLSHandshakeStart()
		require.Equal(t, http1.PhaseTLS, trace.Phase())
		wait(func() { hooks.GotConn(httptrace.GotConnInfo{Reused: true}) })
		require.Equal(t, http1.PhaseHeaders, trace.Phase())
		wait(hooks.WroteHeaders)
		require.Equal(t, http1.PhaseHeaders, trace.Phase())
		require.Equal(t, 4*time.Second, trace.Waited())
		require.Zero(t, opened)

		trace.Begin()
		hooks.GotConn(httptrace.GotConnInfo{})
		require.Equal(t, 1, opened)
		hooks.DNSStart(httptrace.DNSStartInfo{})
		require.Equal(t, http1.PhaseHeaders, trace.Phase(), "a dial that was begun before goes on")
		trace.Enter(http1.PhaseBody)
		hooks.WroteHeaders()
		require.Equal(t, http1.PhaseBody, trace.Phase(), "the server need not read all")
		require.Zero(t, trace.Waited())
	})
}

func TestTracingTakesNoMemory(t *testing.T) {
	trace := Trace{Clock: new(http1.PhaseClock)}
	hooks := trace.Hooks(func() {})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		trace.Begin()
		hooks.GetConn("h:1")
		hooks.GotConn(httptrace.GotConnInfo{Reused: true})
		hooks.WroteHeaders()
		trace.Enter(http1.PhaseBody)
		trace.Waited()
	}))
}
