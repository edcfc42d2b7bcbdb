package loadtest

import (
	"context"
	"errors"
)

// Func is a client that calls fn for each request: a gRPC call, a query, a
// plain function. A nil error is a success. fn runs on many goroutines at once;
// its context is cancelled when the engine's Timeout is over or the run ends,
// and Run waits for an fn that ignores that. The request itself is not used.
func Func(fn func(context.Context) error) Client { return funcClient{fn} }

type funcClient struct {
	fn func(context.Context) error
}

func (c funcClient) validate() error {
	if c.fn == nil {
		return fault("Func(nil): the function is missing")
	}
	return nil
}

func (c funcClient) Session() (Session, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return funcSession(c), nil
}

func (c funcClient) Close() error { return nil }

func (c funcClient) validateRequest(r *Request) error {
	if r == nil {
		return errors.Join(ErrInvalidRequest, errors.New("nil request"))
	}
	return nil
}

type funcSession funcClient

func (s funcSession) Do(ctx context.Context, _ *Request) (Response, error) {
	return Response{}, s.fn(ctx)
}

func (s funcSession) Close() error { return nil }
