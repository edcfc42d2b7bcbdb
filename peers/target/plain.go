package target

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
)

// startPlain serves with a goroutine for each connection, on any system.
func startPlain(owner *Server) (*serving, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &plainServer{ln: ln, owner: owner, conns: make(map[net.Conn]struct{})}
	return &serving{over: "net", address: ln.Addr().String(), serve: p.serve, stop: p.close}, nil
}

// plainServer serves GET requests without a body, which is all that it is sent.
type plainServer struct {
	ln    net.Listener
	owner *Server

	mu     sync.Mutex
	conns  connSet
	closed bool
	wg     sync.WaitGroup
}

// connSet is guarded by plainServer.mu.
type connSet map[net.Conn]struct{}

func (p *plainServer) serve() error {
	defer p.wg.Wait()
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return err
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			conn.Close()
			continue
		}
		p.conns[conn] = struct{}{}
		p.mu.Unlock()
		p.owner.conns.add(1)
		// It ends when the client closes the connection, or close does.
		p.wg.Go(func() {
			p.talk(conn)
			p.mu.Lock()
			delete(p.conns, conn)
			p.mu.Unlock()
			p.owner.conns.add(-1)
			conn.Close()
		})
	}
}

func (p *plainServer) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for conn := range p.conns {
		conn.Close()
	}
	return p.ln.Close()
}

// talk answers the requests of one connection until it ends.
func (p *plainServer) talk(conn net.Conn) {
	buf := make([]byte, maxHead)
	held := 0
	for {
		n, err := conn.Read(buf[held:])
		if err != nil {
			return
		}
		held += n
		rest := buf[:held]
		for {
			end := bytes.Index(rest, endOfHead)
			if end < 0 {
				break
			}
			end += len(endOfHead)
			reply, last := p.owner.answer(rest[:end])
			if _, err := conn.Write(reply); err != nil || last {
				return
			}
			rest = rest[end:]
		}
		if held = copy(buf, rest); held == len(buf) {
			return
		}
	}
}
