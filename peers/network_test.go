package peers

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"example.com/brunt/fixtures"
)

// The test of golang.org/x/net for whoever implements net.Conn.
func TestNetworkConn(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts []fixtures.NetworkOption
	}{
		{"ideal", nil},
		{"latency", []fixtures.NetworkOption{fixtures.WithLink(fixtures.Link{Latency: fixtures.Constant(time.Millisecond)})}},
		{"jitter", []fixtures.NetworkOption{fixtures.WithLink(fixtures.Link{Latency: fixtures.Uniform(0, 2*time.Millisecond)})}},
		{"bandwidth", []fixtures.NetworkOption{fixtures.WithLink(fixtures.Link{Bandwidth: 100 << 20})}},
		{"small buffer", []fixtures.NetworkOption{fixtures.WithBuffer(1000)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nettest.TestConn(t, func() (client, server net.Conn, stop func(), err error) {
				n := fixtures.NewNetwork(tc.opts...)
				l, err := n.Listen("server:80")
				if err != nil {
					return nil, nil, nil, err
				}
				defer l.Close()
				if client, err = n.DialContext(t.Context(), "tcp", "server:80"); err != nil {
					return nil, nil, nil, err
				}
				if server, err = l.Accept(); err != nil {
					return nil, nil, nil, err
				}
				return client, server, func() { _ = client.Close(); _ = server.Close() }, nil
			})
		})
	}
}
