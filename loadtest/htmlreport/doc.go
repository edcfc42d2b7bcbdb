// Package htmlreport shows the results of load tests as one HTML file.
//
// The file opens offline, on any screen and on paper: charts of latency,
// throughput, errors, requests in flight and heap over time, the percentile
// curve on a logarithmic axis, and every number in tables. Nothing is fetched: a
// content security policy in the page forbids all network access and every
// script but the two it carries.
//
//	result := loadtest.Bench(b, engine, loadtest.Get(url))
//	htmlreport.Attach(b, htmlreport.Options{Title: "Checkout"}, result)
//
// The page of an open loop also shows what was due and what of that was missed, dropped
// or canceled, the lag over time, and response time, service time and lag beside each
// other.
//
// Where users walk through scenarios there is a table of these. What was sent but not
// counted, by [loadtest.Exclude], is shaded in the charts over time and marked in the table
// of intervals.
//
// [WriteCapacity], [WriteCapacityFile] and [AttachCapacity] make such a page of a search for
// a capacity: the walk from trial to trial, loss and p99 by rate, bounds and objectives.
//
// With an SLO in [Options], the verdict on each result stands first.
//
// Several results, such as those of two engines, share their charts and stand
// side by side in the tables. The same results and options give the same bytes.
//
// Package live shows a run while it goes on, with the same charts.
//
// The charts are drawn by uPlot (MIT license), which travels in the file.
package htmlreport
