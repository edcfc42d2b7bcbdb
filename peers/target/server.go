package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"example.com/brunt/peers/internal/proc"
)

// Kind says how a server is built.
type Kind string

const (
	// Fast answers with bytes made once, over plain TCP.
	Fast Kind = "fast"
	// NetHTTP is a plain http.Server.
	NetHTTP Kind = "nethttp"
)

// Body is what every hit gets.
const Body = "Hello, World!"

// CountPath is where a server tells its [Count]. Asking does not count as a hit.
const CountPath = "/count"

// errKind is the fault of an unknown kind.
var errKind = errors.New("target: unknown kind of server")

// Server runs in this process. It is safe for concurrent use.
type Server struct {
	URL string

	hits  atomic.Int64
	stop  func() error
	done  chan struct{} // closed when serving has ended
	fault error         // why it ended; read it after done
}

// Start serves on a free port of the loopback interface until Close.
func Start(kind Kind) (*Server, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("target: listen: %w", err)
	}
	s := &Server{URL: "http://" + ln.Addr().String() + "/", done: make(chan struct{})}
	var serve func() error
	switch kind {
	case Fast:
		f := &fastServer{ln: ln, owner: s, conns: make(map[net.Conn]struct{})}
		serve, s.stop = f.serve, f.close
	case NetHTTP:
		h := &http.Server{Handler: s.handler()}
		serve, s.stop = func() error { return h.Serve(ln) }, h.Close
	default:
		ln.Close()
		return nil, fmt.Errorf("%w: %q", errKind, kind)
	}
	// Close ends it by closing the listener.
	go func() {
		defer close(s.done)
		if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			s.fault = fmt.Errorf("target: serve: %w", err)
		}
	}()
	return s, nil
}

// Close closes the listener and every connection, and returns when serving has
// ended.
func (s *Server) Close() error {
	err := s.stop()
	<-s.done
	if err != nil {
		return fmt.Errorf("target: close: %w", err)
	}
	return s.fault
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		s.hits.Add(1)
		io.WriteString(w, Body) //nolint:errcheck // the client has gone: nobody is left to tell
	})
	mux.HandleFunc("GET "+CountPath, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, s.count().String()) //nolint:errcheck // as above
	})
	return mux
}

func (s *Server) count() Count {
	cpu, err := proc.CPUTime()
	if err != nil {
		cpu = 0 // Count documents it
	}
	return Count{Hits: s.hits.Load(), CPU: cpu}
}

// connSet is guarded by fastServer.mu.
type connSet map[net.Conn]struct{}

// fastServer serves GET requests without a body, which is all that it is sent.
type fastServer struct {
	ln    net.Listener
	owner *Server

	mu     sync.Mutex
	conns  connSet
	closed bool
	wg     sync.WaitGroup
}

func (f *fastServer) serve() error {
	defer f.wg.Wait()
	for {
		conn, err := f.ln.Accept()
		if err != nil {
			return err
		}
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			conn.Close()
			continue
		}
		f.conns[conn] = struct{}{}
		f.mu.Unlock()
		// It ends when the client closes the connection, or close does.
		f.wg.Go(func() {
			f.talk(conn)
			f.mu.Lock()
			delete(f.conns, conn)
			f.mu.Unlock()
			conn.Close()
		})
	}
}

func (f *fastServer) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for conn := range f.conns {
		conn.Close()
	}
	return f.ln.Close()
}
