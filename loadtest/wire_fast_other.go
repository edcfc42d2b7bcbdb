//go:build !linux

package loadtest

import "net"

// fastConn is for Linux only; see wire_fast_linux.go.
type fastConn struct{}

func newFastConn(net.Conn) *fastConn { return nil }

func (*fastConn) exchange(_ []byte, _ *window, _ *wireParser, _ bool) (wrote, read int, err error) {
	panic("loadtest: no fast connections on this system")
}
