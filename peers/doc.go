// Package peers does the same closed-loop work with brunt's engines on either of
// their wires, with plain loops over net/http, with the libraries of other load
// generators, and with other programs, side by side in one run.
//
// A [Contestant] sends for a given time over a given number of connections and says
// what came of it. A [Bench] runs one in a process of its own, so that CPU time and
// memory are its own, and does not believe it: the server has a count of its own.
// [Plan] is a run of several rounds, in each of which every contestant comes once,
// in shuffled order, so that whatever else the machine does meets all of them.
// [Results] turns the rounds into ratios: each is taken within one round, then the
// median over the rounds. [Bounds] are the claims. The command in cmd/benchpeers
// puts it together.
//
// The contestants of [Open] send at a rate as well, as a [Bench] with one asks for. The
// command in cmd/benchopen holds what they report against the log of the server
// ([Distances], [Frozen]).
//
// The command in cmd/benchcapacity lets searches look for the capacity of a service of
// which it is known, with and without a neighbor that keeps the CPUs busy.
//
// # What is equal
//
// Every contestant sends GET requests over HTTP/1.1 to one address, keeps its
// connections alive, one for each worker, neither asks for compression nor goes
// through a proxy, and reads each body to its end. It starts its process, opens its
// connections, reports and closes them within the CPU time that is measured. Those
// that take a transport get the same ([Tuned]); the others get the same settings
// where they have them. Libraries of others run in a program of their own each, as
// they bring along more or less.
//
// # What is not
//
// Tools do more than send. What each does besides is in the text of its
// contestant, and much of the difference is there: brunt limits the time of each
// request, follows its phases, and records latencies; wrk, bombardier and fortio
// limit and record; hey keeps every result and vegeta carries each over a channel.
// The plain loops do nothing of the kind. So they are what net/http's transport costs and
// not rivals, and "vegeta-bare" is there to show how much of vegeta's time goes into
// what we asked of it.
//
// The start of a process costs brunt and the plain loops 4 to 6 ms of CPU time, fortio
// about 10, and wrk next to none, of a second or more.
//
// # Left out
//
// bool64/httptestbench takes a *testing.B and so chooses the number of requests
// by itself, and it drives fasthttp rather than net/http; its module was also not
// to be had from the module proxy when this was written. http.Get with more
// goroutines than the default transport keeps idle connections for opens one for
// nearly every request: that is a comparison of pools, not of clients.
package peers
