package peers

import (
	"context"
	"net"

	"example.com/brunt/loadtest"
)

// wire is brunt's own HTTP/1.1 client.
func wire() loadtest.Client { return loadtest.Wire(loadtest.ConnectionConfig{}) }

// portableWire is the same where there is nothing better than a net.Conn, as with
// TLS, in-memory connections and other systems: it hides what is behind one.
func portableWire() loadtest.Client {
	return loadtest.Wire(loadtest.ConnectionConfig{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return struct{ net.Conn }{conn}, nil
		},
	})
}
