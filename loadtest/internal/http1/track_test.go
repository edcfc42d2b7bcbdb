package http1

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// A dial that succeeds only after the client was closed must not leave its
// connection behind.
func TestLateDialIsClosed(t *testing.T) {
	conns := NewConnections(errTest, nil)
	dialing, release := make(chan struct{}), make(chan struct{})
	client, server := net.Pipe()
	defer server.Close()
	dial := conns.Wrap(func(context.Context, string, string) (net.Conn, error) {
		close(dialing)
		<-release
		return client, nil
	})
	errs := make(chan error, 1)
	go func() { // ends with the dial
		_, err := dial(t.Context(), "tcp", "x")
		errs <- err
	}()
	<-dialing
	require.Zero(t, conns.CloseAll())
	close(release)
	require.ErrorIs(t, <-errs, errTest)
	_, err := client.Write([]byte("x"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Zero(t, conns.Open())
}
