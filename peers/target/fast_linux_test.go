package target

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestFastFallsBack(t *testing.T) {
	refuses := func(*Server) (*serving, error) {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, os.NewSyscallError("io_uring_setup", unix.EPERM))
	}
	fails := func(*Server) (*serving, error) { return nil, unix.EMFILE }
	owner := &Server{done: make(chan struct{})}
	s, err := startFirst(owner, refuses, startEpoll)
	if err != nil {
		t.Fatal(err)
	}
	if s.over != "epoll" {
		t.Errorf("got a server over %q, want epoll", s.over)
	}
	if err := errors.Join(s.stop(), s.serve()); err != nil {
		t.Error(err)
	}
	if _, err := startFirst(owner, refuses, fails, startEpoll); !errors.Is(err, unix.EMFILE) {
		t.Errorf("got error %v, want that of the first server that is supported", err)
	}
	if _, err := startFirst(owner, refuses, refuses); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got error %v, want that none is supported", err)
	}
}

// A sandbox may forbid each of the system calls.
func TestFastInASandbox(t *testing.T) {
	for name, call := range map[string]uint32{
		"setup": unix.SYS_IO_URING_SETUP, "register": unix.SYS_IO_URING_REGISTER, "enter": unix.SYS_IO_URING_ENTER,
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			type outcome struct {
				s   *serving
				err error
			}
			started := make(chan outcome)
			go func() { // ends with its thread, since it stays locked to it
				runtime.LockOSThread()
				if err := forbid(call); err != nil {
					started <- outcome{err: err}
					return
				}
				s, err := startFast(&Server{})
				started <- outcome{s, err}
			}()
			o := <-started
			if o.err != nil {
				t.Fatal(o.err)
			}
			if o.s.over != "epoll" {
				t.Errorf("got a server over %q, want epoll", o.s.over)
			}
			if err := errors.Join(o.s.stop(), o.s.serve()); err != nil {
				t.Error(err)
			}
			if after := descriptors(t); after > before {
				t.Errorf("got %d descriptors, %d before", after, before)
			}
		})
	}
}

// forbid lets a system call of this thread fail from now on.
func forbid(call uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// tiny starts a server over io_uring whose ring and buffers are too small for what
// the tests do, and serves until the test ends.
func tiny(t *testing.T) (owner *Server, address string) {
	t.Helper()
	owner = new(Server)
	s, err := startURingOf(owner, 4, 2)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.serve() }() // until the cleanup
	t.Cleanup(func() {
		if err := errors.Join(s.stop(), <-served); err != nil {
			t.Error(err)
		}
	})
	return owner, s.address
}

func ask(t *testing.T, address, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// Neither a full ring nor a lack of buffers loses an answer.
func TestURingShortOfEverything(t *testing.T) {
	owner, address := tiny(t)
	const conns, rounds, pipelined = 100, 20, 5
	request := strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", pipelined)
	all, readers := make([]net.Conn, conns), make([]*bufio.Reader, conns)
	for i := range all {
		all[i], readers[i] = ask(t, address, request)
	}
	for round := range rounds {
		for _, r := range readers {
			for range pipelined {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(text) != Body {
					t.Fatalf("got %q, %v, want %q", text, err, Body)
				}
			}
		}
		if round == rounds-1 {
			break
		}
		for _, conn := range all {
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := owner.Hits(); got != conns*rounds*pipelined {
		t.Errorf("got %d hits, want %d", got, conns*rounds*pipelined)
	}
}

// Numbers of descriptors come again and again, and connections end in every way.
func TestURingConnectionsComeAndGo(t *testing.T) {
	owner, address := tiny(t)
	for i := range 500 {
		request, more := "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false
		switch i % 4 {
		case 1:
			request, more = "GET / HTTP/1.1\r\n\r\n", true
		case 2:
			request = strings.Repeat("GET / HTTP/1.1\r\n\r\n", 50) + request
		case 3:
			request, more = "GET / HTTP/1.1\r\n\r\nGET /", true // and goes amid it
		}
		conn, r := ask(t, address, request)
		if more {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if i%8 == 1 {
				conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck // it resets the connection, if it can
			}
			conn.Close()
			continue
		}
		text, err := io.ReadAll(r)
		if got, want := strings.Count(string(text), Body), strings.Count(request, "GET"); err != nil || got != want {
			t.Fatalf("connection %d: got %d answers, %v, want %d", i, got, err, want)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		owner.conns.mu.Lock()
		open := owner.conns.now
		owner.conns.mu.Unlock()
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d connections open, want none", open)
		}
	}
}

// Close leaves no descriptor behind, whatever its connections were doing.
func TestCloseFreesDescriptors(t *testing.T) {
	for _, kind := range []Kind{URing, Epoll} {
		t.Run(string(kind), func(t *testing.T) {
			before := descriptors(t)
			for range 5 {
				s, err := Start(kind)
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				}
				if err != nil {
					t.Fatal(err)
				}
				var clients []net.Conn
				for i := range 30 {
					conn, r := ask(t, strings.Trim(s.URL, "htp:/"), []string{"", "GET /", "GET / HTTP/1.1\r\n\r\n"}[i%3])
					if i%3 == 2 {
						resp, err := http.ReadResponse(r, nil)
						if err != nil {
							t.Fatal(err)
						}
						resp.Body.Close()
					}
					clients = append(clients, conn)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if err := s.stop(); err != nil {
					t.Errorf("got %v for stopping what has ended", err)
				}
				for _, conn := range clients {
					if _, err := conn.Read(make([]byte, 200)); err == nil {
						_, err = conn.Read(make([]byte, 200))
						if err == nil {
							t.Error("a connection is open after Close")
						}
					}
					conn.Close()
				}
			}
			if after := descriptors(t); after > before {
				t.Errorf("got %d descriptors, %d before", after, before)
			}
		})
	}
}
