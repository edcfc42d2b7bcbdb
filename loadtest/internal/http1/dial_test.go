package http1

import (
	"context"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
)

// A ring dials an address, and leaves names and zones to those who know them.
func TestWhatRingsDial(t *testing.T) {
	target := rawserver.Start(t, rawserver.Hang)[len("http://"):]
	c := codec{config: Config{Rings: true, PlainRing: true}}.client(t, Config{})
	for addr, byRing := range map[string]bool{
		target[:len(target)-1]: c.rings.Pick() != nil,
		"localhost:80":         false,
		"[fe80::1%lo]:80":      false,
	} {
		dialed := false
		conn, err := c.ringDialer(func(context.Context, string, string) (net.Conn, error) {
			dialed = true
			return nil, errTest
		})(t.Context(), "tcp", addr)
		require.Equal(t, !byRing, dialed, addr)
		if !byRing {
			require.ErrorIs(t, err, errTest, addr)
			continue
		}
		require.NoError(t, err, addr)
		conn.Close()
	}
}

// expired is a context whose deadline has come, and which does not know it yet.
type expired struct {
	context.Context
	deadline time.Time
}

func (c expired) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// A dialer keeps the deadline of its context itself, and fails with an error of its own.
func TestADialThatOutlastsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that the deadline is now, to the nanosecond
		now := time.Now()
		for _, tt := range []struct {
			deadline time.Time
			err      error
			want     error
		}{
			{now, os.ErrDeadlineExceeded, context.DeadlineExceeded},
			{now, errTest, errTest},
			{now.Add(time.Hour), os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
			{time.Time{}, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		} {
			c := codec{}.client(t, Config{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, tt.err }})
			_, err := c.connect(expired{t.Context(), tt.deadline}, get(t, "http://h/"), nil)
			require.Equal(t, &Error{PhasePool, tt.want}, err)
		}
	})
}
