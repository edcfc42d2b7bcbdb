package loadtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/pace"
)

// pingClient sends each request as one line over TCP, and takes the line that comes
// back for the response. Each session has a connection, which it keeps.
type pingClient struct{ addr string }

func (c pingClient) Session() (loadtest.Session, error) { return &pingSession{addr: c.addr}, nil }

// Close has nothing to close that sessions do not.
func (c pingClient) Close() error { return nil }

// Validate makes the client a [loadtest.ConfigValidator].
func (c pingClient) Validate() error {
	if c.addr == "" {
		return fmt.Errorf("%w: ping: no address", loadtest.ErrConfig)
	}
	return nil
}

// ReusesConnections makes it a [loadtest.ConnectionCounter].
func (c pingClient) ReusesConnections() bool { return true }

type pingSession struct {
	addr string
	conn net.Conn // nil: none is open
	in   *bufio.Reader
}

func (s *pingSession) Do(ctx context.Context, req *loadtest.Request) (loadtest.Response, error) {
	if s.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", s.addr)
		if err != nil {
			return loadtest.Response{}, err
		}
		loadtest.CountConnection(ctx)
		s.conn, s.in = conn, bufio.NewReader(conn)
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })()
	_, err := fmt.Fprintf(s.conn, "%s\n", req.Body)
	if err == nil {
		var line []byte
		line, err = s.in.ReadBytes('\n')
		if err == nil {
			return loadtest.Response{Bytes: int64(len(line))}, nil
		}
	}
	return loadtest.Response{}, errors.Join(err, s.Close())
}

// Park makes the session a [loadtest.Parker]: it keeps no connection between runs.
func (s *pingSession) Park() { _ = s.Close() }

func (s *pingSession) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// A client of your own sends what NetHTTP does not. Of the methods that are not
// Client's, each tells the engine more: that the configuration is in order, how many
// connections were opened, and when the session can do without one.
func ExampleClient() {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() { // ends with l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its peer
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()

	_, err = loadtest.NewSyncEngine(loadtest.SyncConfig{Client: pingClient{}})
	fmt.Println(err)
	engine, err := loadtest.NewSyncEngine(loadtest.SyncConfig{Client: pingClient{l.Addr().String()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	for range 2 {
		result, err := engine.Run(context.Background(), loadtest.Times(100, &loadtest.Request{Body: []byte("ping")}))
		fmt.Println(result.SuccessCount, "ok,", result.BytesRead, "bytes,", result.ConnectionsOpened, "connections,", err)
	}
	// Output:
	// loadtest: bad configuration: ping: no address
	// 100 ok, 500 bytes, 1 connections, <nil>
	// 100 ok, 500 bytes, 1 connections, <nil>
}

// lent is a client that lends out connections, of which there are as many as fit.
type lent struct{ conns chan net.Conn }

func (c lent) Session() (loadtest.Session, error) { return c, nil }
func (c lent) Close() error                       { return nil }

func (c lent) Do(ctx context.Context, _ *loadtest.Request) (loadtest.Response, error) {
	began := time.Now()
	select {
	case conn := <-c.conns:
		defer func() { c.conns <- conn }()
	case <-ctx.Done():
		return loadtest.Response{}, ctx.Err()
	}
	waited := time.Since(began)
	time.Sleep(10 * time.Millisecond)
	loadtest.CountConnectionWait(ctx, waited)
	return loadtest.Response{}, nil
}

// A client that has requests wait for a connection says so: then the verdict on an open
// loop names it if there are too few.
func ExampleCountConnectionWait() {
	client := lent{make(chan net.Conn, 2)}
	for range cap(client.conns) {
		client.conns <- nil
	}
	engine, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{
		Client: client, Schedule: pace.Constant(400).Until(time.Second / 2), MaxCatchUp: time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	result, _ := engine.Run(context.Background(), loadtest.Times(200))
	fmt.Println(result.SuccessCount) // but late: the verdict of a longer run is INVALID
	// Output: 200
}
