//go:build linux && !(mips || mipsle || mips64 || mips64le)

package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

// withAndWithoutURing runs f over rings with io_uring and without. The race
// detector has all of them without.
func withAndWithoutURing(t *testing.T, f func(t *testing.T, plain bool)) {
	t.Helper()
	for name, plain := range map[string]bool{"io_uring": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			fixtures.NoLeaks(t)
			f(t, plain)
		})
	}
}

// ringsOf makes rings that end with the test.
func ringsOf(t *testing.T, plain bool) *rings {
	t.Helper()
	g := &rings{plain: plain}
	t.Cleanup(g.close)
	return g
}

// ringDial dials the server that serve is, by a ring of g.
func ringDial(t *testing.T, g *rings, serve func(net.Conn)) *ringConn {
	t.Helper()
	conn, err := net.Dial("tcp", hostOf(rawServer(t, serve))) //nolint:noctx // loopback
	require.NoError(t, err)
	conn, err = g.adopt(conn)
	require.NoError(t, err)
	require.IsType(t, &ringConn{}, conn)
	t.Cleanup(func() { conn.Close() })
	return conn.(*ringConn)
}

func hostOf(target string) string {
	return strings.TrimSuffix(strings.TrimPrefix(target, "http://"), "/")
}

// ringWireSession is a session of Wire over rings with io_uring or without.
func ringWireSession(t *testing.T, plain bool) *wireSession {
	t.Helper()
	c := Wire(ConnectionConfig{})
	c.(*wireClient).rings.plain = plain
	return sessionOf(t, c).(*wireSession)
}

// until waits until what is under r.mu is as cond says.
func (r *ring) until(t *testing.T, cond func() bool) {
	t.Helper()
	require.Eventually(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return cond() }, 30*time.Second, time.Microsecond)
}

func TestRingServesManyConnections(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		for _, procs := range []int{1, 2, 4} {
			before := runtime.GOMAXPROCS(procs)
			srv := fixtures.NewServer(t)
			client := Wire(ConnectionConfig{}).(*wireClient)
			client.rings.plain = plain
			engine := Start(t, AsyncConfig{MaxConcurrent: 50, Client: client})
			res, err := engine.Run(t.Context(), Times(1000, Get(srv.URL+"/bytes/10000"), Get(srv.URL+"/get"), Post(srv.URL+"/get", "text/plain", []byte("x"))))
			runtime.GOMAXPROCS(before)
			require.NoError(t, err)
			require.EqualValues(t, 1000, res.SuccessCount, "%v", res)
			require.EqualValues(t, 50, srv.Connections())
			require.Len(t, client.rings.all, (procs+1)/2)
			for _, r := range client.rings.all {
				require.Equal(t, !plain && !raceDetector && uringWorks(), r.uring != nil)
			}
			require.NoError(t, engine.Close(t.Context()))
		}
	})
}

func uringWorks() bool {
	u, err := newURing()
	if err == nil {
		u.close()
	}
	return err == nil
}

// More answers arrive at once than the pump takes events, and than an io_uring
// has entries.
func TestRingServesAllAtOnce(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		before := runtime.GOMAXPROCS(1) // one ring
		defer runtime.GOMAXPROCS(before)
		const all = 2*uringEntries + 10
		var arrived atomic.Int64
		open := make(chan struct{})
		srv := fixtures.NewServer(t, fixtures.WithHandler("/gate", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if arrived.Add(1) == all {
				close(open)
			}
			<-open
			_, _ = io.WriteString(w, r.URL.RawQuery)
		})))
		client := Wire(ConnectionConfig{})
		client.(*wireClient).rings.plain = plain
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

