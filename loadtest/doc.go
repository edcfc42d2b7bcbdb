// Package loadtest generates load from go test and reports the results.
//
// Scheduling and sending are separate. An [Engine] schedules: one request after another
// ([SyncEngine]), fixed workers that each have their own session ([ThreadedEngine]),
// bounded concurrency over one shared pool ([AsyncEngine]), or arrivals that keep a
// schedule ([ArrivalEngine]). A [Client] sends: net/http
// over any http.RoundTripper ([NetHTTP]), plain HTTP/1.1 at a fraction of the cost
// ([Wire]), or any function ([Func]). Any engine runs any client. A [Source] says what
// is sent, HTTP requests and functions ([Call]), and when there is no more. A [Template] is
// a request with values of its own for each time that it is sent, such as those of a row of
// package data; package check has checks of responses for [Request].Check.
//
//	func BenchmarkHome(b *testing.B) {
//		engine := loadtest.Start(b, loadtest.AsyncConfig{MaxConcurrent: 50})
//		loadtest.Bench(b, engine, loadtest.Get(url))
//	}
//
// # What is measured
//
// All engines but ArrivalEngine are closed loops: a worker sends its next request when
// the last one has ended. A latency is a service time, from the moment a worker is
// free to send until the body has been read and discarded. A server that stalls
// also stalls its clients, so the requests that would have arrived meanwhile
// are never sent and never measured (coordinated omission): read closed-loop
// percentiles as the experience of a fixed crew of workers, not of a fixed
// stream of arrivals.
//
// An ArrivalEngine is an open loop: requests come when the schedule says, whatever the
// server does. A latency is a response time there, from when the request was due;
// [Stats.ServiceQuantile] and [Stats.LagQuantile] are its two parts. What was due and not
// sent is counted: Missed, Dropped or Canceled, see [Counts].
//
// Percentiles cover every request that was sent, failed or not;
// [Stats.SuccessQuantile] and [Stats.ErrorQuantile] tell the two apart. They
// come from an HDR histogram with a relative error of at most 0.1 %, in memory
// that does not grow with the length of a run. How far chance may have moved them in
// a single run says [EngineResult.ConfidenceInterval].
//
// A run is divided into seconds: OnProgress of an engine's configuration is called with
// each, and [EngineResult.Intervals] keeps them. A stall in the middle is among
// [EngineResult.Warnings], and so are latencies that drifted or stepped, and a process
// that did not have the CPU time that it needed; see [EngineResult.Generator].
//
// An [SLO] holds the objectives of a run. [Check] fails a test that misses one, and
// [SLO.Judge] returns the verdict without a test: PASS, FAIL, or INVALID where the load of
// an open loop was not what its schedule says. A [Cause] then names what was the limit.
//
// # Who stops what
//
// An engine owns its client, its sessions and their connections; Close
// releases them. Run returns after its last goroutine has ended. A panic in
// a callback, and a t.FailNow, stop the run and continue in the goroutine that
// called Run.
package loadtest
