//go:build !linux || mips || mipsle || mips64 || mips64le

package loadtest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// rings are for Linux only; see wire_ring_linux.go.
type rings struct{ plain bool }

func (*rings) adopt(conn net.Conn) (net.Conn, error) { return conn, nil }

func (*rings) close() {}

type ring struct{}

func (*rings) pick() *ring { return nil }

func (*ring) dial(context.Context, netip.AddrPort, time.Duration) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
