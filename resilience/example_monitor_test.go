package resilience_test

import (
	"fmt"
	"log/slog"
	"time"

	"example.com/brunt/resilience"
)

func ExampleRuntimeMonitor() {
	monitor, err := resilience.NewRuntimeMonitor(resilience.MonitorConfig{
		SampleInterval: 100 * time.Millisecond,
		OnAlert: func(before resilience.MonitorLevel, s resilience.MonitorSnapshot) {
			if s.Level > before { // it got worse
				slog.Warn("the client is short of processor time", "runtime", s)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := monitor.Start(); err != nil {
		fmt.Println(err)
		return
	}
	time.Sleep(10 * time.Millisecond) // the load test
	monitor.Stop()

	s := monitor.Snapshot() // Stop took a sample
	fmt.Println("samples:", len(monitor.History()))
	fmt.Println("goroutines seen:", s.Goroutines > 0)
	fmt.Println("interval covered:", s.Interval >= 10*time.Millisecond)
	// Output:
	// samples: 1
	// goroutines seen: true
	// interval covered: true
}
