// Package grpc_test shows how a gRPC service is driven: a request for each method,
// and errors that are counted by their code.
package grpc_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"example.com/brunt/loadtest"
)

// rpcError gives an error of gRPC the class of its code.
type rpcError struct{ error }

func (e rpcError) Unwrap() error { return e.error }

func (e rpcError) ErrorClass() loadtest.ErrorClass {
	switch status.Code(e.error) {
	case codes.DeadlineExceeded:
		return loadtest.ClassTimeout
	case codes.Canceled:
		return loadtest.ClassCanceled
	case codes.Unavailable:
		return loadtest.ClassRefused
	case codes.InvalidArgument, codes.Unimplemented:
		return loadtest.ClassInvalid
	}
	return loadtest.ClassOther
}

// rpc is a request that makes one call, under the name of its method.
func rpc(method string, call func(context.Context) error) *loadtest.Request {
	return loadtest.Call(method, func(ctx context.Context) error {
		if err := call(ctx); err != nil {
			return rpcError{err}
		}
		return nil
	})
}

// health answers Check, and has no List.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, status.Error(codes.InvalidArgument, "the engine's Timeout has not come along")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

// serve serves the health service in memory, and returns a connection to it.
func serve() (*grpc.ClientConn, func()) {
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health{})
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		panic(err)
	}
	return conn, func() { conn.Close(); server.Stop() }
}

// Two methods in one run, each with its own statistics; gRPC's codes are classes of
// errors, and the engine's Timeout is the deadline of each call.
func Example() {
	conn, stop := serve()
	defer stop()
	client := grpc_health_v1.NewHealthClient(conn)
	check := rpc("Check", func(ctx context.Context) error {
		_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	})
	list := rpc("List", func(ctx context.Context) error {
		_, err := client.List(ctx, &grpc_health_v1.HealthListRequest{})
		return err
	})

	engine, err := loadtest.NewThreadedEngine(loadtest.ThreadedConfig{MaxWorkers: 4})
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	result, err := engine.Run(context.Background(), loadtest.Times(200, check, list))
	if err != nil {
		panic(err)
	}
	for _, method := range []string{"Check", "List"} {
		fmt.Println(method, result.Endpoints[method].SuccessCount, "ok,", result.Endpoints[method].Errors)
	}
	// Output:
	// Check 100 ok, map[]
	// List 0 ok, map[invalid:100]
}

// What ends with the Timeout is a timeout, whichever side notices first.
func TestTheDeadlineIsTheEnginesTimeout(t *testing.T) {
	hang := rpc("hang", func(ctx context.Context) error {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	})
	engine := loadtest.Start(t, loadtest.ThreadedConfig{MaxWorkers: 2, Timeout: time.Millisecond})
	result, err := engine.Run(t.Context(), loadtest.Times(10, hang))
	if err != nil || result.Errors[loadtest.ClassTimeout] != 10 {
		t.Errorf("got %v, %v, want 10 timeouts", result.Errors, err)
	}
}
