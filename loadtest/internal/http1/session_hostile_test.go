package http1

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/rawserver"
)

// hostileConn is a user's connection that goes wrong when it is told to.
type hostileConn struct {
	net.Conn
	read, write func() // called before each, unless nil
}

func (c *hostileConn) Read(p []byte) (int, error) {
	if c.read != nil {
		c.read()
	}
	return c.Conn.Read(p)
}

func (c *hostileConn) Write(p []byte) (int, error) {
	if c.write != nil {
		c.write()
	}
	return c.Conn.Write(p)
}

// unwind runs f, which may panic or end its goroutine.
func unwind(f func()) (panicked any) {
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		defer func() { panicked = recover() }()
		f()
	}()
	<-done
	return panicked
}

var leavings = map[string]func(){"panic": func() { panic(errTest) }, "Goexit": runtime.Goexit}

// A connection of which a response is still to be read answers no other request,
// whether its session goes on, or is closed and another one asks the pool.
func TestConnectionsInTheMiddleOfAnExchangeAreNotUsedAgain(t *testing.T) {
	for how, leave := range leavings {
		t.Run(how, func(t *testing.T) {
			forCodecs(t, func(t *testing.T, k codec) {
				target := rawserver.Start(t, func(c net.Conn) {
					buf := make([]byte, 1024)
					for {
						n, err := c.Read(buf)
						if err != nil {
							return
						}
						status := "200 OK"
						if string(buf[:n])[:len("GET /first")] == "GET /first" {
							status = "201 Created"
						}
						_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n")
					}
				})
				var last *hostileConn
				c := k.client(t, Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					inner, err := new(net.Dialer).DialContext(ctx, network, addr)
					last = &hostileConn{Conn: inner}
					return last, err
				}})
				for name, next := range map[string]func(s *Session) *Session{
					"the same": func(s *Session) *Session { return s },
					"parked":   func(s *Session) *Session { s.Park(); return s },
					"another":  func(s *Session) *Session { s.Close(); return c.Session() },
					"elsewhere": func(s *Session) *Session {
						_, _ = s.Do(t.Context(), get(t, "http://127.0.0.1:1/"), false)
						return c.Session()
					},
				} {
					s := c.Session()
					_, err := s.Do(t.Context(), get(t, target), false)
					require.NoError(t, err)
					last.read = leave
					unwind(func() { _, _ = s.Do(t.Context(), get(t, target+"first"), false) })
					last.read = nil
					s = next(s)
					resp, err := s.Do(t.Context(), get(t, target), false)
					require.NoError(t, err, name)
					require.Equal(t, http.StatusOK, resp.StatusCode, "%s: the answer to another request", name)
					s.Close()
				}
			})
		})
	}
}

// A request of which the rest was not written leaves no connection to be used again,
// although it has been answered, and a panic while it is written is its sender's.
func TestUploadsThatBreakOffAreNotComplete(t *testing.T) {
	for how, leave := range leavings {
		t.Run(how, func(t *testing.T) {
			forCodecs(t, func(t *testing.T, k codec) {
				answered := make(chan struct{})
				c := k.client(t, Config{Dial: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					t.Cleanup(func() { theirs.Close() })
					go func() { // ends with the answer
						_, _ = io.ReadFull(theirs, make([]byte, 16))
						_, _ = io.WriteString(theirs, okResponse)
						close(answered)
					}()
					return &brokenWriter{Conn: ours, leave: func() { <-answered; leave() }}, nil
				}})
				s := c.Session()
				panicked := unwind(func() {
					resp, err := s.Do(t.Context(), request(t, http.MethodPost, "http://pipe/", make([]byte, 2*maxInlineBytes)), false)
					if err != nil || resp.StatusCode != http.StatusOK {
						t.Error(resp, err)
					}
				})
				if how == "panic" {
					require.Equal(t, errTest, panicked)
				} else {
					require.Nil(t, panicked)
				}
				require.Nil(t, s.conn)
				s.Close()
				require.Zero(t, c.Conns.Open())
			})
		})
	}
}

// brokenWriter writes 16 bytes, and then leaves.
type brokenWriter struct {
	net.Conn
	leave func()
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	_, _ = w.Conn.Write(p[:16])
	w.leave()
	return 16, nil
}

// A request that nobody is going to complete is not waited for.
func TestUploadsThatBreakOffEndTheirRequest(t *testing.T) {
	forCodecs(t, func(t *testing.T, k codec) {
		c := k.client(t, Config{Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { theirs.Close() })
			go io.Copy(io.Discard, theirs) //nolint:errcheck // ends when either is closed
			return &brokenWriter{Conn: ours, leave: runtime.Goexit}, nil
		}})
		s := c.Session()
		_, err := s.Do(t.Context(), request(t, http.MethodPost, "http://pipe/", make([]byte, 2*maxInlineBytes)), false)
		var at *Error
		require.ErrorAs(t, err, &at)
		require.Equal(t, PhaseHeaders, at.Phase)
		require.Zero(t, c.Conns.Open())
	})
}

// closer is a connection that looks at its pool when it is closed.
type closer struct {
	net.Conn
	pool   *pool
	once   sync.Once
	locked bool
}

func (c *closer) Close() error {
	c.once.Do(func() {
		if c.locked = !c.pool.mu.TryLock(); !c.locked {
			c.pool.mu.Unlock()
		}
	})
	return nil
}

// The end of TLS may take seconds, and the Close of a user's connection as long as it
// likes: all sessions would wait.
func TestPoolsCloseOutsideTheirLock(t *testing.T) {
	for name, end := range map[string]func(p *pool, c *conn){
		"expire": func(p *pool, c *conn) { p.put(c); p.expire(c) },
		"close":  func(p *pool, c *conn) { p.put(c); p.close() },
		"late":   func(p *pool, c *conn) { p.close(); p.put(c) },
	} {
		p := &pool{expiry: time.Hour}
		c := &closer{pool: p, locked: true}
		end(p, &conn{Conn: c, tcp: c, key: "k"})
		require.False(t, c.locked, name)
		p.close()
	}
}