// A ring's connection reads and writes as any other: streams longer than the
// kernel's buffers, both ways at once, to the end.
func TestRingConnCarriesLongStreams(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		c := ringDial(t, ringsOf(t, plain), func(c net.Conn) {
			_, _ = io.Copy(c, c)
		})
		text := strings.Repeat("0123456789abcdef", 1<<19) // 8 MiB
		wrote := make(chan error, 1)
		go func() { // ends with the write
			_, err := io.WriteString(c, text)
			wrote <- err
		}()
		got := make([]byte, len(text))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.NoError(t, <-wrote)
		same := text == string(got) // a diff of megabytes helps nobody
		require.True(t, same)
		n, err := c.Read(nil)
		require.Zero(t, n)
		require.NoError(t, err)
		n, err = c.Write(nil)
		require.Zero(t, n)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Write(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// numbered is n bytes of which no two stretches are alike.
func numbered(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i>>16) ^ byte(i>>8) ^ byte(i) ^ seed
	}
	return p
}

// Requests that the kernel takes in many parts arrive whole, and none gets the
// answer of another.
func TestRingExchangesLongRequests(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		g := ringsOf(t, plain)
		errs := make(chan error)
		const all = 20
		for i := range all {
			out := numbered(1<<20, byte(i))
			c := ringDial(t, g, func(c net.Conn) {
				for {
					in := make([]byte, len(out))
					if _, err := io.ReadFull(c, in); err != nil {
						return
					}
					length := i
					if !bytes.Equal(in, out) {
						length = 10_000
					}
					_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, make([]byte, length))
				}
			})
			go func() { // ends with its answers
				errs <- func() error {
					var in window
					var p wireParser
					for range 3 {
						p.reset(false, false, 1<<20)
						wrote, n, err := c.exchange(out, &in, &p, false)
						if err != nil || wrote != len(out) {
							return fmt.Errorf("wrote %d: %w", wrote, err)
						}
						for {
							done, err := in.parse(&p, n)
							if err != nil {
								return err
							}
							if done {
								break
							}
							if n, err = c.Read(in.room(&p)); err != nil {
								return err
							}
						}
						if in.free(); p.bytes != int64(i) {
							return fmt.Errorf("%d got %d bytes", i, p.bytes)
						}
					}
					return nil
				}()
			}()
		}
		for range all {
			require.NoError(t, <-errs)
		}
	})
}

// Close and an expired deadline end what waits, and so does the end of the ring.
func TestRingConnEndsWhatWaits(t *testing.T) {
	ends := []struct {
		name string
		end  func(*rings, *ringConn)
		want error
	}{
		{"close", func(_ *rings, c *ringConn) { c.Close() }, net.ErrClosed},
		{"expire", func(_ *rings, c *ringConn) { _ = c.SetDeadline(past) }, os.ErrDeadlineExceeded},
		{"stop", func(g *rings, _ *ringConn) { g.close() }, net.ErrClosed},
	}
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		for _, tt := range ends {
			g := ringsOf(t, plain)
			ended := func(err error) {
				t.Helper()
				var opErr *net.OpError
				require.ErrorAs(t, err, &opErr, tt.name)
				require.ErrorIs(t, err, tt.want, tt.name)
			}
			silent := func(net.Conn) { <-t.Context().Done() }
			errs := make(chan error, 2)
			c := ringDial(t, g, silent)
			go func() { // ends with end
				_, err := c.Read(make([]byte, 10))
				errs <- err
			}()
			go func() { // as above: nobody reads what it writes
				_, err := c.Write(make([]byte, 16<<20))
				errs <- err
			}()
			c.ring.until(t, func() bool { return c.read.state == opWaiting && c.write.state == opWaiting })
			for _, out := range [][]byte{[]byte("short"), make([]byte, 16<<20)} {
				both := ringDial(t, g, silent)
				done := make(chan error)
				go func() { // ends with end
					_, _, err := both.exchange(out, new(window), new(wireParser), false)
					done <- err
				}()
				both.ring.until(t, func() bool {
					return both.read.state == opWaiting && (both.write.state == opWaiting || len(out) < 10 && both.write.n == len(out))
				})
				if tt.name == "stop" {
					both.Close()
				} else {
					tt.end(g, both)
				}
				ended(<-done)
			}
			tt.end(g, c)
			for range 2 {
				ended(<-errs)
			}
			_, _, err := c.exchange([]byte("x"), new(window), new(wireParser), false)
			ended(err)
		}
	})
}

