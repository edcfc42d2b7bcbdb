package pace_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/brunt/loadtest/pace"
)

func show(s pace.Schedule) { fmt.Println(slices.Collect(s.All())) }

func Example() {
	schedule, err := pace.Parse("100/s for 10s, ramp to 500/s over 30s")
	fmt.Println(schedule.Len(), schedule.Duration(), err)
	fmt.Println(schedule.Rate(5*time.Second), schedule.Rate(25*time.Second))
	for at := range schedule.All() {
		if at > 20*time.Millisecond {
			break
		}
		fmt.Println(at)
	}
	// Output:
	// 10000 40s <nil>
	// 100 300
	// 0s
	// 10ms
	// 20ms
}

func ExampleConstant() {
	show(pace.Constant(10).Take(3))
	// Output: [0s 100ms 200ms]
}

func ExampleRamp() {
	show(pace.Ramp(0, 10, time.Second))
	// Output: [0s 447.213595ms 632.455532ms 774.596669ms 894.427191ms]
}

func ExampleStages() {
	s := pace.Stages(
		pace.Stage{Rate: 100, Duration: 10 * time.Second}, // up from 0
		pace.Stage{Rate: 100, Duration: time.Minute},      // stay
		pace.Stage{Rate: 0, Duration: 5 * time.Second},    // down
	)
	fmt.Println(s, "=", s.Len())
	// Output: ramp from 0/s to 100/s over 10s, 100/s for 1m0s, ramp to 0/s over 5s = 6750
}

func ExampleSine() {
	s := pace.Sine(100, 50, time.Minute).Until(time.Hour)
	fmt.Printf("%.0f %.0f %.0f, %d in all\n", s.Rate(0), s.Rate(15*time.Second), s.Rate(45*time.Second), s.Len())
	// Output: 100 150 50, 360000 in all
}

func ExamplePoisson() {
	show(pace.Poisson(10, 1).Take(3))
	// Output: [46.96831ms 100.005365ms 245.846124ms]
}

func ExampleSchedule_Poisson() {
	s := pace.Ramp(0, 10, time.Second).Poisson(1)
	show(s)
	fmt.Println(s.Len(), "is not known without counting")
	// Output:
	// [306.490817ms 447.225592ms 701.207707ms 883.637057ms 898.489875ms]
	// -1 is not known without counting
}

func ExampleExactly() {
	show(pace.Exactly(3, time.Second, 1))
	// Output: [144.920673ms 344.099585ms 847.433376ms]
}

func ExampleSchedule_Exactly() {
	show(pace.Ramp(0, 10, time.Second).Exactly(3, 1))
	// Output: [380.68448ms 586.600021ms 920.561446ms]
}

func ExampleBurst() {
	show(pace.Burst(2, time.Second).Until(3 * time.Second))
	// Output: [0s 0s 1s 1s 2s 2s]
}

func ExampleRecorded() {
	show(pace.Recorded(0, 30*time.Millisecond, 50*time.Millisecond).Scale(10))
	// Output: [0s 3ms 5ms]
}

func ExampleSchedule_Then() {
	show(pace.Constant(2).Until(time.Second).Then(pace.Constant(10).Take(3)))
	// Output: [0s 500ms 1s 1.1s 1.2s]
}

func ExampleSchedule_Merge() {
	show(pace.Constant(2).Merge(pace.Burst(3, time.Second)).Take(7))
	// Output: [0s 0s 0s 0s 500ms 1s 1s]
}

func ExampleSchedule_Scale() {
	s := pace.Ramp(0, 10, time.Second).Scale(1.5)
	fmt.Println(s, "=", s.Len())
	// Output: ramp from 0/s to 15/s over 1s = 8
}

func ExampleSchedule_Take() {
	s := pace.Constant(1000).Take(10_000)
	fmt.Println(s.Len(), s.Duration())
	// Output: 10000 10s
}

