// Package http1 is an HTTP/1.1 client for closed loops. It knows nothing of load tests.
//
// A [Client] opens sessions, and a [Session] sends a [Request] that was made once over
// a connection of its own, any number of times. Between two runs, or when the session
// sends to another host, the connection goes to a pool that sessions share. Responses
// are read by this package's parser or by net/http, as [Config].Codec says; all else
// is the same for both.
//
// From the bottom up: parse.go reads responses, request.go writes requests, dial.go and
// conn.go open connections and use them, pool.go keeps those that are idle, track.go
// counts and closes all of them, and session.go puts that together.
package http1
