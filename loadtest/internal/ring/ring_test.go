//go:build linux && !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"example.com/brunt/fixtures"
	"example.com/brunt/loadtest/internal/rawserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errTest = errors.New("test error")

// withAndWithoutURing runs f over Group with io_uring and without. The race
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

// ringsOf makes Group that end with the test.
func ringsOf(t *testing.T, plain bool) *Group {
	t.Helper()
	g := &Group{Plain: plain}
	t.Cleanup(g.Close)
	return g
}

// ringDial dials the server that serve is, by a ring of g.
func ringDial(t *testing.T, g *Group, serve func(net.Conn)) *Conn {
	t.Helper()
	conn, err := net.Dial("tcp", hostOf(rawserver.Start(t, serve))) //nolint:noctx // loopback
	require.NoError(t, err)
	conn, err = g.Adopt(conn)
	require.NoError(t, err)
	require.IsType(t, &Conn{}, conn)
	t.Cleanup(func() { conn.Close() })
	return conn.(*Conn)
}

func hostOf(target string) string {
	return strings.TrimSuffix(strings.TrimPrefix(target, "http://"), "/")
}

// until waits until what is under r.mu is as cond says.
func (r *Ring) until(t *testing.T, cond func() bool) {
	t.Helper()
	require.Eventually(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return cond() }, 30*time.Second, time.Microsecond)
}