// What is written directly goes on where it has stopped.
func TestRingConnWritesTheRestDirectly(t *testing.T) {
	fixtures.NoLeaks(t)
	c := ringDial(t, ringsOf(t, true), func(c net.Conn) { _, _ = io.Copy(c, c) })
	c.ring.mu.Lock()
	c.write.wake = make(chan struct{}, 1)
	c.write.start([]byte("written already, or not"))
	c.write.state, c.write.n = opUnderWay, len("written already, ")
	c.ring.mu.Unlock()
	c.writeDirectly()
	<-c.write.wake
	require.Equal(t, len("written already, or not"), c.write.n)
	got := make([]byte, len("or not"))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "or not", string(got))
}

// A connection that has expired between two requests is as good as before.
func TestRingConnOutlivesItsDeadline(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		c := ringDial(t, ringsOf(t, plain), func(c net.Conn) { _, _ = io.Copy(c, c) })
		require.NoError(t, c.SetDeadline(past))
		_, err := c.Write([]byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetDeadline(time.Time{}))
		_, err = c.Write([]byte("abc"))
		require.NoError(t, err)
		got := make([]byte, 3)
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "abc", string(got))
		require.ErrorIs(t, c.SetDeadline(time.Now().Add(time.Hour)), os.ErrNoDeadline)
		require.ErrorIs(t, c.SetReadDeadline(time.Time{}), os.ErrNoDeadline)
		require.ErrorIs(t, c.SetWriteDeadline(time.Time{}), os.ErrNoDeadline)
		require.Equal(t, "127.0.0.1", c.LocalAddr().(*net.TCPAddr).IP.String())
		require.NotEqual(t, c.LocalAddr(), c.RemoteAddr())
	})
}

// A descriptor is not closed while it is read from or written to: its number may
// be another connection's at once.
func TestRingConnIsClosedWhenNothingIsUnderWay(t *testing.T) {
	for name, o := range map[string]func(*ringConn) *ringOp{
		"read":  func(c *ringConn) *ringOp { return &c.read },
		"write": func(c *ringConn) *ringOp { return &c.write },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := socketPair(t)
			var err error
			c.fd, err = syscall.Dup(c.fd)
			require.NoError(t, err)
			c.ring = &ring{conns: []*ringConn{c}} // there is no pump
			c.read.wake, c.write.wake = make(chan struct{}, 1), make(chan struct{}, 1)
			o(c).start([]byte("x"))
			o(c).state = opUnderWay
			closed := make(chan error, 1)
			go func() { closed <- c.Close() }() // ends when nothing is under way
			synctest.Wait()
			require.Empty(t, closed, name)
			c.ring.mu.Lock()
			require.True(t, c.closed)
			if again := -int32(syscall.EAGAIN); name == "read" {
				c.received(again, 1)
			} else {
				c.sent(again)
			}
			c.ring.mu.Unlock()
			require.NoError(t, <-closed)
			<-o(c).wake
			require.ErrorIs(t, o(c).err, net.ErrClosed, name)
			require.Equal(t, []int32{0}, c.ring.free)
			require.Nil(t, c.ring.conns[0])
		})
	}
}

