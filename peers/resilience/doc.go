// Package resilience holds benchmarks and conformance checks of brunt's circuit
// breaker, retry policy and limiter beside those of other libraries. There is
// nothing in it to import.
//
// # Benchmarks
//
//	go run ./cmd/benchresilience
//
// runs them in shuffled rounds and holds brunt against its bounds. By hand:
//
//	go test -run '^$' -bench . -count 10 ./resilience > out.txt
//	benchstat -col /impl out.txt
//
// The names are Benchmark<Pattern>/impl=<library>/by=<callers>, and benchstat puts
// the libraries side by side. What is measured is the happy path, and refusal where
// that is the point of a pattern: what a caller pays when nothing is wrong.
// by=one calls from one goroutine, by=all from as many as there are CPUs, by=32
// from 32.
//
// impl=direct is the bare call and impl=timesince one reading of the clock: less
// than that nothing can cost that calls at all, or looks at time. impl=floor adds
// as many atomic additions as brunt makes. impl=timesince.again is the same code
// as impl=timesince, to show the noise. A name in .permits asks first and
// reports later, where the plain name has the library run the call and take care
// of panics.
//
// Libraries differ in what they keep for the price. Each is set up for a sliding
// window of ten seconds, or the nearest it has to it, and to what a service would
// reasonably set; the text beside it says what it is. All are given the context of
// the benchmark, which can be canceled, where they take one; failsafe's executor
// gets none for breakers and retries, as that makes it faster.
//
// # Conformance
//
// TestConformance brings the libraries behind adapters to the suites of
// example.com/brunt/resilience/resiliencetest. testdata/conformance.md has what
// came of it.
package resilience
