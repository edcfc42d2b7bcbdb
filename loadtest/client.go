package loadtest

import "context"

// Client is a kind of wire. The engine it is given to owns it and closes it.
// Session and Close are safe for concurrent use.
type Client interface {
	// Session opens one worker's hold on the wire. It does not connect yet.
	Session() (Session, error)
	// Close frees every connection. Sessions do not work afterwards.
	Close() error
}

// Session is used by one goroutine at a time.
type Session interface {
	// Do sends req and returns when the response has been read to its end. It
	// must return soon after ctx is done, with an error. ctx has no deadline: the
	// engine cancels it when the request's time is up.
	Do(ctx context.Context, req *Request) (Response, error)
	// Close gives back what the session holds by itself.
	Close() error
}

// The capabilities that a client may have besides; engines ask for them.
type (
	// privateSessions opens sessions that share no pool with others.
	privateSessions interface {
		privateSession() (Session, error)
	}
	// configured clients know before the first request whether they can work.
	configured interface {
		validate() error
	}
	// requestValidator says whether a client could send a request.
	requestValidator interface {
		validateRequest(*Request) error
	}
	// parker sessions can do without their connection between two runs.
	parker interface {
		park()
	}
	// connectionCounter counts connections ever opened; pooled says whether the
	// client means to reuse them.
	connectionCounter interface {
		connectionsOpened() int64
		pooled() bool
	}
)