// An exchange ends when its request cannot be sent, whichever is known first:
// that or that there is no answer yet.
func TestRingExchangeEndsWithItsRequest(t *testing.T) {
	fixtures.NoLeaks(t)
	for _, sentFirst := range []bool{false, true} {
		c := ringDial(t, ringsOf(t, true), hang)
		c.ring.mu.Lock()
		c.both = true
		c.read.start(nil)
		c.write.start([]byte("x"))
		c.read.state, c.write.state = opUnderWay, opUnderWay
		if sentFirst {
			c.sent(-int32(syscall.ENOBUFS))
			require.Empty(t, c.read.wake)
			c.received(-int32(syscall.EAGAIN), 1)
		} else {
			c.received(-int32(syscall.EAGAIN), 1)
			require.Empty(t, c.read.wake)
			c.sent(-int32(syscall.ENOBUFS))
		}
		c.ring.mu.Unlock()
		require.Len(t, c.read.wake, 1)
		require.ErrorIs(t, c.write.err, syscall.ENOBUFS)
	}
}

// What is queued when a ring ends is done before.
func TestRingEndsWhenItsQueueIsDone(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		g := ringsOf(t, plain)
		c := ringDial(t, g, hang)
		r := c.ring
		r.mu.Lock()
		r.parked = false // as it is between two batches
		c.write.wake = make(chan struct{}, 1)
		require.False(t, c.post([]byte("queued")))
		r.mu.Unlock()
		require.False(t, (&ring{queue: []*ringConn{c}}).park(), "a pump does not sleep over its queue")
		g.close()
		require.Len(t, c.write.wake, 1)
		require.Equal(t, len("queued"), c.write.n)
		require.NoError(t, c.write.err)
		require.ErrorIs(t, r.add(&ringConn{ring: r}), net.ErrClosed, "the number of its epoll set may be something else's")
	})
}

// Events that were on their way when a connection was closed do not reach the one
// that has its slot.
func TestRingKnowsWhoseEventsTheyAre(t *testing.T) {
	r := &ring{conns: []*ringConn{nil, {stamp: 7}}}
	c := r.conns[1]
	c.read.state, c.write.state = opWaiting, opWaiting
	event := func(slot, stamp int32) {
		r.events[0] = syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT, Fd: slot, Pad: stamp}
		r.ready = 1
		require.False(t, r.gather())
		require.Zero(t, r.ready)
	}
	event(0, 7)
	event(1, 6)
	require.Empty(t, r.steps)
	require.False(t, c.readable || c.writable)
	event(1, 7)
	require.Len(t, r.steps, 2)
}

// An edge is told once: what a read has left there is remembered, so that the next
// exchange looks. A connection on which there is nothing yet has no buffer.
func TestRingRemembersWhatItHasNotRead(t *testing.T) {
	r := &ring{conns: []*ringConn{nil}}
	event := uint32(syscall.EPOLLIN)
	for _, tt := range []struct {
		reason   string
		more     uint32
		result   int32
		readable bool
	}{
		{"all was read", 0, readSize - 1, false},
		{"as much as there was room for", 0, readSize, true},
		{"the peer has closed its side behind it", syscall.EPOLLRDHUP, 10, true},
		{"and all of it", syscall.EPOLLHUP, 10, true},
		{"there was nothing", 0, -int32(syscall.EAGAIN), false},
	} {
		c := &ringConn{ring: r, in: new(window), parser: new(wireParser), both: true}
		c.read.wake = make(chan struct{}, 1)
		c.read.start(nil)
		in := c.in
		r.conns[0] = c
		r.events[0] = syscall.EpollEvent{Events: event | tt.more}
		r.ready = 1
		r.gather()
		require.Len(t, r.steps, 1, tt.reason)
		require.Len(t, r.steps[0].buf, readSize, tt.reason)
		r.steps[0].result = tt.result
		r.settle()
		require.Equal(t, tt.readable, c.readable, tt.reason)
		require.Equal(t, tt.result < 0, in.buf == nil, tt.reason)
		require.Equal(t, tt.result < 0, len(c.read.wake) == 0, tt.reason)
	}
}

// Slots are used again, and are many enough.
func TestRingReusesSlots(t *testing.T) {
	g := ringsOf(t, true)
	echo := func(c net.Conn) { _, _ = io.Copy(c, c) }
	first := ringDial(t, g, echo)
	for range 20 {
		c := ringDial(t, g, echo)
		require.NoError(t, c.Close())
	}
	require.LessOrEqual(t, len(first.ring.conns), 2)
}

