package capacity_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/capacity"
)

// A searcher can be used with anything that has a rate and a loss. This one loses all that
// is beyond 1,000 a second.
func ExampleSearcher() {
	s, err := capacity.New(capacity.Config{
		Goals: []capacity.Goal{{Name: "loss ≤ 1 %", LossRatio: 0.01}},
		Guess: 3000, Width: 0.05,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		rate, d, ok := s.Next()
		if !ok {
			break
		}
		loss := max(0, 1-1000/rate)
		s.Observe(capacity.Trial{Rate: rate, Duration: d, Losses: []float64{loss}})
	}
	fmt.Print(s.Result())
	// Output:
	// capacity 966/s: a rate of 966/s passes and one of 1,017/s fails
	//   loss ≤ 1 %: a rate of 966/s passes and one of 1,017/s fails
	//   trial  rate/s  time  lost (loss ≤ 1 %)  p99 verdict
	//       1   3,000    1s             66.7 %    - warm-up, bad
	//       2     966    1s                0 %    - good
	//       3   1,071    1s             6.59 %    - bad
	//       4   1,071    1s             6.59 %    - bad
	//       5   1,017    1s             1.67 %    - bad
	//       6   1,017    1s             1.67 %    - bad
	//       7   1,017    1s             1.67 %    - bad
	//       8   1,017    1s             1.67 %    - bad
	//       9     966    1s                0 %    - good
	//      10     966    1s                0 %    - good
	//      11     966    1s                0 %    - good
}

// quota is a service that does so much between two resets, and fails from then on: it is
// the same on any machine. Trials of 20 ms then show a capacity.
type quota struct{ calls atomic.Int64 }

func (q *quota) call(context.Context) error {
	if q.calls.Add(1) > 100 {
		return errors.New("too much")
	}
	return nil
}

func (q *quota) options() capacity.Options {
	return capacity.Options{
		SLO:           loadtest.SLO{P99: 20 * time.Second},
		TrialDuration: 20 * time.Millisecond, DurationSum: 60 * time.Millisecond, Width: 0.1, Budget: time.Minute,
		Engine:  loadtest.ArrivalConfig{MaxCatchUp: time.Minute, MaxInFlight: 10_000},
		OnTrial: func(capacity.Trial) { q.calls.Store(0) },
	}
}

// A function, such as a query or a gRPC call, is searched like a server.
func ExampleSearch() {
	q := new(quota)
	result, err := capacity.Search(context.Background(), q.options(), loadtest.Call("query", q.call))
	fmt.Println(err, result.Lower < 5000, 5000 < 1.1*result.Upper, result.Capacity > 0)
	// Output: <nil> true true true
}

// A handler is searched over a server in the process.
func ExampleSearch_handler() {
	q := new(quota)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := q.call(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	srv := httptest.NewServer(handler)
	defer srv.Close()
	result, err := capacity.Search(context.Background(), q.options(), loadtest.Get(srv.URL))
	fmt.Println(err, result.Lower < 5000, 5000 < 1.1*result.Upper, result.Capacity > 0)
	// Output: <nil> true true true
}

// A search without a capacity says why, and has no number.
func ExampleResult_Err() {
	o := new(quota).options()
	o.MaxRate = 100
	result, err := capacity.Search(context.Background(), o, loadtest.Call("quick", func(context.Context) error { return nil }))
	fmt.Println(errors.Is(err, capacity.ErrMaxRate), result.Capacity)
	fmt.Println(result.Err())
	// Output:
	// true 0
	// capacity: even the highest rate passes: 100/s
}

// One search, whatever the time of the benchmark.
func ExampleBench() {
	var result capacity.Result
	// In a test file: func BenchmarkCapacity(b *testing.B).
	benchmark := func(b *testing.B) {
		q := new(quota)
		result = capacity.Bench(b, q.options(), loadtest.Call("query", q.call))
	}
	metrics := testing.Benchmark(benchmark).Extra
	fmt.Println(metrics["capacity-req/s"] == result.Capacity, metrics["capacity-lo-req/s"] == result.Lower, metrics["capacity-hi-req/s"] == result.Upper)
	// Output: true true true
}

func ExampleOptions_Validate() {
	err := capacity.Options{SLO: loadtest.SLO{MinRPS: 100}, Width: 1}.Validate()
	fmt.Println(errors.Is(err, capacity.ErrConfig))
	fmt.Println(err)
	// Output:
	// true
	// capacity: bad configuration: Width is 1: must be from 0.0001 to below 1, or 0 for the default
	// capacity: bad configuration: SLO has no limit on response times: set one of P50, P95, P99, P999 and Max
	// capacity: bad configuration: SLO.MinRPS is set: a trial is too short to judge it
}

func ExampleConfig_Validate() {
	fmt.Println(capacity.Config{MinRate: 10, MaxRate: 5}.Validate())
	// Output:
	// capacity: bad configuration: Goals is empty: set at least one
	// capacity: bad configuration: MinRate is 10 and MaxRate 5: there must be some way between them
}

func ExampleNew() {
	_, err := capacity.New(capacity.Config{Goals: []capacity.Goal{{LossRatio: 1}}})
	fmt.Println(err)
	// Output: capacity: bad configuration: Goals[0].LossRatio is 1: must be from 0 to below 1
}

// Trials that were thrown away cost time, too.
func ExampleSearcher_Spend() {
	s, _ := capacity.New(capacity.Config{Goals: []capacity.Goal{{}}, Budget: 5 * time.Second})
	s.Spend(4500 * time.Millisecond)
	_, _, ok := s.Next()
	fmt.Println(ok, s.Result().Err())
	// Output: false capacity: the time budget was spent before the bounds were close enough: 4.5s of 5s: no rate is known to pass or to fail
}

// The first trial is at the guess, or at MaxRate, and counts for nothing but the next
// guess.
func ExampleSearcher_Next() {
	s, _ := capacity.New(capacity.Config{Goals: []capacity.Goal{{}}, MaxRate: 2000})
	fmt.Println(s.Next())
	s.Observe(capacity.Trial{Rate: 2000, Duration: time.Second, Losses: []float64{0.5}})
	rate, _, _ := s.Next()
	fmt.Printf("%.0f\n", rate)
	// Output:
	// 2000 1s true
	// 982
}

func ExampleSearcher_Observe() {
	s, _ := capacity.New(capacity.Config{Goals: []capacity.Goal{{LossRatio: 0.01}}, Levels: 1, Guess: 500})
	for range 5 {
		rate, d, _ := s.Next()
		s.Observe(capacity.Trial{Rate: rate, Duration: d, Losses: []float64{0}})
	}
	fmt.Printf("%.0f\n", s.Result().Lower) // after four good trials of at most seven
	// Output: 494
}

func ExampleSearcher_Result() {
	s, _ := capacity.New(capacity.Config{Goals: []capacity.Goal{{}}})
	r := s.Result()
	fmt.Println(errors.Is(r.Err(), capacity.ErrUnfinished), r.Lower, r.Upper, r.Capacity)
	// Output: true 0 0 0
}

func ExampleResult_String() {
	r := capacity.Result{Capacity: 975, Lower: 980, Upper: 1000}
	fmt.Print(r)
	// Output: capacity 975/s: a rate of 980/s passes and one of 1,000/s fails
}

func ExampleEndError_MarshalJSON() {
	data, _ := json.Marshal(&capacity.EndError{Reason: capacity.ErrMinRate, Detail: "1/s"})
	fmt.Println(string(data))
	// Output: {"reason":"capacity: even the least rate fails","detail":"1/s"}
}

func ExampleEndError_UnmarshalJSON() {
	var end capacity.EndError
	err := json.Unmarshal([]byte(`{"reason":"capacity: even the least rate fails","detail":"1/s"}`), &end)
	fmt.Println(err, errors.Is(&end, capacity.ErrMinRate), &end)
	// Output: <nil> true capacity: even the least rate fails: 1/s
}

func ExampleEndError_Unwrap() {
	var end error = &capacity.EndError{Reason: context.Canceled}
	fmt.Println(errors.Is(end, context.Canceled))
	// Output: true
}

// A trial is good if it lost no more than every goal allows.
func ExampleResult_Good() {
	s, _ := capacity.New(capacity.Config{Goals: []capacity.Goal{{LossRatio: 0.01}}, Guess: 500})
	s.Observe(capacity.Trial{Rate: 500, Duration: time.Second, Losses: []float64{0.02}})
	r := s.Result()
	fmt.Println(r.Good(r.Trials[0]))
	// Output: false
}
