// Package http1 is an HTTP/1.1 client over connections of its own. It knows nothing
// of load tests.
package http1
