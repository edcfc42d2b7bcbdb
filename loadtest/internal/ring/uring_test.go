//go:build linux && !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"example.com/brunt/fixtures"
)

func uringOf(t *testing.T) *uring {
	t.Helper()
	u, err := newURing()
	if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
		t.Skip("this system has no io_uring: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(u.close)
	return u
}

// Falling back is silent, so it must not happen without need.
func TestRingHasAURingWhereItCan(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector does not see what io_uring writes")
	}
	uringOf(t)
	for _, plain := range []bool{false, true} {
		r, err := newRing(plain)
		require.NoError(t, err)
		require.Equal(t, plain, r.uring == nil)
		r.close()
	}
}

// socketPair is two connected sockets that do not wait.
func socketPair(t *testing.T) (a, b *Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	})
	return &Conn{fd: fds[0]}, &Conn{fd: fds[1]}
}

// manySteps are n sends of two bytes each over one connection, and then n receives;
// the last finds nothing.
func manySteps(a, b *Conn, n int) (steps []step) {
	for i := range n {
		steps = append(steps, step{conn: a, buf: []byte{byte(i), byte(i >> 8)}, send: true})
	}
	for range n + 1 {
		steps = append(steps, step{conn: b, buf: make([]byte, 2)})
	}
	return steps
}

func requireDone(t *testing.T, steps []step, n int) {
	t.Helper()
	for i, s := range steps {
		switch {
		case i < n:
			require.EqualValues(t, 2, s.result, i)
		case i < 2*n:
			require.EqualValues(t, 2, s.result, i)
			require.Equal(t, []byte{byte(i - n), byte((i - n) >> 8)}, s.buf, i)
		default:
			require.Equal(t, -int32(syscall.EAGAIN), s.result)
		}
	}
}

// Steps are done in their order, however many they are, and none waits.
func TestURingDoesMoreStepsThanItHasEntries(t *testing.T) {
	u := uringOf(t)
	a, b := socketPair(t)
	for _, n := range []int{1, 2, uringEntries/2 - 1, uringEntries / 2, 200} { // of which a socket holds no more
		var steps []step
		for range 3 {
			steps = append(steps, manySteps(a, b, n)...)
		}
		require.Equal(t, len(steps), u.perform(steps))
		for part := range slices.Chunk(steps, 2*n+1) {
			requireDone(t, part, n)
		}
	}
	require.Zero(t, u.perform(nil))
	require.NoError(t, syscall.Shutdown(b.fd, syscall.SHUT_RDWR))
	steps := []step{{conn: a, buf: []byte("x"), send: true}, {conn: a, buf: []byte("x")}}
	require.Equal(t, 2, u.perform(steps))
	require.Equal(t, -int32(syscall.EPIPE), steps[0].result)
	require.Zero(t, steps[1].result)
}

// An event that comes while a read or write is tried, and finds nothing, is not
// lost: it is tried again. These sockets take a moment to find nothing.
func TestRingConnTriesAgainAfterAnEventMeanwhile(t *testing.T) {
	fixtures.NoLeaks(t)
	moment := syscall.NsecToTimeval((100 * time.Millisecond).Nanoseconds())
	for name, send := range map[string]bool{"read": false, "write": true} {
		c, peer := socketPair(t)
		c.ring = &Ring{parked: true} // there is no pump
		c.read.wake, c.write.wake = make(chan struct{}, 1), make(chan struct{}, 1)
		o, event, try, end, limit := &c.read, &c.readable, c.Read, syscall.Write, syscall.SO_RCVTIMEO
		buf := []byte("x")
		if send {
			var full error
			for full == nil {
				_, full = syscall.Write(c.fd, make([]byte, 4096))
			}
			require.Equal(t, syscall.EAGAIN, full)
			o, event, try, end, limit = &c.write, &c.writable, c.Write, syscall.Read, syscall.SO_SNDTIMEO
			buf = make([]byte, 1<<20)
		}
		require.NoError(t, syscall.SetNonblock(c.fd, false))
		require.NoError(t, syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, limit, &moment))
		for tried := false; !tried; {
			done := make(chan error, 1)
			go func() { // ends below
				_, err := try(buf)
				done <- err
			}()
			c.ring.until(t, func() bool {
				tried = o.state == opUnderWay
				*event = tried
				return o.state != opNone
			})
			if !tried { // the moment has passed
				c.ring.mu.Lock()
				c.interrupt(errTest)
				c.ring.mu.Unlock()
				require.ErrorIs(t, <-done, errTest)
				continue
			}
			again := false
			c.ring.until(t, func() bool {
				again = !*event
				return again || o.state == opWaiting
			})
			require.True(t, again, name)
			c.ring.mu.Lock()
			c.closed = true // for a write that is too long for its socket
			c.ring.mu.Unlock()
			_, err := end(peer.fd, []byte("x"))
			require.NoError(t, err)
			if err := <-done; !send {
				require.NoError(t, err)
				require.Equal(t, 1, c.read.n)
			}
		}
	}
}

// A step that the kernel has not taken is done without it; the next time it is
// asked again.
func TestRingDoesWhatItsURingRefuses(t *testing.T) {
	r := &Ring{uring: uringOf(t)}
	a, b := socketPair(t)
	fd := r.uring.fd
	for _, n := range []int{200, 50, 1, 100} {
		for _, r.uring.fd = range []int{-1, fd} {
			r.steps = manySteps(a, b, n)
			r.perform()
			requireDone(t, r.steps, n)
		}
	}
	r.uring.fd = fd
}

// Sandboxes forbid io_uring: from the beginning, or later.
func TestRingDoesWithoutWhatASandboxForbids(t *testing.T) {
	call := map[string]uintptr{"setup": sysUringSetup, "enter": sysUringEnter}
	if forbidden := os.Getenv("BRUNT_FORBID"); forbidden != "" {
		require.NoError(t, forbid(call[forbidden]))
		_, err := newURing()
		require.Equal(t, forbidden == "setup", err != nil, "%v", err)
		g := ringsOf(t, false)
		for range 20 {
			c := ringDial(t, g, func(c net.Conn) { _, _ = io.Copy(c, c) })
			for range 25 {
				in := new(Buffer)
				_, n, err := c.Exchange([]byte("x"), in, false)
				require.NoError(t, err)
				require.Equal(t, 1, n)
				in.Free()
			}
		}
		return
	}
	uringOf(t)
	if seccompCall[runtime.GOARCH] == 0 {
		t.Skip("the number of seccomp is not known here")
	}
	for name := range call {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), "BRUNT_FORBID="+name, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // nothing races after it
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
}

var seccompCall = map[string]uintptr{"amd64": 317, "arm64": 277}

// forbid has a system call fail with EPERM, for all threads and for good.
func forbid(number uintptr) error {
	filter := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS},
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jf: 1, K: uint32(number)},
		{Code: syscall.BPF_RET, K: 0x50000 | uint32(syscall.EPERM)}, // SECCOMP_RET_ERRNO
		{Code: syscall.BPF_RET, K: 0x7fff0000},                      // SECCOMP_RET_ALLOW
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const noNewPrivileges, setFilter, allThreads = 38, 1, 1
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	_, _, errno := syscall.Syscall(seccompCall[runtime.GOARCH], setFilter, allThreads, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}
