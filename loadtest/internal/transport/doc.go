// Package transport has what net/http's transports lack to be driven by many goroutines
// at once. It knows nothing of load tests.
//
// A [Pool] is a transport whose limit on connections holds whatever they speak. A [Guard]
// keeps what a user's transport does wrong to the request that it does it to. A [Trace]
// follows a request through the phases of a round trip, over these and any other.
package transport