// descriptors counts what the process has of a kind, and mappings of it.
func descriptors(t *testing.T, kind string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.Contains(to, kind) {
			n++
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return n + bytes.Count(maps, []byte(kind))
}

// Nothing is left of rings and their connections, and no child gets any.
func TestRingLeavesNothingBehind(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		srv := fixtures.NewServer(t)
		count := func() []int {
			return []int{descriptors(t, "eventpoll"), descriptors(t, "io_uring"), descriptors(t, "socket:")}
		}
		before := count()
		client := Wire(ConnectionConfig{})
		client.(*wireClient).rings.plain = plain
		s, err := client.Session()
		require.NoError(t, err)
		_, err = s.Do(t.Context(), Get(srv.URL+"/get"))
		require.NoError(t, err)
		c := s.(*wireSession).conn.dialed().(*ringConn)
		fds := []int{c.fd, c.ring.epoll}
		if c.ring.uring != nil {
			fds = append(fds, c.ring.uring.fd)
			require.Greater(t, descriptors(t, "io_uring"), before[1])
		}
		for _, fd := range fds {
			flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
			require.Zero(t, errno)
			require.NotZero(t, flags&syscall.FD_CLOEXEC)
		}
		require.NoError(t, s.Close())
		require.NoError(t, client.Close())
		require.Equal(t, before[:2], count()[:2])
		require.Eventually(t, func() bool { return count()[2] <= before[2] }, 30*time.Second, time.Millisecond, "the server's end too")
	})
}

// Where there is no ring any more, connections are what they were.
func TestRingAdoptsNothingAfterClose(t *testing.T) {
	srv := fixtures.NewServer(t)
	g := &rings{}
	g.close()
	conn, err := net.Dial("tcp", hostOf(srv.URL)) //nolint:noctx // loopback
	require.NoError(t, err)
	defer conn.Close()
	same, err := g.adopt(conn)
	require.NoError(t, err)
	require.Same(t, conn, same)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	same, err = ringsOf(t, true).adopt(ours)
	require.NoError(t, err)
	require.Same(t, ours, same, "what is not TCP is left alone")
}

// A request to a server that never answers ends with its context, and one that is
// being written too.
func TestRingHonoursCancellation(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		arrived := make(chan struct{}, 1)
		target := rawServer(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 10))
			arrived <- struct{}{}
			<-t.Context().Done()
		})
		s := ringWireSession(t, plain)
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

// What a server says unasked between two requests is not taken for an answer.
func TestRingDropsConnectionsThatSpeakUnasked(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		speak := make(chan struct{})
		target := rawServer(t, func(c net.Conn) {
			if readRequest(c) {
				_, _ = io.WriteString(c, okResponse)
				<-speak
				_, _ = io.WriteString(c, "HTTP/1.1 500 Nobody Asked\r\nContent-Length: 0\r\n\r\n")
				hang(c)
			}
		})
		s := ringWireSession(t, plain)
		for i := range 3 {
			r, err := s.Do(t.Context(), Get(target))
			require.NoError(t, err)
			require.Equal(t, 200, r.StatusCode)
			require.EqualValues(t, i+1, s.client.connectionsOpened())
			c := s.conn.dialed().(*ringConn)
			speak <- struct{}{}
			c.ring.until(t, func() bool { return c.readable })
		}
	})
}

// A check that never comes back leaves a session's connections to be closed.
func TestRingSurvivesChecksThatDoNotReturn(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		srv := fixtures.NewServer(t)
		for _, leave := range []func(){func() { panic(errTest) }, runtime.Goexit} {
			client := Wire(ConnectionConfig{}).(*wireClient)
			client.rings.plain = plain
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
			require.Zero(t, client.conns.count())
		}
	})
}
