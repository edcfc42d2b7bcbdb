// Package capacity searches for the highest rate of arrivals at which a service meets its
// objectives: how many of these a second before p99 passes 50 ms? [Bench] makes a
// benchmark metric of it, with bounds, that benchstat can compare and a pull request can
// be gated on; [Search] returns it.
//
//	func BenchmarkCapacity(b *testing.B) {
//		srv := httptest.NewServer(handler) // or a server of your own: os.Getenv("TARGET")
//		defer srv.Close()
//		capacity.Bench(b, capacity.Options{SLO: loadtest.SLO{P99: 50 * time.Millisecond}}, loadtest.Get(srv.URL))
//	}
//
// # Trials
//
// A trial is an open loop at one rate, for a second by default, and its loss the share of
// the arrivals scheduled that were not answered well within an objective: failed, timed
// out, dropped or too late, counted from when they were due. So "p99 at most 50 ms" is "at
// most 1 % lost at 50 ms", and a limit on the error rate is another goal over the same
// trials. Before each trial the service is given time to recover from the one before: none
// of its requests is in flight, and a single one takes no longer than at the beginning. The
// first trial is thrown away.
//
// A trial shows no more than what happens within it. A queue that grows by 2 % of the
// arrivals takes a second to become 20 ms long: where the objective is much longer than a
// request takes, a rate passes that is too high by that part of a trial, 4 % for 40 ms of
// a second. Longer trials, and a longer Budget, find what can be borne for longer.
//
// # The search
//
// It is that of MLRsearch (draft-ietf-bmwg-mlrsearch), for which one unlucky trial decides
// nothing. A rate is tried until it is clear what the median of its trials will be, or
// another quantile, [Goal.ExceedRatio]: then it is a lower bound, at which the goals are
// met, or an upper one. A rate far from the knee is known after a few trials, one near it
// after [Goal.DurationSum]. The relevant bounds are the least upper bound, and the
// greatest lower bound below it: what passes above a rate that fails does not count. The
// search halves what is between them, by ratio, until [Config.Width] is left, roughly
// first and then exactly. [Result.Capacity] is the conditional throughput, what came
// through at the lower bound in the deciding trial.
//
// Unlike MLRsearch, one search has one answer: the highest rate that meets all goals. And
// it has a budget of time.
//
// # What is no capacity
//
// A search may end without one: even the least rate fails, even the highest passes, the
// budget is spent, or the service does not recover. Then [Result.End] says so, and what is
// known so far, and Capacity is 0.
//
// If what makes the load was the limit, the end is [ErrGenerator], which is INVALID: a
// trial is thrown away that would be good but for what the generator sent late or not at
// all, and three of them in a row end the search; and in the end the generator must
// exceed the upper bound by a quarter when it sends to something that does nothing. A
// service in the same process or on the same machine takes part of the processors,
// which is part of its capacity there.
package capacity
