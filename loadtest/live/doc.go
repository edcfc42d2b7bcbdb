// Package live shows a load test in a browser while it runs, with the charts of package
// htmlreport.
//
//	engine := loadtest.Start(t, loadtest.AsyncConfig{OnProgress: live.Show(t, "")})
//
// It is off unless an address is given, in the code or by who runs the test:
//
//	BRUNT_LIVE=127.0.0.1:8089 go test -run Soak -v
//
// The address is in the test's log, and nowhere else. The page is served to this machine
// only. Whoever opens it late sees the run from its beginning; who is slow, or leaves, holds
// up nothing.
//
// Where the load comes from several processes, see package shards, each writes its progress
// into BRUNT_RESULTS instead, and [Watch] shows them as one run, as does brunt live DIR.
package live