func uringWorks() bool {
	u, err := newURing()
	if err == nil {
		u.close()
	}
	return err == nil
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
					answer := fmt.Sprintf("answer %2d", i)
					if !bytes.Equal(in, out) {
						answer = "garbled!!"
					}
					_, _ = io.WriteString(c, answer)
				}
			})
			go func() { // ends with its answers
				errs <- func() error {
					var in Buffer
					want := fmt.Sprintf("answer %2d", i)
					for range 3 {
						wrote, n, err := c.Exchange(out, &in, false)
						if err != nil || wrote != len(out) {
							return fmt.Errorf("wrote %d: %w", wrote, err)
						}
						for in.Filled(n); len(in.Bytes()) < len(want); in.Filled(n) {
							if n, err = c.Read(in.Room(0)); err != nil {
								return err
							}
						}
						if got := string(in.Bytes()); got != want {
							return fmt.Errorf("got %q, want %q", got, want)
						}
						in.Free()
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
		end  func(*Group, *Conn)
		want error
	}{
		{"close", func(_ *Group, c *Conn) { c.Close() }, net.ErrClosed},
		{"expire", func(_ *Group, c *Conn) { _ = c.SetDeadline(past) }, os.ErrDeadlineExceeded},
		{"stop", func(g *Group, _ *Conn) { g.Close() }, net.ErrClosed},
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
					_, _, err := both.Exchange(out, new(Buffer), false)
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
			_, _, err := c.Exchange([]byte("x"), new(Buffer), false)
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
	for name, o := range map[string]func(*Conn) *operation{
		"read":  func(c *Conn) *operation { return &c.read },
		"write": func(c *Conn) *operation { return &c.write },
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := socketPair(t)
			var err error
			c.fd, err = syscall.Dup(c.fd)
			require.NoError(t, err)
			c.ring = &Ring{conns: []*Conn{c}} // there is no pump
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
		c := ringDial(t, ringsOf(t, true), rawserver.Hang)
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
		c := ringDial(t, g, rawserver.Hang)
		r := c.ring
		r.mu.Lock()
		r.parked = false // as it is between two batches
		c.write.wake = make(chan struct{}, 1)
		require.False(t, c.post([]byte("queued")))
		r.mu.Unlock()
		require.False(t, (&Ring{queue: []*Conn{c}}).park(), "a pump does not sleep over its queue")
		g.Close()
		require.Len(t, c.write.wake, 1)
		require.Equal(t, len("queued"), c.write.n)
		require.NoError(t, c.write.err)
		require.ErrorIs(t, r.add(&Conn{ring: r}), net.ErrClosed, "the number of its epoll set may be something else's")
	})
}

// Events that were on their way when a connection was closed do not reach the one
// that has its slot.
func TestRingKnowsWhoseEventsTheyAre(t *testing.T) {
	r := &Ring{conns: []*Conn{nil, {stamp: 7}}}
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
	r := &Ring{conns: []*Conn{nil}}
	event := uint32(syscall.EPOLLIN)
	for _, tt := range []struct {
		reason   string
		more     uint32
		result   int32
		readable bool
	}{
		{"all was read", 0, ReadSize - 1, false},
		{"as much as there was room for", 0, ReadSize, true},
		{"the peer has closed its side behind it", syscall.EPOLLRDHUP, 10, true},
		{"and all of it", syscall.EPOLLHUP, 10, true},
		{"there was nothing", 0, -int32(syscall.EAGAIN), false},
	} {
		c := &Conn{ring: r, in: new(Buffer), both: true}
		c.read.wake = make(chan struct{}, 1)
		c.read.start(nil)
		in := c.in
		r.conns[0] = c
		r.events[0] = syscall.EpollEvent{Events: event | tt.more}
		r.ready = 1
		r.gather()
		require.Len(t, r.steps, 1, tt.reason)
		require.Len(t, r.steps[0].buf, ReadSize, tt.reason)
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

// Nothing is left of Group and their connections, and no child gets any.
func TestRingLeavesNothingBehind(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		addr := hostOf(rawserver.Start(t, func(c net.Conn) { _, _ = io.Copy(c, c) }))
		count := func() []int {
			return []int{descriptors(t, "eventpoll"), descriptors(t, "io_uring"), descriptors(t, "socket:")}
		}
		before := count()
		g := &Group{Plain: plain}
		c, err := dialByRing(t.Context(), t, g, addr, time.Minute)
		require.NoError(t, err)
		_, _, err = c.Exchange([]byte("x"), new(Buffer), false)
		require.NoError(t, err)
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
		require.NoError(t, c.Close())
		g.Close()
		require.Equal(t, before[:2], count()[:2])
		require.Eventually(t, func() bool { return count()[2] <= before[2] }, 30*time.Second, time.Millisecond, "the server's end too")
	})
}

// Where there is no ring any more, connections are what they were.
func TestRingAdoptsNothingAfterClose(t *testing.T) {
	addr := hostOf(rawserver.Start(t, rawserver.Hang))
	g := &Group{}
	g.Close()
	conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback
	require.NoError(t, err)
	defer conn.Close()
	same, err := g.Adopt(conn)
	require.NoError(t, err)
	require.Same(t, conn, same)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	same, err = ringsOf(t, true).Adopt(ours)
	require.NoError(t, err)
	require.Same(t, ours, same, "what is not TCP is left alone")
}

// What a peer has sent while nothing was expected is not taken for an answer: the
// next exchange writes nothing.
func TestRingConnRefusesWhatCameUnasked(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		speak := make(chan struct{})
		c := ringDial(t, ringsOf(t, plain), func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 1))
			_, _ = io.WriteString(c, "answer")
			<-speak
			_, _ = io.WriteString(c, "unasked")
			rawserver.Hang(c)
		})
		in := new(Buffer)
		_, n, err := c.Exchange([]byte("x"), in, false)
		require.NoError(t, err)
		require.Equal(t, len("answer"), n)
		require.NoError(t, c.Peek())
		speak <- struct{}{}
		c.ring.until(t, func() bool { return c.readable })
		wrote, n, err := c.Exchange([]byte("x"), in, false)
		require.ErrorIs(t, err, ErrUnasked)
		require.Zero(t, wrote+n)
		require.ErrorIs(t, c.Peek(), ErrUnasked)
	})
}

// A group has a ring for every two CPUs, with an io_uring where there is one.
func TestGroupHasARingForEveryTwoCPUs(t *testing.T) {
	withAndWithoutURing(t, func(t *testing.T, plain bool) {
		for _, procs := range []int{1, 2, 4, 5} {
			before := runtime.GOMAXPROCS(procs)
			g := ringsOf(t, plain)
			for range 10 {
				require.NotNil(t, g.Pick())
			}
			runtime.GOMAXPROCS(before)
			require.Len(t, g.all, (procs+1)/2)
			for _, r := range g.all {
				require.Equal(t, !plain && !raceDetector && uringWorks(), r.uring != nil)
			}
		}
	})
}
