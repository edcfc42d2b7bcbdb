package peers

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Contestant is one way to do the work: either Run, in a process of this program's
// own, or Tool, another program.
type Contestant struct {
	// Name is unique among the contestants of a plan.
	Name string
	// About says in a few words what it is.
	About string
	// Run sends GET requests for as long as the work says, on as many connections,
	// each worker waiting for a response before it sends again. It returns after
	// its last goroutine has ended and its last connection is closed. It stops
	// early when ctx is done, and says so.
	Run func(ctx context.Context, w Work) (Outcome, error)
	// Tool is what to start instead, if Run is nil.
	Tool *Tool
	// Loose contestants may leave up to a request for each connection out of their
	// account: one of a warm-up, or one in flight when they stop.
	Loose bool
	// WarmsUp contestants send a request on each connection first, and Bursts are those
	// that at a rate send on all connections at once, or nearly.
	WarmsUp, Bursts bool
}

// Work is what a contestant is to do.
type Work struct {
	URL         string
	Connections int
	Duration    time.Duration
	// Rate is how many requests a second it is to send, in an open loop if it has one;
	// 0 is as many as it can, in a closed loop.
	Rate int
	// Threads is how many CPUs it may use at once: GOMAXPROCS for Go.
	Threads int
}

// Outcome is what a contestant says it has done.
type Outcome struct {
	// Succeeded is how many requests got a response with a status of 2xx, and
	// Failed how many did not.
	Succeeded, Failed int
	// Elapsed is how long it took, without the start of the process.
	Elapsed time.Duration
	// Unsent is how many requests of its schedule it says that it has not sent.
	Unsent int
	// Latency is what it reports, if it was given a rate.
	Latency Latency
}

// Latency is what a contestant reports, in its own words: from where it measures is
// its affair. What it does not report is 0.
type Latency struct{ P50, P90, P99, P999, Max time.Duration }

// The names that bounds and ratios refer to.
const (
	BruntThreaded = "brunt-threaded"
	BruntAsync    = "brunt-async"
	// The wire client takes its fastest path where it can; the portable ones only
	// ever get to see a net.Conn.
	WireThreaded         = "brunt-wire-threaded"
	WireAsync            = "brunt-wire-async"
	WirePortableThreaded = "brunt-wire-portable-threaded"
	WirePortableAsync    = "brunt-wire-portable-async"
	BruntArrival         = "brunt-arrival"
	WireArrival          = "brunt-wire-arrival"
	PlainRoundTrip       = "plain-roundtrip"
	PlainAgain           = "plain-roundtrip-again"
	PlainDo              = "plain-do"
	PlainGet             = "runparallel-get"
	Vegeta               = "vegeta"
	VegetaBare           = "vegeta-bare"
	VegetaBounded        = "vegeta-bounded"
	FortioStandard       = "fortio-standard"
	FortioFast           = "fortio-fast"
	Wrk                  = "wrk"
	WrkAgain             = "wrk-again"
	Wrk2                 = "wrk2"
	H2load               = "h2load"
	Hey                  = "hey"
	BombardierFast       = "bombardier-fasthttp"
	BombardierPlain      = "bombardier-nethttp"
	K6                   = "k6"
)

// All is every contestant there is.
func All() []Contestant {
	return slices.Concat(library(), []Contestant{
		{Name: Vegeta, About: "Attacker, 30 s limit, Metrics", Tool: &vegeta},
		{Name: VegetaBare, About: "Attacker, no time limit, results counted only", Tool: &vegeta},
		{Name: FortioStandard, About: "RunHTTPTest, net/http client; 30 s limit, histogram", Tool: &fortio, Loose: true},
		{Name: FortioFast, About: "RunHTTPTest, own HTTP/1.1 client; 30 s limit, histogram", Tool: &fortio, Loose: true},
		{Name: Wrk, About: "C, epoll, one thread for each CPU", Tool: &wrk, Loose: true},
		{Name: WrkAgain, About: "the same once more: what differs from it is noise", Tool: &wrk, Loose: true},
		{Name: Hey, About: "net/http, 30 s limit, summary", Tool: &hey, Loose: true},
		{Name: BombardierFast, About: "fasthttp client, 30 s limit", Tool: &bombardierFast, Loose: true},
		{Name: BombardierPlain, About: "net/http client, 30 s limit", Tool: &bombardierPlain, Loose: true},
		{Name: K6, About: "net/http under a JavaScript engine", Tool: &k6, Loose: true},
	})
}

// Open are those that can send at a rate.
func Open() []Contestant {
	return slices.Concat(arrivals(), []Contestant{
		{Name: Vegeta, About: "Attacker, as many workers and connections as it wants", Tool: &vegeta},
		{Name: VegetaBounded, About: "Attacker, a worker for each connection", Tool: &vegeta},
		{Name: FortioStandard, About: "RunHTTPTest, net/http client", Tool: &fortio, Loose: true, WarmsUp: true, Bursts: true},
		{Name: FortioFast, About: "RunHTTPTest, own HTTP/1.1 client", Tool: &fortio, Loose: true, WarmsUp: true, Bursts: true},
		{Name: Wrk2, About: "C, epoll", Tool: &wrk2, Loose: true, Bursts: true},
		{Name: H2load, About: "C, libev, HTTP/1.1; --rps for each connection", Tool: &h2load, Loose: true, Bursts: true},
		{Name: Hey, About: "net/http; -q for each worker", Tool: &hey, Loose: true, Bursts: true},
		{Name: BombardierFast, About: "fasthttp client, --rate", Tool: &bombardierFast, Loose: true},
		{Name: K6, About: "constant-arrival-rate, a VU for each connection", Tool: &k6, Loose: true},
	})
}

// Inside are the contestants that a test can have in one process with its server.
func Inside() []Contestant { return library() }

// library is brunt, and what people write without it.
func library() []Contestant {
	return slices.Concat(brunt(), []Contestant{
		{Name: PlainRoundTrip, About: "Transport.RoundTrip in a loop, one request per worker sent again and again", Run: runRoundTrip},
		{Name: PlainAgain, About: "the same once more: what differs from it is noise", Run: runRoundTrip},
		{Name: PlainDo, About: "Client.Do in a loop, a new request each time", Run: runDo},
		{Name: PlainGet, About: "http.Get as under RunParallel: GOMAXPROCS goroutines, whatever the connections", Run: runGet},
	})
}

// The programs of this module in which the libraries of others run.
var (
	vegeta = Tool{Program: "benchvegeta", Module: module + "/cmd/benchvegeta", Own: "github.com/tsenart/vegeta/v12"}
	fortio = Tool{Program: "benchfortio", Module: module + "/cmd/benchfortio", Own: "fortio.org/fortio"}
)

const module = "example.com/brunt/peers"

// Limit is the time limit of a request, for those that have one. It is brunt's
// default.
const Limit = 30 * time.Second

// Tuned is the transport for contestants that take one: it keeps a connection
// for each worker.
func Tuned(connections int) *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
}
