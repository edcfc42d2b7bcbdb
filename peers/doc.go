// Package peers does the same closed-loop work with brunt's engines, with plain
// loops over net/http, and with the libraries of other load generators, side by
// side in one run.
//
// A [Contestant] sends a given number of requests over a given number of
// connections and says what came of them. [Measure] runs one against a server
// and does not believe it: the server has a count of its own. [Plan] is a run of
// several rounds, in each of which every contestant comes once, in shuffled
// order, so that whatever else the machine does meets all of them. [Results]
// turns the rounds into ratios: each is taken within one round, then the median
// over the rounds. The command in cmd/benchpeers prints them.
//
// # What is equal
//
// Every contestant sends GET requests over HTTP/1.1 to one address, keeps its
// connections alive, one for each worker, neither asks for compression nor goes
// through a proxy, and reads each body to its end. It opens its connections,
// reports, and closes them within the time that is measured; with 100 connections
// that is a few per cent of a default run, for all of them alike to within one.
// Those that take a transport get the same
// ([Tuned]); the others get the same settings where they have them.
//
// # What is not
//
// Tools do more than send. What each does besides is in the text of its
// contestant, and much of the difference is there: brunt limits the time of each
// request, follows its phases, and records latencies; fortio limits and records;
// vegeta does both and carries every result over a channel. The plain loops do
// nothing of the kind. So they are what net/http costs and not rivals, and
// "vegeta-bare" is there to show how much of vegeta's time goes into what we
// asked of it.
//
// # Left out
//
// bool64/httptestbench takes a *testing.B and so chooses the number of requests
// by itself, and it drives fasthttp rather than net/http; its module was also not
// to be had from the module proxy when this was written. hey and bombardier are
// not libraries, and k6 is not to be used as one. http.Get over the default
// transport, as it is often written, opens a connection for nearly every request
// at these concurrencies: that is a comparison of pools, not of clients.
package peers
