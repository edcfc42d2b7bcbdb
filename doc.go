// Package brunt is the map of a module that brings load tests and resilience
// tests into go test. It holds no code of its own:
//
//   - [example.com/brunt/loadtest] drives load: engines that schedule, clients
//     that own the wire, results that benchstat can read and a test can assert.
//   - [example.com/brunt/loadtest/pace] says when the arrivals of a test are due.
//   - [example.com/brunt/loadtest/capacity] searches for the highest rate at which a
//     service meets its objectives.
//   - [example.com/brunt/loadtest/replay] makes load of access logs, request files and
//     curl commands.
//   - [example.com/brunt/loadtest/check] has checks of responses: status, header, body,
//     JSON path, size.
//   - [example.com/brunt/loadtest/data] deals out rows of CSV or JSON lines by number.
//   - [example.com/brunt/loadtest/progress] shows a load test while it runs,
//     [example.com/brunt/loadtest/htmlreport] its results as one HTML file, and
//     [example.com/brunt/loadtest/sqlitesink] keeps every record in a database.
//   - [example.com/brunt/resilience] survives faults: limiter, circuit breaker,
//     retries with a budget, pipeline, runtime monitor, HTTP transport;
//     [example.com/brunt/resilience/resiliencetest] checks any breaker, limiter or
//     retrier.
//   - [example.com/brunt/fixtures] makes faults: a misbehaving server, leak checks
//     that work in benchmarks and beside parallel tests, a private mock transport.
//
// The command [example.com/brunt/cmd/brunt] compares the benchmarks of a branch
// with those of its base.
//
// loadtest may import resilience; fixtures imports neither, and neither imports
// fixtures outside its tests. A test of this package holds those arrows.
package brunt
