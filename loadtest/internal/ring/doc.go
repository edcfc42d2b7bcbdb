// Package ring does the I/O of many TCP connections in batches, by a few goroutines
// and, where Linux allows it, by io_uring. It knows nothing of what the bytes mean.
//
// A [Group] has a [Ring] for every two CPUs. A [Conn] is made by [Ring.Dial] or
// taken over by [Group.Adopt], and used through [Conn.Exchange], which writes a
// request and waits for the first bytes of its response in a [Buffer]. On other
// systems a Group has no rings, and callers do without.
//
// [NewTimerFD] and [SetTimerFD] are here because unsafe is.
package ring

import "errors"

// ErrUnasked is the error of a connection on which the peer has sent something
// while nothing was expected.
var ErrUnasked = errors.New("loadtest: response without a request")
