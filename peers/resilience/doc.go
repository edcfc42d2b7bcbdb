// Package resilience holds benchmarks of resilience patterns as other libraries
// make them: circuit breakers, retries and limiters. There is nothing in it to
// import.
//
//	go test -run '^$' -bench . -count 10 ./resilience > out.txt
//	benchstat -col /impl out.txt
//
// The names are Benchmark<Pattern>/impl=<library>, and benchstat puts the
// libraries side by side. What is measured is the happy path, and refusal where
// that is the point of a pattern: what a caller pays when nothing is wrong.
// by=one calls from one goroutine, by=all from as many as there are CPUs.
// impl=timesince is one reading of the clock, impl=direct the bare call: less
// than that nothing can cost that looks at time, or calls at all.
//
// Libraries differ in what they keep for the price. Each is set up for a sliding
// window of ten seconds, or the nearest it has to it, and to what a service would
// reasonably set; the text beside it says what it is.
package resilience
