package loadtest

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
)

func TestADialThatHangsEnds(t *testing.T) {
	addr := rawserver.Deaf(t)
	req := Get("http://" + addr + "/")
	requireConnecting := func(t *testing.T, err error) {
		t.Helper()
		var at *PhaseError
		require.ErrorAs(t, err, &at)
		require.Equal(t, PhaseConnect, at.Phase)
	}
	t.Run("with its time limit", func(t *testing.T) {
		s := wireSessionOf(t, ConnectionConfig{Timeout: 10 * time.Millisecond})
		_, err := s.Do(t.Context(), req)
		requireConnecting(t, err)
		require.Equal(t, ClassTimeoutConnect, classify(err))
		require.ErrorContains(t, err, "dial tcp "+addr+": i/o timeout")
	})
	t.Run("with its request", func(t *testing.T) {
		s := wireSessionOf(t, ConnectionConfig{})
		sorry := errors.New("sorry")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(sorry) })
		_, err := s.Do(ctx, req)
		require.ErrorIs(t, err, sorry)
		requireConnecting(t, err)
	})
	t.Run("with its request's deadline", func(t *testing.T) {
		s := wireSessionOf(t, ConnectionConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := s.Do(ctx, req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireConnecting(t, err)
	})
	t.Run("with its client", func(t *testing.T) {
		c := Wire(ConnectionConfig{})
		s, err := c.Session()
		require.NoError(t, err)
		time.AfterFunc(10*time.Millisecond, func() { _ = c.Close() })
		_, err = s.Do(t.Context(), req)
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, s.Close())
	})
}

func TestADialThatIsRefusedSaysSo(t *testing.T) {
	l := listenOn(t, "tcp", "127.0.0.1:0")
	require.NoError(t, l.Close())
	s := wireSessionOf(t, ConnectionConfig{})
	_, err := s.Do(t.Context(), Get("http://"+l.Addr().String()+"/"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Equal(t, ClassRefused, classify(err))
	require.ErrorContains(t, err, "dial tcp "+l.Addr().String()+": connect: ")
}

func TestADialAfterCloseOpensNothing(t *testing.T) {
	l := listenOn(t, "tcp", "127.0.0.1:0")
	t.Cleanup(func() { l.Close() })
	c := Wire(ConnectionConfig{})
	s, err := c.Session()
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = s.Do(t.Context(), Get("http://"+l.Addr().String()+"/"))
	require.ErrorIs(t, err, ErrClosed)
	require.Zero(t, c.(*wireClient).http1.Conns.Opened())
}
