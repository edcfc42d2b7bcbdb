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
//   - [example.com/brunt/loadtest/progress] shows a load test while it runs as a line, and
//     [example.com/brunt/loadtest/live] as a page; [example.com/brunt/loadtest/htmlreport]
//     writes its results as one HTML file, and [example.com/brunt/loadtest/sqlitesink]
//     keeps every record in a database. A module of its own, loadtest/otelsink, exports
//     OpenTelemetry metrics.
//   - [example.com/brunt/loadtest/shards] makes one run of many processes, and one exact
//     result of theirs.
//   - [example.com/brunt/resilience] survives faults: limiter, circuit breaker,
//     retries with a budget, pipeline, runtime monitor, HTTP transport.
//   - [example.com/brunt/resilience/resiliencetest] checks any breaker, limiter or
//     retrier, and shows what faults any HTTP client survives.
//   - [example.com/brunt/fixtures] makes faults: a misbehaving server, an in-memory
//     network in virtual time, leak checks that work in benchmarks and in parallel tests,
//     a private mock transport.
//
// The command [example.com/brunt/cmd/brunt] compares the benchmarks of a branch
// with those of its base, merges the results of shards, writes the scripts that start
// them, and shows them while they run.
//
// loadtest may import resilience; fixtures imports neither, and neither imports
// fixtures outside its tests. A test of this package holds those arrows.
package brunt
