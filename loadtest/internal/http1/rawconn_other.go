//go:build !linux

package http1

import "net"

// newRawConn is for Linux only; see rawconn_linux.go.
func newRawConn(net.Conn) exchanger { return nil }
