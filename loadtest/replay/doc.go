// Package replay makes load of what has been recorded: access logs, files of requests, and
// curl commands.
//
// # Access logs
//
// [Open] reads a log in the common or combined format of nginx and Apache, or JSON lines as
// Caddy, Traefik, nginx and others write them; gzip is understood. The requests of a [Log]
// are a source for any engine, and their own instants are the schedule of an
// [example.com/brunt/loadtest.ArrivalEngine], which can be scaled:
//
//	log, err := replay.Open("access.log.gz", replay.Config{Base: "http://127.0.0.1:8080", MaxBad: -1})
//	engine, err := loadtest.NewArrivalEngine(loadtest.ArrivalConfig{Schedule: log.Schedule().Scale(2)})
//	result, err := engine.Run(ctx, log.Source())
//
// Each line has its own arrival, whatever is missed, dropped, cut off or sent by another
// shard. A log says method, target, host, referer and user agent; it has no bodies, no
// cookies and no credentials, which [Config.Edit] may add and [Config.Keep] may avoid.
//
// Memory does not grow with the length of a log. It is read once when it is opened, so that
// its size and its bad lines are known before anything is sent, and twice by a run: by
// the source and, a second ahead, by the schedule.
//
// # When requests are due
//
// A request is due when its line says, since the first. Apache and Traefik's StartUTC tell
// when a request began, nginx and Caddy when it ended. Lines are put in order of time, as
// far as [Config.Reorder] reaches; those beyond are due with the line before them, and
// counted.
// Times without fractions say only the second: the lines of a second are spread evenly over
// it, unless [Config.Together] is set.
//
// Each request is made when it is due, which leaves some 4 KB of garbage. At thousands of
// requests a second the collector, which Go runs for each 4 MB of it in a process with
// little else, makes those late that are due beside it: run the test with GOGC=400. In one
// measurement, at 10,000 a second on two CPUs with the server, 99 % of the requests were
// at most 1.4 ms late, and 0.4 ms with GOGC=400.
//
// # Request files and curl
//
// [ReadRequests] reads both formats of vegeta, as text and as JSON lines, for
// [example.com/brunt/loadtest.Cycle] or Mix. [Curl] returns the request of a command such
// as browsers copy.
package replay
