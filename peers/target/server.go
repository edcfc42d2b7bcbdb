package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"example.com/brunt/peers/internal/proc"
)

// Kind says how a server is built.
type Kind string

const (
	// Fast answers with bytes made once, by the first of URing, Epoll and Plain that
	// the system supports.
	Fast Kind = "fast"
	// URing answers with the same bytes, from one goroutine over io_uring, on Linux
	// 6.1 and later. Where the system does not support it, or does not allow it, the
	// error matches [errors.ErrUnsupported].
	URing Kind = "uring"
	// Epoll does from one goroutine over epoll, on Linux.
	Epoll Kind = "epoll"
	// Plain answers with the same bytes, with a goroutine for each connection.
	Plain Kind = "plain"
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
	// Over is what the server waits for its connections with: "io_uring", "epoll" or
	// "net", which is the Go runtime.
	Over string

	hits  atomic.Int64
	log   *hitLog // nil: none is asked for
	conns gauge
	stop  func() error
	done  chan struct{} // closed when serving has ended
	fault error         // why it ended; read it after done
}

// serving is what a kind of server comes to: serve returns when it has ended, and
// stop, called once, makes it.
type serving struct {
	over, address string
	serve, stop   func() error
}

// Start serves on a free port of the loopback interface until Close.
func Start(kind Kind) (*Server, error) { return start(kind, nil) }

func start(kind Kind, log *hitLog) (*Server, error) {
	s := &Server{log: log, done: make(chan struct{})}
	listen, ok := map[Kind]func(*Server) (*serving, error){
		Fast: startFast, URing: startURing, Epoll: startEpoll, Plain: startPlain, NetHTTP: startNetHTTP,
	}[kind]
	if !ok {
		return nil, fmt.Errorf("%w: %q", errKind, kind)
	}
	running, err := listen(s)
	if err != nil {
		return nil, fmt.Errorf("target: start: %w", err)
	}
	s.URL, s.Over, s.stop = "http://"+running.address+"/", running.over, running.stop
	// Close ends it.
	go func() {
		defer close(s.done)
		if err := running.serve(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			s.fault = fmt.Errorf("target: serve: %w", err)
		}
	}()
	return s, nil
}

func startNetHTTP(owner *Server) (*serving, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	h := &http.Server{Handler: owner.handler(), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			owner.conns.add(1)
		case http.StateClosed:
			owner.conns.add(-1)
		}
	}}
	return &serving{
		over:    "net",
		address: ln.Addr().String(),
		serve:   func() error { return h.Serve(ln) },
		stop:    h.Close,
	}, nil
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

// hit counts a request that is answered with [Body].
func (s *Server) hit() {
	s.hits.Add(1)
	if s.log != nil {
		s.log.note()
	}
}

// Hits is how many requests it has answered with [Body].
func (s *Server) Hits() int64 { return s.hits.Load() }

// Open is the most connections that it had at once since it was last asked.
func (s *Server) Open() int64 { return s.conns.takePeak() }

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		s.hit()
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
	return Count{Hits: s.hits.Load(), CPU: cpu, Open: s.conns.takePeak()}
}
