//go:build unix

package schedulertest

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/stretchr/testify/require"
)

// Hosts are network namespaces with an address each, joined by a bridge in another, so
// that nothing of it is seen in the network of this machine.
type Hosts struct {
	*Lab
	prefix string
}

// NewHosts makes so many hosts, which are gone when the test has ended. It takes root.
func (l *Lab) NewHosts(n int) *Hosts {
	l.Helper()
	l.Need("apt-get install iproute2 util-linux", "ip", "nsenter")
	h := &Hosts{Lab: l, prefix: fmt.Sprintf("brunt%d-", os.Getpid())}
	add := func(name string) {
		l.Helper()
		code, out := l.Run(10*time.Second, "ip", "netns", "add", name)
		require.Zero(l, code, "ip netns add %s, which takes root: %s", name, out)
		l.Cleanup(func() {
			// The test's own context has ended by now.
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if out, err := l.command(ctx, "ip", "netns", "del", name).CombinedOutput(); err != nil {
				l.Errorf("ip netns del %s: %v\n%s", name, err, out)
			}
		})
	}
	hub := h.prefix + "hub"
	add(hub)
	l.Must("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
	l.Must("ip", "-n", hub, "link", "set", "br0", "up")
	for i := range n {
		host, port := h.name(i), fmt.Sprintf("port%d", i)
		add(host)
		l.Must("ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host)
		l.Must("ip", "-n", hub, "link", "set", port, "master", "br0", "up")
		l.Must("ip", "-n", host, "addr", "add", h.Addr(i)+"/24", "dev", "eth0")
		l.Must("ip", "-n", host, "link", "set", "lo", "up")
		l.Must("ip", "-n", host, "link", "set", "eth0", "up")
	}
	return h
}

func (h *Hosts) name(i int) string { return fmt.Sprintf("%s%d", h.prefix, i) }

// Addr is the address of host i, from 0 on.
func (h *Hosts) Addr(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// On returns a command that is run on host i.
func (h *Hosts) On(i int, command ...string) []string {
	return append([]string{"nsenter", "--net=/run/netns/" + h.name(i)}, command...)
}
