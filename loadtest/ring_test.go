//go:build linux && !(mips || mipsle || mips64 || mips64le)

package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
	"example.com/brunt/internal/race"
	"example.com/brunt/loadtest/internal/http1"
)

// overRings runs f over rings with io_uring and without. The race detector has all
// of them without.
func overRings(t *testing.T, f func(t *testing.T, plain bool)) {
	t.Helper()
	for name, plain := range map[string]bool{"io_uring": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			if race.Enabled && !plain {
				t.Skip("the race detector has it plain")
			}
			fixtures.NoLeaks(t)
			f(t, plain)
		})
	}
}

// ringWire returns Wire over rings with io_uring or without.
func ringWire(t *testing.T, plain bool) *wireClient {
	t.Helper()
	c := Wire(ConnectionConfig{}).(*wireClient)
	cfg := c.cfg.http1(http1.Parse)
	cfg.PlainRing = plain
	require.NoError(t, c.Close())
	c.http1 = http1.NewClient(cfg)
	return c
}

func TestWireOverRingsServesManyConnections(t *testing.T) {
	overRings(t, func(t *testing.T, plain bool) {
		for _, procs := range []int{1, 2, 4} {
			before := runtime.GOMAXPROCS(procs)
			srv := fixtures.NewServer(t)
			client := ringWire(t, plain)
			engine := Start(t, AsyncConfig{MaxConcurrent: 50, Client: client})
			res, err := engine.Run(t.Context(), Times(1000, Get(srv.URL+"/bytes/10000"), Get(srv.URL+"/get"), Post(srv.URL+"/get", "text/plain", []byte("x"))))
			runtime.GOMAXPROCS(before)
			require.NoError(t, err)
			require.EqualValues(t, 1000, res.SuccessCount, "%v", res)
			require.EqualValues(t, 50, srv.Connections())
			require.NoError(t, engine.Close(t.Context()))
		}
	})
}

// More answers arrive at once than the pump takes events, and than an io_uring
// has entries.
func TestWireOverRingsServesAllAtOnce(t *testing.T) {
	overRings(t, func(t *testing.T, plain bool) {
		before := runtime.GOMAXPROCS(1) // one ring
		defer runtime.GOMAXPROCS(before)
		const all = 2*64 + 10 // an io_uring of ours has 64
		var arrived atomic.Int64
		open := make(chan struct{})
		srv := fixtures.NewServer(t, fixtures.WithHandler("/gate", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if arrived.Add(1) == all {
				close(open)
			}
			<-open
			_, _ = io.WriteString(w, r.URL.RawQuery)
		})))
		client := ringWire(t, plain)
		defer client.Close()
		var wg sync.WaitGroup
		errs := make(chan error, all)
		for i := range all {
			wg.Go(func() { // ends with its answers
				s, err := client.Session()
				if err != nil {
					errs <- err
					return
				}
				for range 3 {
					want := fmt.Sprint("mine is ", i)
					if _, err = s.Do(t.Context(), Get(srv.URL+"/get")); err == nil {
						_, err = s.Do(t.Context(), &Request{URL: srv.URL + "/gate?mine%20is%20" + fmt.Sprint(i), Check: bodyIs(want)})
					}
					if err != nil {
						break
					}
				}
				errs <- errors.Join(err, s.Close())
			})
		}
		wg.Wait()
		for range all {
			require.NoError(t, <-errs)
		}
		require.EqualValues(t, all, srv.Connections())
	})
}

// A request to a server that never answers ends with its context, and one that is
// being written too.
func TestWireOverRingsHonoursCancellation(t *testing.T) {
	overRings(t, func(t *testing.T, plain bool) {
		arrived := make(chan struct{}, 1)
		target := rawServer(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 10))
			arrived <- struct{}{}
			<-t.Context().Done()
		})
		s := sessionOf(t, ringWire(t, plain))
		for _, body := range [][]byte{nil, make([]byte, 16<<20)} {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { // ends when the request has arrived
				<-arrived
				cancel()
			}()
			_, err := s.Do(ctx, Post(target, "", body))
			require.ErrorIs(t, err, context.Canceled)
			cancel()
		}
	})
}

// A check that never comes back leaves a session's connections to be closed.
func TestWireOverRingsSurvivesChecksThatDoNotReturn(t *testing.T) {
	overRings(t, func(t *testing.T, plain bool) {
		srv := fixtures.NewServer(t)
		for _, leave := range []func(){func() { panic(errTest) }, runtime.Goexit} {
			client := ringWire(t, plain)
			e := Start(t, AsyncConfig{MaxConcurrent: 4, Client: client})
			var n atomic.Int64
			ended := make(chan struct{})
			go func() { // ends as the check does
				defer close(ended)
				defer func() { _ = recover() }()
				_, _ = e.Run(t.Context(), Times(100, &Request{URL: srv.URL + "/get", Check: func(Response) error {
					if n.Add(1) == 10 {
						leave()
					}
					return nil
				}}))
			}()
			<-ended
			require.NoError(t, e.Close(t.Context()))
			require.Zero(t, client.http1.Conns.Open())
		}
	})
}
