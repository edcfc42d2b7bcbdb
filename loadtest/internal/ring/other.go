//go:build !linux || mips || mipsle || mips64 || mips64le

package ring

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// A Group has rings on Linux only.
type Group struct{ Plain bool }

// Adopt returns conn.
func (*Group) Adopt(conn net.Conn) (net.Conn, error) { return conn, nil }

// Close does nothing.
func (*Group) Close() {}

// Pick returns nil: there is no ring.
func (*Group) Pick() *Ring { return nil }

// A Ring is for Linux only.
type Ring struct{}

// Dial fails with errors.ErrUnsupported.
func (*Ring) Dial(context.Context, netip.AddrPort, time.Duration) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
