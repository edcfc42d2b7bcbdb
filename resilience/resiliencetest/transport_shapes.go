package resiliencetest

import (
	"cmp"
	"net/http"
	"time"
)

// shape is a kind of call.
type shape int

const (
	shapeGet shape = iota
	shapePut
	shapePost
	shapeCanceled // a GET, or a PUT that is canceled while it is sent
	shapeStorm    // of a hundred GETs
	shapeWorkload // of a sweep
)

// workload is what a sweep does, one call after another.
var workload = []struct{ method, path string }{
	{http.MethodGet, "/work"}, {http.MethodPut, "/work"}, {http.MethodPost, "/work"}, {http.MethodGet, "/stream"},
}

// shapes are those for which a fault says nothing else.
var plainShapes = []shape{shapeGet, shapePut, shapePost, shapeCanceled}

// uploads are those with a body, and stuck those of a fault that holds the body up.
var (
	uploads = []shape{shapePut, shapePost}
	stuck   = []shape{shapePut, shapePost, shapeCanceled}
)

func (s shape) name(f *transportFault) string {
	return [...]string{"GET", "PUT", "POST", "canceled-" + f.phase.String(), "storm", "workload"}[s]
}

func (s shape) method(f *transportFault) string {
	switch {
	case s == shapePut, s == shapeCanceled && f.phase == uploading:
		return http.MethodPut
	case s == shapePost:
		return http.MethodPost
	}
	return http.MethodGet
}

// phase is what a call does that is held up by a fault.
type phase int

const (
	waiting    phase = iota // for the header of the answer
	connecting              // with the name looked up and the handshake done
	backingOff              // between attempts
	uploading               // the body of the request
	reading                 // the body of the answer
)

func (p phase) String() string {
	return [...]string{"waiting", "connecting", "backing-off", "uploading", "reading"}[p]
}

// after is how long after the fault has fired the call has come to the phase: one way of the
// network takes oneWay.
func (p phase) after() time.Duration {
	return cmp.Or(map[phase]time.Duration{reading: 50 * time.Millisecond, backingOff: 500 * time.Millisecond}[p], oneWay/4)
}

// promise is what a client must make of a fault.
type promise int

const (
	// heals is a fault that passes: idempotent requests must be answered.
	heals promise = iota
	// unsent is one that passes and of which it is known that nothing was executed: all
	// requests must be answered.
	unsent
	// endured takes its time and does no harm: all must be answered, retries or not.
	endured
	// lasts is a fault that does not pass: the call must fail and say why.
	lasts
	// either leaves it to the client whether it recovers.
	either
	// silent is one that an answer does not show: it may be taken for right.
	silent
)