func ExampleSchedule_Until() {
	s := pace.Constant(1000).Until(10 * time.Second)
	fmt.Println(s.Len(), s.Duration())
	// Output: 10000 10s
}

func ExampleSchedule_Shard() {
	whole := pace.Constant(10).Take(7)
	for i := range 3 {
		shard := whole.Shard(i, 3)
		c := shard.Cursor()
		for at, ok := c.Next(); ok; at, ok = c.Next() {
			fmt.Print(" #", c.Index(), " ", at)
		}
		fmt.Println(",", shard.Len(), "arrivals")
	}
	// Output:
	//  #0 0s #3 300ms #6 600ms, 3 arrivals
	//  #1 100ms #4 400ms, 2 arrivals
	//  #2 200ms #5 500ms, 2 arrivals
}

func ExampleSchedule_All() {
	for at := range pace.Constant(1).All() {
		if at == 2*time.Second {
			break
		}
		fmt.Println(at)
	}
	// Output:
	// 0s
	// 1s
}

func ExampleSchedule_Cursor() {
	c := pace.Constant(4).Take(2).Cursor()
	for at, ok := c.Next(); ok; at, ok = c.Next() {
		fmt.Println(c.Index(), at)
	}
	// Output:
	// 0 0s
	// 1 250ms
}

func ExampleSchedule_Len() {
	for _, s := range []pace.Schedule{{}, pace.Constant(5).Until(time.Minute), pace.Constant(5), pace.Exactly(7, time.Minute, 1)} {
		fmt.Print(s.Len(), " ")
	}
	// Output: 0 300 -1 7
}

func ExampleSchedule_Duration() {
	for _, s := range []pace.Schedule{pace.Ramp(0, 5, time.Minute), pace.Constant(5), pace.Constant(5).Take(10)} {
		fmt.Print(s.Duration(), " ")
	}
	// Output: 1m0s 0s 2s
}

func ExampleSchedule_Rate() {
	s := pace.Ramp(0, 100, 10*time.Second)
	fmt.Println(s.Rate(0), s.Rate(5*time.Second), s.Rate(10*time.Second))
	// Output: 0 50 0
}

func ExampleSchedule_Validate() {
	err := pace.Ramp(-1, 10, 0).Then(pace.Constant(5)).Validate()
	fmt.Println(err, errors.Is(err, pace.ErrSchedule))
	// Output:
	// pace: bad schedule: Ramp: from is -1/s: must be from 0 to 1e+09/s
	// pace: bad schedule: Ramp: d is 0s: must be positive true
}

func ExampleSchedule_String() {
	fmt.Println(pace.Constant(100).Until(10 * time.Second).Then(pace.Ramp(100, 500, 30*time.Second)).Poisson(7))
	// Output: 100/s for 10s, ramp to 500/s over 30s, poisson seed 7
}

func ExampleParse() {
	s, err := pace.Parse("burst 50 every 1s for 10s, merge (20/s for 10s, poisson)")
	fmt.Println(s, err)
	_, err = pace.Parse("100/s for 10s, ramp up to 500/s over 30s")
	fmt.Println(err)
	var wrong *pace.ParseError
	fmt.Println(errors.As(err, &wrong), wrong.Offset, wrong.Word, wrong.Want)
	// Output:
	// burst 50 every 1s for 10s, merge (20/s for 10s, poisson seed 1) <nil>
	// pace: bad schedule: "up" at offset 20 of "100/s for 10s, ramp up to 500/s over 30s": want "to"
	// true 20 up "to"
}

func ExampleRecordedFunc() {
	log := "0 120 150 900" // milliseconds; as well a file, by io.NewSectionReader
	show(pace.RecordedFunc(4, 900*time.Millisecond, func() func() (time.Duration, bool) {
		r := strings.NewReader(log)
		return func() (time.Duration, bool) {
			var ms int64
			_, err := fmt.Fscan(r, &ms)
			return time.Duration(ms) * time.Millisecond, err == nil
		}
	}).Scale(10))
	// Output: [0s 12ms 15ms 90ms]
}
